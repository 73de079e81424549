#!/usr/bin/env bash
# Goal: varve-rescue, which knows docs/format.md and nothing else, brings back every snapshot of a store without local/, equal in every
# attribute; from a damaged store it brings back all that is whole, names the rest, and exits nonzero.
source "$(dirname "$0")/lib.sh"
rescue() { "$here/../../tools/varve-rescue" --passphrase-file "$pw" "$@"; }
back=$scratch/back

first=$scratch/first
whole=$scratch/whole
"$here/sample_tree" "${VARVE_FILES:-$([ -n "$sanitized" ] && echo 200 || echo 600)}" "$first"
"$here/make_data" random "$seed" $((12 << 20)) "$first/random"
mkdir "$whole"
cp -a "$first" "$whole/web01"
cp -a "$first/odd" "$whole/Zweite Sätze"
echo "the root's own file" >"$whole/own"
rm -r "$whole/web01/odd/deep"
echo changed >"$whole/web01/odd/many"
ln "$whole/web01/odd/many" "$whole/web01/odd/many more"
printf 'in the middle' | dd of="$whole/web01/random" bs=1 seek=$((5 << 20)) conv=notrunc status=none
touch -d @1700000001 "$whole/web01/random"  # rsync goes by size and seconds
touch -d @1700000000.25 "$whole/web01/odd" "$whole"

make_store
mount_store checkpoint=0
mkdir "$mnt/web01" "$mnt/Zweite Sätze"
rsync -aHAXS "$first/" "$mnt/web01/"
mkdir "$mnt/web01/.varve/snapshots/first"
rsync -aHAXS --delete "$whole/web01/" "$mnt/web01/"
mkdir "$mnt/web01/.varve/snapshots/second"
rsync -aHAXS "$whole/" "$mnt/"
mkdir "$mnt/.varve/snapshots/all"
unmount_store
rm -r "$store/local" "$store/replica"
contents() { find "$store" -printf '%P %y %s %T@\n' | sort | sha256sum; }
before=$(contents)

say "list"
rescue list "$store"
listed() { rescue list --json "$store" | python3 -c 'import json, sys
for s in json.load(sys.stdin)["snapshots"]:
    if s["class"] != "checkpoint": print(s["set"] + "/" + s["name"], s["missing_packs"], end=",")'; }
equal "$(listed)" "web01/first 0,web01/second 0,/all 0," "the snapshots"

say "restore"
# restored SNAPSHOT EXPECTED: into $back, without a complaint
restored() {
  rm -rf "$back"
  rescue restore "$store" "$1" "$back" 2>"$scratch/complaints" || { cat "$scratch/complaints"; fail "restore of $1: status $?"; }
  must_equal "$2" "$back" "$1"
}
restored web01/first "$first"
equal "$(stat -c %b "$back/odd/only a hole")" 0 "blocks of a hole"
[ "$(stat -c %b "$back/odd/sparse")" -lt 1000 ] || fail "a sparse file lost its holes"
equal "$(stat -c %h "$back/odd/deeper/link three")" 3 "link count"
restored web01/second "$whole/web01"
restored /all "$whole"
[ ! -s "$scratch/complaints" ] || { cat "$scratch/complaints"; fail "complaints about a whole store"; }
id=$(rescue list "$store" | awk '$1 == "web01/second" {print $3}')
restored "$id" "$whole/web01"

say "refusals"
# refused STATUS PATTERN ARGUMENT...
refused() {
  local status=0 expected=$1 pattern=$2
  shift 2
  rescue "$@" >"$scratch/out" 2>&1 || status=$?
  equal "$status" "$expected" "the exit code of $*"
  grep -q -- "$pattern" "$scratch/out" || { cat "$scratch/out"; fail "no line with '$pattern'"; }
}
refused 1 "is not empty" restore "$store" web01/first "$back"
refused 1 "only read" restore "$store" web01/first "$store/back"
refused 6 "no snapshot" restore "$store" web01/third "$scratch/none"
refused 6 "no varve store" list "$scratch"
refused 1 "try --help" restore "$store" web01/first
(umask 077; echo wrong >"$scratch/wrong")
refused 3 "wrong passphrase" list --passphrase-file "$scratch/wrong" "$store"
[ ! -e "$scratch/none" ] || fail "a refused restore made its directory"

say "--resume"
echo "other bytes" >"$back/odd/modes"
rm -r "$back/odd/deeper"
ln -s "$scratch" "$back/odd/deeper"
truncate -s 10M "$back/random"
rescue restore --resume "$store" web01/second "$back"
must_equal "$whole/web01" "$back" "a resumed restore"
[ ! -e "$scratch/link three" ] || fail "a symbolic link led out of the directory"
equal "$(contents)" "$before" "the store after all that"

# flip FILE OFFSET: another byte there
flip() { python3 -c 'import sys
with open(sys.argv[1], "r+b") as file:
    file.seek(int(sys.argv[2])); byte = file.read(1)[0]; file.seek(-1, 1); file.write(bytes([byte ^ 4]))' "$1" "$2"; }
pack=$(find "$store/packs" -type f -size +10M | head -1)
name=${pack##*/}
size=$(stat -c %s "$pack")
cp "$pack" "$scratch/pack"

# part SNAPSHOT EXPECTED WHAT [OPTION]: not all is restored, and nothing else than what is named is missing or differs.
part() {
  local status=0
  rm -rf "$back"
  rescue restore "$store" "$1" "$back" >"$scratch/out" 2>"$scratch/complaints" || status=$?
  equal "$status" 5 "$3: the exit code"
  # From the expected tree's side: what is missing here would be deleted there, and directories have their names.
  differences "$back" "$2" >"$scratch/differences"
  ! grep -v '^\*deleting' "$scratch/differences" || fail "$3: something else than missing files differs"
  local named missing
  named=$(grep -c '^varve-rescue: not restored: ' "$scratch/complaints")
  missing=$(wc -l <"$scratch/differences")
  equal "$named" "$missing" "$3: files named and files missing"
  grep -q "^varve-rescue: packs/.*$name" "$scratch/complaints" || fail "$3: the pack is not named"
  say "$3: $named named of $(find "$2" | wc -l)"
}

say "a flipped bit"
flip "$pack" $((size / 3))
part web01/first "$first" "a flipped bit"
grep -q "segment .* does not open" "$scratch/complaints" || fail "the segment is not named"
[ "$(wc -l <"$scratch/differences")" -lt "$(($(find "$first" -type f | wc -l) / 2))" ] || fail "one segment took most files with it"
part /all "$whole" "a flipped bit and the whole mount"


say "files in part"
cp "$scratch/pack" "$pack"
for ((at = 1 << 20; at < size; at += 2 << 20)); do flip "$pack" "$at"; done
part web01/first "$first" "many flipped bits"
[ ! -e "$back/random" ] || fail "the large file was not hit"
rm -rf "$back"
status=0
rescue restore --partial "$store" web01/first "$back" 2>"$scratch/complaints" || status=$?
equal "$status" 5 "the exit code of --partial"
grep -q "restored in part: random: bytes .* read as zeros" "$scratch/complaints" || fail "the file in part is not named"
python3 -c 'import sys
one, other = (open(path, "rb").read() for path in sys.argv[1:])
assert len(one) == len(other)
blocks = [(one[at:at + 4096], other[at:at + 4096]) for at in range(0, len(one), 4096)]
assert all(b == a or all(x == y or y == 0 for x, y in zip(a, b)) for a, b in blocks), "wrong bytes"
assert 0.5 < sum(a == b for a, b in blocks) / len(blocks) < 1, "not the part that is whole"' "$first/random" "$back/random"
cp "$scratch/pack" "$pack"
rescue restore --resume "$store" web01/first "$back"
must_equal "$first" "$back" "the restore when the pack was whole again"

say "damage that costs nothing"
flip "$pack" $((size - 10))
restored web01/first "$first"
grep -q "$name is damaged" "$scratch/complaints" || fail "a damaged trailer is not named"
cp "$scratch/pack" "$pack"
flip "$pack" 50
restored web01/first "$first"
grep -q "$name is damaged" "$scratch/complaints" || fail "a damaged header is not named"
cp "$scratch/pack" "$pack"
mv "$store/lists" "$scratch/lists"
restored web01/second "$whole/web01"
mv "$scratch/lists" "$store/lists"
mv "$store/store.json" "$scratch/store.json"
refused 5 "--without-store-json" list "$store"
refused 3 "wrong passphrase" --without-store-json list --passphrase-file "$scratch/wrong" "$store"
rm -rf "$back"
rescue restore --without-store-json "$store" web01/second "$back"
must_equal "$whole/web01" "$back" "a restore without store.json"
mv "$scratch/store.json" "$store/store.json"

say "a pack that is cut off, then missing"
truncate -s $((size / 2)) "$pack"
part web01/first "$first" "a pack that is cut off"
rm "$pack"
part web01/second "$whole/web01" "a missing pack"
grep -q "$name is missing" "$scratch/complaints" || fail "the pack is not said to be missing"
equal "$(listed)" "web01/first 1,web01/second 1,/all 1," "the snapshots without that pack"
rescue list "$store" >"$scratch/out"
grep -q "1 packs are missing" "$scratch/out" || fail "list does not say that a pack is missing"
cp "$scratch/pack" "$pack"

say "a catalog pack"
catalog=$(find "$store/catalog" -type f -size +20k | head -1)
cp "$catalog" "$scratch/catalog"
name=${catalog##*/}
rm "$catalog"
status=0
rm -rf "$back"
rescue restore "$store" /all "$back" 2>"$scratch/complaints" || status=$?
case $status in
  0) must_equal "$whole" "$back" "without a catalog pack that was not needed" ;;
  5) grep -q "catalog/.*$name" "$scratch/complaints" || fail "the catalog pack is not named" ;;
  *) cat "$scratch/complaints"; fail "status $status without a catalog pack" ;;
esac
cp "$scratch/catalog" "$catalog"
restored /all "$whole"

say "a snapshot's file"
snapshot=$store/snapshots/$(rescue list --json "$store" | python3 -c 'import json, sys; print(json.load(sys.stdin)["snapshots"][0]["hash"])')
cp "$snapshot" "$scratch/snapshot"
flip "$snapshot" 200
refused 5 "snapshots/${snapshot##*/} is passed over" list "$store"
grep -q web01/second "$scratch/out" && ! grep -q web01/first "$scratch/out" || fail "a damaged snapshot is listed, or hides another"
rm -rf "$back"
rescue restore "$store" web01/second "$back" 2>"$scratch/complaints" || fail "a damaged snapshot hinders another one's restore"
must_equal "$whole/web01" "$back" "another snapshot than the damaged one"
cp "$scratch/snapshot" "$snapshot"
