#!/usr/bin/env bash
# Goal: fsck.varve and varve verify call a clean store clean, name the path, set, snapshot and pack of each damage, repair what can be repaired, and change nothing unasked.
source "$(dirname "$0")/lib.sh"

"$here/make_data" random "$seed" $((12 << 20)) "$scratch/data"
"$here/make_data" mixed "$seed" $((3 << 20)) "$scratch/other"
make_store
mount_store
mkdir -p "$mnt/web/etc/deep"
cp "$scratch/data" "$mnt/web/etc/data"
mkdir "$mnt/web/.varve/snapshots/sunday"  # which seals its packs: nothing else is in them
cp "$scratch/other" "$mnt/web/etc/deep/other"
ln "$mnt/web/etc/deep/other" "$mnt/web/second-name"
ln -s etc/data "$mnt/web/link"
for i in $(seq 300); do echo "file $i" >"$mnt/web/etc/deep/$i"; done
mkdir "$mnt/web/.varve/snapshots/monday"
echo changed >"$mnt/web/etc/deep/7"
rm "$mnt/web/etc/deep/8"
mkdir "$mnt/web/.varve/snapshots/tuesday"
echo live >"$mnt/web/live"
unmount_store

status_of() {  # status_of WANTED COMMAND...: runs it, its output in $scratch/out
  local wanted=$1 status=0
  shift
  timeout 120 "$@" >"$scratch/out" 2>"$scratch/err" || status=$?
  [ "$status" -eq "$wanted" ] || { cat "$scratch/out" "$scratch/err"; fail "$* ended with $status, not $wanted"; }
}
check() { local wanted=$1; shift; status_of "$wanted" fsck.varve --passphrase-file "$pw" "$@" "$store"; }
verify() { local wanted=$1; shift; status_of "$wanted" varve verify --passphrase-file "$pw" "$@" "$store"; }
said() { grep -qE "$1" "$scratch/out" "$scratch/err" || { cat "$scratch/out" "$scratch/err"; fail "no line with '$1'"; }; }
state() { (cd "$store" && find . -type f ! -name lock.mdb ! -name verified -printf '%p %s %T@\n' -exec sha256sum {} + | sort | sha256sum); }

say "a clean store"
before=$(state)
check 0 -n
said "clean"
check 0 -n --read-data
said "read in full"
equal "$(state)" "$before" "the store after fsck.varve -n"
verify 0
said "every pack was read and found whole"
status_of 0 varve verify --no-key "$store"
verify 0 --max-age 1
grep -q "read in full" "$scratch/out" && fail "packs were read again within --max-age"
verify 0 --sample 20%
check 0 -p
check 0 -y
check 0 -n --json
python3 -c 'import json, sys; report = json.load(open(sys.argv[1])); assert report["damages"] == 0 and report["working_copy"], report' "$scratch/out"

say "wrong usage and what is no store"
status_of 16 fsck.varve "$store"
status_of 16 fsck.varve -n -y "$store"
status_of 8 fsck.varve -n --passphrase-file "$pw" "$scratch"
echo "not it" >"$scratch/wrong" && chmod 600 "$scratch/wrong"
status_of 8 fsck.varve -n --passphrase-file "$scratch/wrong" "$store"

say "a read-only copy without local/, as a remote is"
cp -a "$store" "$scratch/remote"
rm -r "$scratch/remote/local" "$scratch/remote/replica"
chmod -R a-w "$scratch/remote"
status_of 0 varve verify --passphrase-file "$pw" "$scratch/remote"
status_of 0 varve verify --no-key --ledger "$scratch/ledger" --max-age 7 "$scratch/remote"
[ -s "$scratch/ledger" ] || fail "the ledger is empty"
chmod -R u+w "$scratch/remote"

cp -p "$store/store.json" "$scratch/store.json"
truncate -s 50 "$store/store.json"
check 4 -n
said "store.json"
cp -p "$scratch/store.json" "$store/store.json"
status_of 0 fsck.varve -y --passphrase-file "$pw" "$scratch/remote"
[ ! -e "$scratch/remote/local" ] || fail "fsck.varve -y made a working copy of a remote"

say "a damaged pack"
pack=$(find "$store/packs" -type f -size +8M | head -1)
cp -p "$pack" "$scratch/pack"
size=$(stat -c %s "$pack")
python3 -c '
import sys
with open(sys.argv[1], "r+b") as pack:
    pack.seek(int(sys.argv[2]))
    byte = pack.read(1)[0]
    pack.seek(int(sys.argv[2]))
    pack.write(bytes([byte ^ 1]))' "$pack" $((size / 3))
check 0 -n
check 4 -n --read-data
said "packs/../$(basename "$pack") \(pack [0-9a-f]{32}\): segment [0-9]+"
said "snapshot (sunday|monday|tuesday) of web: /etc/data: [0-9]+ bytes cannot be read: they are in segment [0-9]+ of pack [0-9a-f]{32}"
verify 5
said "snapshot (sunday|monday|tuesday) of web: /etc/data"
status_of 5 varve verify --no-key "$store"
said "$(basename "$pack").*do not hash to its name"
check 4 -y --read-data
[ -e "$pack" ] || fail "a pack that can still be read in part was moved away"
mount_store
mkdir "$mnt/again"
cp "$scratch/data" "$mnt/again/data"
unmount_store
mount_store
cmp "$scratch/data" "$mnt/again/data" || fail "what was written again was not stored again"
cmp "$scratch/data" "$mnt/web/etc/data" || fail "what was written again does not heal the file that was damaged"
unmount_store
cp -p "$scratch/pack" "$pack"
check 0 -n --read-data

say "a missing pack"
mv "$pack" "$scratch/pack"
check 4 -n
said "packs/../$(basename "$pack") \(pack [0-9a-f]{32}\): is missing"
said "tuesday"
status_of 5 varve verify --no-key "$store"
said "is missing"
mv "$scratch/pack" "$pack"

say "temporaries"
touch "$store/packs/.tmp-0123456789abcdef" "$store/lists/.tmp-1" "$store/local/open/$(printf '%032d' 7)"
check 0 -n
[ -e "$store/lists/.tmp-1" ] || fail "fsck.varve -n has removed a file"
check 1 -p
[ -z "$(find "$store" -name '.tmp-*')" ] || fail "a temporary was left"
[ ! -e "$store/local/open/$(printf '%032d' 7)" ] || fail "a pack in writing that nothing refers to was left"
check 0 -n

say "a damaged snapshot file"
snapshot=$(find "$store/snapshots" -type f | sort | head -1)
cp -p "$snapshot" "$scratch/snapshot"
truncate -s 100 "$snapshot"
check 4 -n
said "snapshots/$(basename "$snapshot"): its bytes do not hash to its name"
check 1 -p
[ -e "$store/replica/quarantine/snapshots/$(basename "$snapshot")" ] || fail "the damaged file is not in the quarantine"
cp -p "$scratch/snapshot" "$snapshot"
check 0 -n

say "a damaged chunk index"
run=$(find "$store/local/index" -name 'run-*' | head -1)
printf 'damage' | dd of="$run" bs=1 seek=5000 conv=notrunc status=none
check 4 -n
said "local/index/run-"
check 1 -p
check 0 -n

say "a missing and a damaged working copy"
for damage in "rm -r $store/local/db" "truncate -s 5000 $store/local/db/data.mdb" "dd if=/dev/urandom of=$store/local/db/data.mdb bs=4096 count=6 seek=2 conv=notrunc status=none"; do
  cp -a "$store/local" "$scratch/local"
  $damage
  check 4 -n
  said "local/db"
  check 1 -y
  check 0 -n
  mount_store
  cmp "$scratch/data" "$mnt/web/etc/data"
  equal "$(cat "$mnt/web/live")" live "a file of the checkpoint after '$damage'"
  equal "$(stat -c %h "$mnt/web/second-name")" 2 "links after '$damage'"
  unmount_store
  check 0 -n --read-data
  rm -r "$store/local"
  mv "$scratch/local" "$store/local"
  mount_store
  unmount_store
done

say "a mounted store"
mount_store
echo more >"$mnt/web/more"
status_of 0 fsck.varve -n "$store"
said "clean"
check 8 -p
said "is mounted by $daemon"
check 8 -y
verify 0
mv "$pack" "$scratch/pack"
status_of 4 fsck.varve -n "$store"
said "$(basename "$pack").*is missing"
mv "$scratch/pack" "$pack"
unmount_store

say "after a crash"
mount_store
cp "$scratch/other" "$mnt/web/crashed"
varve sync "$mnt"
crash_daemon
check 0 -n
check 0 -p
mount_store
cmp "$scratch/other" "$mnt/web/crashed"
unmount_store
check 0 -n --read-data
