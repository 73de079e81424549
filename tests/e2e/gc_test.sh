#!/usr/bin/env bash
# Goal: varve gc gives the space of dropped snapshots back, mounted and unmounted; what is kept is equal for mounts, checks, rescue, a rebuild and a remote,
# which loses nothing.
source "$(dirname "$0")/lib.sh"

field() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$scratch/json" "$1"; }
gc() { varve gc "$@" --json >"$scratch/json" 2>"$scratch/err" || fail "gc: $(cat "$scratch/err")"; }
clean() { varve verify --passphrase-file "$pw" "${2:-$store}" >"$scratch/out" 2>&1 || fail "verify ($1): $(cat "$scratch/out")"; }
backup() {  # backup NAME: the tree, and a file that only this snapshot has
  "$here/make_data" random "$seed" $((4 << 20)) "$scratch/source/only"
  seed=$((seed + 1))
  rsync -aHAXS --checksum --delete "$scratch/source/" "$mnt/set/"  # two versions may be of one second
  varve snapshot "$mnt/set" "$1" >/dev/null
  cp -a "$scratch/source" "$scratch/as-$1"
}

mkdir "$scratch/source" "$scratch/remote"
"$here/sample_tree" 200 "$scratch/source/tree" >/dev/null
make_store
mount_store
mkdir "$mnt/set"
for name in one two three four; do backup "$name"; done
varve remote add --same-disk "$store" far "$scratch/remote" >"$scratch/out" 2>&1 || fail "remote add: $(cat "$scratch/out")"
varve replicate "$store" >"$scratch/out" 2>&1 || fail "replicate: $(cat "$scratch/out")"
there=$(find "$scratch/remote/packs" -type f | wc -l)

say "mounted: nothing dropped, nothing goes"
gc "$mnt"
equal "$(field packs)" 0 "packs that went with nothing dropped"

say "mounted: one of four"
before=$(stored_bytes)
rmdir "$mnt/set/.varve/snapshots/two"
gc "$mnt" --dry-run
[ "$(field bytes)" -ge $((4 << 20)) ] || fail "a dry run finds $(field bytes) bytes"
equal "$(stored_bytes)" "$before" "bytes after a dry run"
gc "$mnt"
[ "$(stored_bytes)" -le $((before - (4 << 20))) ] || fail "of $before bytes $(stored_bytes) are left"
for name in one three four; do must_equal "$scratch/as-$name" "$mnt/set/.varve/snapshots/$name" "kept"; done
must_equal "$scratch/source" "$mnt/set" "live"
clean "mounted"

say "what is written and snapshotted afterwards"
cp "$scratch/as-two/only" "$mnt/set/two-again"
cmp "$scratch/as-two/only" "$mnt/set/two-again" || fail "what was collected and is written again differs"
varve snapshot "$mnt/set" five >/dev/null
cp -a "$mnt/set" "$scratch/as-five"
rmdir "$mnt/set/.varve/snapshots/three"
unmount_store

say "unmounted"
before=$(stored_bytes)
varve gc --passphrase-file "$pw" "$store" >"$scratch/out" 2>"$scratch/err" || fail "gc: $(cat "$scratch/err")"
grep -q "are removed" "$scratch/out" || fail "gc says: $(cat "$scratch/out")"
[ "$(stored_bytes)" -le $((before - (4 << 20))) ] || fail "unmounted: of $before bytes $(stored_bytes) are left"
clean "unmounted"
"$here/../../tools/varve-rescue" --passphrase-file "$pw" restore "$store" set/four "$scratch/rescued" >"$scratch/out" 2>&1 || fail "rescue: $(cat "$scratch/out")"
must_equal "$scratch/as-four" "$scratch/rescued" "rescued"

say "the remote"
varve replicate "$store" >"$scratch/out" 2>&1 || fail "replicate: $(cat "$scratch/out")"
[ "$(find "$scratch/remote/packs" -type f | wc -l)" -ge "$there" ] || fail "the remote lost packs"
python3 - "$scratch/remote/lists" <<'END' || fail "no exact list has travelled"
import pathlib, sys
sys.exit(not any(path.read_bytes()[152] == 2 for path in pathlib.Path(sys.argv[1]).iterdir()))
END
for name in one two three four five; do
  varve restore --passphrase-file "$pw" "$scratch/remote" "set/$name" "$scratch/back-$name" >"$scratch/out" 2>&1 || fail "restore $name: $(cat "$scratch/out")"
  must_equal "$scratch/as-$name" "$scratch/back-$name" "restored from the remote"
done
clean "the remote" "$scratch/remote"

say "a remote that never had what was collected"
mkdir "$scratch/late"
varve remote add --same-disk "$store" late "$scratch/late" >"$scratch/out" 2>&1 || fail "remote add: $(cat "$scratch/out")"
varve replicate "$store" >"$scratch/out" 2>&1 || fail "replicate to a new remote: $(cat "$scratch/out")"
for name in one four five; do
  varve restore --passphrase-file "$pw" "$scratch/late" "set/$name" "$scratch/late-$name" >"$scratch/out" 2>&1 || fail "restore $name: $(cat "$scratch/out")"
  must_equal "$scratch/as-$name" "$scratch/late-$name" "restored from the new remote"
done
clean "the new remote" "$scratch/late"

say "rebuilt"
rm -r "$store/local"
mount_store
for name in one four five; do must_equal "$scratch/as-$name" "$mnt/set/.varve/snapshots/$name" "rebuilt"; done
must_equal "$scratch/as-five" "$mnt/set" "live, rebuilt"
varve snapshot "$mnt/set" six >/dev/null
gc "$mnt"
unmount_store
clean "rebuilt"
fsck.varve -n --passphrase-file "$pw" "$store" >"$scratch/out" 2>&1 || fail "fsck: $(cat "$scratch/out")"
