#!/usr/bin/env bash
# Goal: everyday use as the README shows it: sets, snapshots, revert, restore, status, whole-mount snapshots, hard links, renames.
source "$(dirname "$0")/lib.sh"

make_store
mount_store checkpoint=0
mkdir "$mnt/web01"
"$here/sample_tree" 200 "$scratch/source"
rsync -aHAXS "$scratch/source/" "$mnt/web01/"

say "snapshots by mkdir"
mkdir "$mnt/web01/.varve/snapshots/monday"
[ ! -e "$mnt/.varve/nothing" ] || fail ".varve/nothing exists"
ls -a "$mnt/web01" | grep -qx ".varve" && fail ".varve is listed"
ls "$mnt/web01/.varve/snapshots" | grep -qx monday || fail "monday is not listed"
mkdir "$mnt/web01/.varve/snapshots/monday" 2>/dev/null && fail "a snapshot's name was taken twice"
touch "$mnt/web01/.varve/snapshots/monday/new" 2>"$scratch/err" && fail "a snapshot is writable"
grep -q "Read-only file system" "$scratch/err" || fail "not EROFS: $(cat "$scratch/err")"
must_equal "$scratch/source" "$mnt/web01/.varve/snapshots/monday" "monday"

say "inode numbers of a snapshot are stable, hard links are one file"
number() { stat -c %i "$mnt/web01/.varve/snapshots/monday/odd/link one"; }
before=$(number)
equal "$(stat -c %i "$mnt/web01/.varve/snapshots/monday/odd/deeper/link three")" "$before" "inode number of the other name"
equal "$(stat -c %h "$mnt/web01/.varve/snapshots/monday/odd/link one")" 3 "link count"
unmount_store
mount_store checkpoint=0
equal "$(number)" "$before" "inode number after a remount"

say "names"
echo text >"$mnt/web01/a"
mv "$mnt/web01/a" "$mnt/web01/b"
mv "$mnt/web01/b" "$mnt/outside" 2>/dev/null || fail "mv out of a set (mv copies over EXDEV)"
ln "$mnt/outside" "$mnt/web01/c" 2>/dev/null && fail "a hard link into a set"
mkdir "$mnt/second"
mv "$mnt/second" "$mnt/renamed"
exec 7>"$mnt/web01/open"
rm "$mnt/web01/open"
echo "still here" >&7
grep -q "still here" /proc/self/fd/7 2>/dev/null || [ -s /proc/self/fd/7 ] || fail "an unlinked open file lost its data"
exec 7>&-

say "the whole mount"
mkdir "$mnt/.varve/snapshots/all"
equal "$(cat "$mnt/.varve/snapshots/all/outside")" text "root's own file in the whole mount's snapshot"
must_equal "$mnt/web01" "$mnt/.varve/snapshots/all/web01" "the set in the whole mount's snapshot"

say "varve snapshot, snapshots, status"
varve snapshot "$mnt/web01" tuesday
varve snapshot --json "$mnt/web01" | python3 -c 'import json, re, sys; name = json.load(sys.stdin)["name"]; assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d{6}Z", name), name'
varve snapshots "$mnt" | tee "$scratch/out"
grep -q monday "$scratch/out" || fail "monday is not in varve snapshots"
varve snapshots --json --passphrase-file "$pw" "$store" | python3 -c '
import json, sys
listed = json.load(sys.stdin)["snapshots"]
names = {(s["set"], s["name"]) for s in listed}
assert ("web01", "monday") in names and ("web01", "tuesday") in names and ("", "all") in names, names'
varve status "$mnt"
varve status --json "$mnt" | python3 -m json.tool >/dev/null
python3 -m json.tool <"$mnt/.varve/status.json" >/dev/null || fail "status.json is not JSON"
grep -q '^# TYPE varve_' "$mnt/.varve/metrics" || fail "metrics are not Prometheus text"

say "revert"
echo later >"$mnt/web01/later"
rm "$mnt/web01/odd/many"
varve revert "$mnt/web01" monday
must_equal "$scratch/source" "$mnt/web01" "the set after revert"
[ "$(find "$mnt/web01/.varve/snapshots" -maxdepth 2 -name later | wc -l)" -eq 1 ] || fail "the state before revert was not kept"
echo "life goes on" >"$mnt/web01/odd/many"
equal "$(cat "$mnt/web01/odd/many")" "life goes on" "a write after revert"

say "restore without a mount, resumed"
mkdir "$scratch/restored"
varve restore --passphrase-file "$pw" "$store" web01/monday "$scratch/restored"
must_equal "$scratch/source" "$scratch/restored" "varve restore"
rm -rf "$scratch/restored/odd/deep"
printf 'x' | dd of="$scratch/restored/odd/many" conv=notrunc status=none
touch -d '1999-01-01' "$scratch/restored/odd/modes"
varve restore --passphrase-file "$pw" "$store" web01/monday "$scratch/restored"
must_equal "$scratch/source" "$scratch/restored" "a resumed restore"
unmount_store
varve restore --passphrase-file "$pw" "$store" /all "$scratch/whole"
[ "$(cat "$scratch/whole/outside")" = text ] || fail "restore of a whole mount's snapshot"

say "removing"
mount_store checkpoint=0
rmdir "$mnt/web01/.varve/snapshots/tuesday"
[ ! -e "$mnt/web01/.varve/snapshots/tuesday" ] || fail "tuesday is still there"
rm -rf "$mnt/web01"/*
rmdir "$mnt/web01"
[ -d "$mnt/.varve/sets/web01/snapshots/monday" ] || fail "the removed set's snapshots are not under .varve/sets"
mkdir "$mnt/web01"
must_equal "$scratch/source" "$mnt/web01/.varve/snapshots/monday" "monday after the set came back"
unmount_store
rm -rf "$store/local"
mount_store
must_equal "$scratch/source" "$mnt/web01/.varve/snapshots/monday" "monday after local/ was removed"
[ ! -e "$mnt/web01/.varve/snapshots/tuesday" ] || fail "a dropped snapshot came back"
[ -d "$mnt/renamed" ] || fail "a set is missing after local/ was removed"
equal "$(cat "$mnt/outside")" text "root's own file after local/ was removed"
unmount_store
