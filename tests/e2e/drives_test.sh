#!/usr/bin/env bash
# Goal: a remote is seeded from a drive that cp wrote, later snapshots come by carried drives in any order and again, and the remote restores every
# one of them; inventory says what a drive holds; what is damaged, foreign or missing is told and harms nothing.
source "$(dirname "$0")/lib.sh"
full && megabytes=256 || megabytes=16

new_day() {
  "$here/make_data" mixed "$1" $((megabytes << 20)) "$mnt/set/file-$1"
  cp -a "$mnt/set" "$scratch/original-$1"
  varve snapshot "$mnt/set" "day-$1" >/dev/null
}
of_sets() {  # of_sets whole|lacking DIR: how many snapshots of sets are so there
  varve inventory "$2" --json >"$scratch/json" || fail "inventory $2: $(cat "$scratch/json")"
  python3 -c 'import json, sys
found = json.load(open(sys.argv[1]))
print(sum(s["class"] == "snapshot" and s["whole"] == (sys.argv[2] == "whole") for s in found["snapshots"]))' "$scratch/json" "$1"
}
absorb() { varve absorb "$1" "$remote" >"$scratch/out" 2>&1 || fail "absorb $1: $(cat "$scratch/out")"; }
is_restored() {  # is_restored DAY: at the remote
  rm -rf "$scratch/back"
  varve restore --passphrase-file "$pw" "$remote" "set/day-$1" "$scratch/back" >/dev/null || fail "restore of day-$1"
  must_equal "$scratch/original-$1" "$scratch/back" "day-$1 from the remote"
}
all_of() { (cd "$1" && find packs catalog lists snapshots records keys -type f | sort | xargs sha256sum); }

make_store
mount_store
mkdir "$mnt/set"
new_day 1
remote=$scratch/remote
mkdir "$remote"
varve remote add "$store" offsite "$remote" --same-disk >/dev/null

say "a seed by cp"
mkdir "$scratch/seed"
(cd "$store" && cp -r store.json keys packs catalog lists snapshots records "$scratch/seed/")
equal "$(of_sets whole "$scratch/seed")" 1 "whole snapshots on the seed"
absorb "$scratch/seed"
is_restored 1
varve replicate "$store" --remote offsite --relist --json >"$scratch/json" || fail "replicate after the seed: $(cat "$scratch/json")"
sent=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[0]["bytes_sent"])' "$scratch/json")
[ "$sent" -lt $((1 << 20)) ] || fail "what the seed had brought was sent again: $sent bytes"

say "two carried drives, the later one first, each twice"
new_day 2
mkdir "$scratch/drive-2"
varve carry "$store" --since offsite "$scratch/drive-2" >/dev/null
[ "$(du -sb "$scratch/drive-2" | cut -f1)" -lt $((3 * megabytes << 19)) ] || fail "more than day 2 was carried"
cp -a "$scratch/drive-2" "$scratch/drive-3"  # day 3 goes onto a drive that has day 2, which then loses that
new_day 3
varve carry "$store" --since offsite "$scratch/drive-3" >/dev/null
(cd "$scratch/drive-2" && find packs -type f) | (cd "$scratch/drive-3" && xargs rm)
[ "$(of_sets lacking "$scratch/drive-3")" -ge 1 ] || fail "the third drive should lack what the second has"
absorb "$scratch/drive-3"
[ "$(of_sets whole "$remote")" -eq 1 ] || fail "a snapshot is seen before all that it needs"
absorb "$scratch/drive-2"
absorb "$scratch/drive-3"
absorb "$scratch/drive-2"
equal "$(of_sets whole "$remote")" 3 "whole snapshots at the remote"
equal "$(of_sets lacking "$remote")" 0 "snapshots at the remote that lack something"
for day in 1 2 3; do is_restored "$day"; done
varve verify --no-key "$remote" >/dev/null || fail "verify of the remote"

say "a damaged drive"
new_day 4
mkdir "$scratch/drive-4"
varve carry "$store" --since offsite "$scratch/drive-4" >/dev/null
# What came by drive the site does not know to be there: it is carried again, and passed over.
victim=$(cd "$scratch/drive-4" && find packs -type f -size +20k | sort | while read -r file; do [ -e "$remote/$file" ] || echo "$scratch/drive-4/$file"; done | head -1)
cp "$victim" "$scratch/kept"
printf '\xff\xff\xff\xff' | dd of="$victim" bs=1 seek=9000 conv=notrunc status=none
refused 5 "$(basename "$victim")" varve absorb "$scratch/drive-4" "$remote"
equal "$(of_sets whole "$remote")" 3 "snapshots after a damaged drive"
varve verify --no-key "$remote" >/dev/null || fail "damage was brought in"
cp "$scratch/kept" "$victim"
absorb "$scratch/drive-4"
is_restored 4

say "a foreign drive, an empty one"
make_store "$scratch/other"
all_of "$remote" >"$scratch/before"
refused 5 "store" varve absorb "$scratch/other" "$remote"
mkdir "$scratch/empty"
refused 6 "no varve store" varve absorb "$scratch/empty" "$remote"
all_of "$remote" | diff "$scratch/before" - || fail "a foreign drive changed the remote"
unmount_store
