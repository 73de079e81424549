#!/usr/bin/env bash
# Goal: a remote is mounted read-only on a machine that has nothing but the passphrase: live trees and every writer's snapshots are there, byte for
# byte and within hints alone, and nothing whatever is written to the remote.
source "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] || fail "needs root"

refused() {  # refused TEXT COMMAND...: fails in one line that says so
  local text=$1
  shift
  "$@" >"$scratch/refused" 2>&1 && fail "'$*' was not refused"
  grep -qi "$text" "$scratch/refused" || fail "'$*' is refused otherwise: $(cat "$scratch/refused")"
  equal "$(wc -l <"$scratch/refused")" 1 "lines of '$*'"
}
mount_reading() { mount.varve "$remote" "$mnt" -o "ro,local=$1,passphrase_file=$pw"; }
end_reading() {
  umount_soon
  flock -w 60 "$1/lock" true || fail "the daemon of a read-only mount does not end"
}
all_of() { (cd "$1" && { find . -printf '%p %y %s %T@ %m\n' | sort; find . -type f | sort | xargs -d '\n' sha256sum; }); }
status() { python3 -c "import json, sys; print(eval('s' + sys.argv[2], {'s': json.load(open(sys.argv[1]))}))" "$mnt/.varve/status.json" "$1"; }

make_store
mount_store
mkdir "$mnt/web" "$mnt/mail"
"$here/sample_tree" "$([ -n "$sanitized" ] && echo 50 || echo 300)" "$scratch/first"
"$here/make_data" random "$seed" $((6 << 20)) "$scratch/first/large"
rsync -aHAXS "$scratch/first/" "$mnt/web/"
varve snapshot "$mnt/web" one >/dev/null
cp -a "$scratch/first/odd" "$mnt/mail/"
varve snapshot "$mnt/mail" letters >/dev/null
cp -a "$scratch/first" "$scratch/second"
rm -r "$scratch/second/odd/deep"
"$here/make_data" random "$((seed + 1))" $((3 << 20)) "$scratch/second/later"
rsync -aHAXS --delete "$scratch/second/" "$mnt/web/"
varve snapshot "$mnt/web" two >/dev/null
unmount_store

# Another writer of the same store, whose files meet the first one's at the remote.
mkdir "$scratch/branch"
cp -r "$store"/{store.json,keys,packs,catalog,lists,snapshots,records} "$scratch/branch/"
site=$store store=$scratch/branch
mount_store
echo "from the branch" >"$mnt/web/branch"
varve snapshot "$mnt/web" branch >/dev/null
cp -a "$mnt/web" "$scratch/newest" # the remote shows the live trees of the newest checkpoint
unmount_store
store=$site

remote=$scratch/remote
mkdir "$remote"
varve remote add "$store" remote "$remote" --same-disk >/dev/null
varve replicate "$store" --remote remote >/dev/null 2>&1
varve absorb "$scratch/branch" "$remote" >/dev/null 2>&1
mv "$store" "$scratch/gone"

say "without local= it says what to do, and makes nothing"
all_of "$remote" >"$scratch/before"
refused "ro,local=DIR" mount.varve "$remote" "$mnt" -o "ro,passphrase_file=$pw"
refused "is a remote" mount.varve "$remote" "$mnt" -o "passphrase_file=$pw"
refused "add ro" mount.varve "$remote" "$mnt" -o "local=$scratch/dr,passphrase_file=$pw"
mkdir "$scratch/photos"
touch "$scratch/photos/holiday.jpg"
refused "holds something else" mount.varve "$remote" "$mnt" -o "ro,local=$scratch/photos,passphrase_file=$pw"
refused "holds something else" mount.varve "$remote" "$mnt" -o "ro,local=$scratch/gone/local,passphrase_file=$pw"
refused "of its own" mount.varve "$remote" "$mnt" -o "ro,local=$remote/local,passphrase_file=$pw"
rmdir "$remote/local" 2>/dev/null && fail "local= made a directory in the remote"
[ -e "$scratch/gone/local/db/data.mdb" ] || fail "a working copy was taken for a place to work in"
all_of "$remote" >"$scratch/after"
diff "$scratch/before" "$scratch/after" || fail "a mount that was refused wrote to the remote"

say "on a read-only place, with the passphrase alone"
mount --bind "$remote" "$remote"
mount -o remount,bind,ro "$remote"
mount_reading "$scratch/dr"
must_equal "$scratch/newest" "$mnt/web" "the live tree"
must_equal "$scratch/first" "$mnt/web/.varve/snapshots/one" "a snapshot"
must_equal "$scratch/second" "$mnt/web/.varve/snapshots/two" "the last snapshot"
must_equal "$scratch/first/odd" "$mnt/mail/.varve/snapshots/letters/odd" "another set's snapshot"
equal "$(cat "$mnt/web/.varve/snapshots/branch/branch")" "from the branch" "another writer's snapshot"
equal "$(status "['index']['chunks_in_memory'] + s['index']['chunks_in_runs']")" 0 "chunks whose index was read, where hints lead to all of them"
varve status "$mnt" >/dev/null || fail "varve status of a read-only mount"
equal "$(varve snapshots "$mnt" --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["snapshots"]))')" 4 "snapshots"
refused "read-only" touch "$mnt/web/new"
refused "read-only" mkdir "$mnt/web/.varve/snapshots/new"
refused "read-only" varve snapshot "$mnt/web" new
refused "shows .* already" mount_reading "$scratch/dr2"
mkdir "$scratch/mnt2"
refused "working state in $scratch/dr is mounted" mount.varve "$remote" "$scratch/mnt2" -o "ro,local=$scratch/dr,passphrase_file=$pw"
mount.varve "$remote" "$scratch/mnt2" -o "ro,local=$scratch/dr2,passphrase_file=$pw"
must_equal "$scratch/newest" "$scratch/mnt2/web" "a second mount of the remote"
umount -i "$scratch/mnt2"
flock -w 60 "$scratch/dr2/lock" true || fail "the daemon of the second mount does not end"
tar -tf "$mnt/web/.varve/snapshots/one.tar" >/dev/null || fail "a snapshot as an archive"
end_reading "$scratch/dr"

say "names need no data pack; without hints the indexes are read"
# The process that reads it ends with the daemon, or a moment after.
for ((i = 0; i < 100; i++)); do umount "$remote" 2>/dev/null && break; sleep 0.1; done
[ "$i" -lt 100 ] || fail "the remote is busy though nothing reads it any more"
mv "$remote/packs" "$scratch/packs"
mkdir "$remote/packs"
mount_reading "$scratch/dr"
diff <(cd "$scratch/newest" && find . | sort) <(cd "$mnt/web" && find . | sort) || fail "names are missing while data packs are"
diff <(cd "$scratch/first" && find . | sort) <(cd "$mnt/web/.varve/snapshots/one" && find . | sort) || fail "names of a snapshot are missing"
cat "$mnt/web/large" >/dev/null 2>&1 && fail "a file was read whose pack is not there"
end_reading "$scratch/dr"
rmdir "$remote/packs"
mv "$scratch/packs" "$remote/packs"
all_of "$remote" >"$scratch/after"
diff <(grep -v ' d ' "$scratch/before") <(grep -v ' d ' "$scratch/after") || fail "a read-only mount wrote to the remote"

say "what comes while it is mounted is shown; the live tree at the next mount"
mount_reading "$scratch/dr"
mv "$scratch/gone" "$store"
varve absorb "$remote" "$store" >/dev/null 2>&1 # what it gives now is newer than the branch
mnt=$scratch/mnt2
mount_store
echo "new" >"$mnt/web/new"
varve snapshot "$mnt/web" three >/dev/null
unmount_store
mnt=$scratch/mnt
varve replicate "$store" --remote remote >/dev/null 2>&1
for ((i = 0; i < 300; i++)); do [ -e "$mnt/web/.varve/snapshots/three" ] && break; sleep 0.1; done
equal "$(cat "$mnt/web/.varve/snapshots/three/new")" "new" "a snapshot that came while the remote was mounted"
[ ! -e "$mnt/web/new" ] || fail "the live tree changed under a read-only mount"
end_reading "$scratch/dr"
mount_reading "$scratch/dr"
equal "$(cat "$mnt/web/new")" "new" "the live tree at the next mount"
end_reading "$scratch/dr"

say "local= of another store"
make_store "$scratch/other"
rm -rf "$scratch/other/local"
refused "another store" mount.varve "$scratch/other" "$mnt" -o "ro,local=$scratch/dr,passphrase_file=$pw"
