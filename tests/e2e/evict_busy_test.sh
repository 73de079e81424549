#!/usr/bin/env bash
# Goal: packs are evicted while one program writes and takes snapshots, and another reads them all, through the same mount: nobody gets an error or a
# wrong byte, and what is written meanwhile is there afterwards.
source "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] || fail "needs root"
full && rounds=12 megabytes=16 || rounds=3 megabytes=2

field() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$scratch/json" "$1"; }
replicate() { varve replicate "$store" >"$scratch/out" 2>&1 || fail "replicate: $(cat "$scratch/out")"; }
evict() { varve evict "$mnt" --remote far --json "$@" >"$scratch/json" 2>"$scratch/err" || fail "evict: $(cat "$scratch/err")"; }
write_one() {  # write_one N: a file that nothing is like, and a snapshot of it
  "$here/make_data" random "$((seed * 1000 + $1))" $((megabytes << 20)) "$scratch/files/file-$1"
  cp "$scratch/files/file-$1" "$mnt/set/file-$1"
  sync "$mnt/set/file-$1"
  varve snapshot "$mnt/set" "snapshot-$1" >/dev/null
  echo "$1" >"$scratch/written.new"
  mv "$scratch/written.new" "$scratch/written"
}
writer() {  # until it is told to stop: new files, and known data once more
  local n
  for ((n = 100; ; n++)); do
    if [ -e "$scratch/stop" ]; then return; fi
    write_one "$n" || { echo "writing file-$n" >"$scratch/failed-writer"; return; }
    cp "$scratch/files/file-1" "$mnt/set/again-$n" || { echo "writing again-$n" >"$scratch/failed-writer"; return; }
    cmp "$scratch/files/file-1" "$mnt/set/again-$n" || { echo "reading again-$n" >"$scratch/failed-writer"; return; }
  done
}
reader() {
  local passes=0 n
  while [ ! -e "$scratch/stop" ]; do
    for n in 1 2 3 4 5 6; do
      cmp "$scratch/files/file-$n" "$mnt/set/file-$n" || { echo "reading file-$n" >"$scratch/failed-reader"; return; }
      cmp "$scratch/files/file-$n" "$mnt/set/.varve/snapshots/snapshot-6/file-$n" || { echo "reading file-$n of a snapshot" >"$scratch/failed-reader"; return; }
    done
    passes=$((passes + 1))
    echo "$passes" >"$scratch/passes.new"
    mv "$scratch/passes.new" "$scratch/passes"
  done
}
number_in() { cat "$scratch/$1" 2>/dev/null || echo 0; }
still_well() { [ -z "$(ls "$scratch" | grep '^failed-' || true)" ] || fail "$(cat "$scratch"/failed-*)"; }
wait_beyond() {  # wait_beyond FILE NUMBER: the number in it is greater
  local i
  for ((i = 0; i < 6000; i++)); do
    still_well
    if [ "$(number_in "$1")" -gt "$2" ]; then return 0; fi
    sleep 0.1
  done
  fail "$1 stays at $(number_in "$1")"
}

make_store
mount_store cache=16M
mkdir "$mnt/set" "$scratch/files" "$scratch/remote"
for n in 1 2 3 4 5 6; do write_one "$n"; done
varve remote add "$store" far "$scratch/remote" --same-disk >/dev/null
replicate
evict
replicate

say "evicted while a writer and a reader are at work"
writer &
writer_pid=$!
reader &
reader_pid=$!
evicted=0
for ((round = 0; round < rounds; round++)); do
  wait_beyond written "$((99 + round))"
  passes=$(number_in passes)
  evict
  evicted=$((evicted + $(field packs)))
  echo 3 >/proc/sys/vm/drop_caches
  wait_beyond passes "$((passes + 1))"  # a whole pass that began after that
  replicate
done
[ "$evicted" -ge $((5 + rounds - 1)) ] || fail "$evicted packs were evicted in $rounds rounds"
touch "$scratch/stop"
wait "$writer_pid" "$reader_pid"
still_well

say "everything is there, here and there"
replicate
evict
written=$(number_in written)
for file in "$scratch"/files/file-*; do cmp "$file" "$mnt/set/${file##*/}" || fail "${file##*/} differs"; done
cmp "$scratch/files/file-$written" "$mnt/set/.varve/snapshots/snapshot-$written/file-$written" || fail "the last snapshot differs"
fsck.varve -n "$store" >"$scratch/out" 2>&1 || fail "fsck of the mounted store: $(cat "$scratch/out")"
unmount_store
fsck.varve -n --passphrase-file "$pw" "$store" >"$scratch/out" 2>&1 || fail "fsck: $(cat "$scratch/out")"
grep -q "are evicted, held at far" "$scratch/out" || fail "fsck says: $(cat "$scratch/out")"
varve verify --no-key "$scratch/remote" >"$scratch/out" 2>&1 || fail "verify of the remote: $(cat "$scratch/out")"
mount_store
for file in "$scratch"/files/file-*; do cmp "$file" "$mnt/set/${file##*/}" || fail "${file##*/} differs after a new mount"; done
unmount_store
