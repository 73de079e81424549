#!/usr/bin/env bash
# Goal: a store of format 1 that was made once stays readable, by varve (restore, mount) and by varve-rescue, which is written from
# docs/format.md alone; all of them bring back what the manifest says.
source "$(dirname "$0")/../e2e/lib.sh"
golden=$(cd "$(dirname "$0")" && pwd)
cp "$golden/passphrase" "$pw"
install -m 600 "$golden/recovery-key" "$scratch/recovery"
cp -r "$golden/format-1" "$store"
rescue() { "$golden/../../tools/varve-rescue" "$@"; }

# must_be SNAPSHOT DIR WHO
must_be() {
  grep "^$1/" "$golden/format-1.manifest" >"$scratch/expected" || fail "$1 is not in the manifest"
  "$golden/manifest" "$1" "$2" >"$scratch/found"
  diff "$scratch/expected" "$scratch/found" >"$scratch/diff" || { head -20 "$scratch/diff"; fail "$1 as $3 brings it back is not what the manifest says"; }
  local sparse
  for sparse in "$2"/sparse/holes "$2"/home/sparse/holes; do
    [ ! -e "$sparse" ] || [ "$(stat -c %b "$sparse")" -lt 2048 ] || fail "$sparse has lost its holes ($3)"
  done
}
equal "$(cut -d/ -f1,2 "$golden/format-1.manifest" | cut -d' ' -f1 | sort -u | tr '\n' ' ')" "/all home/first home/second " "the manifest's snapshots"

say "varve-rescue"
listed=$(rescue --passphrase-file "$pw" list --json "$store" | python3 -c 'import json, sys
for s in json.load(sys.stdin)["snapshots"]:
    print(s["class"], s["set"] + "/" + s["name"], len(s["dropped_at"]), s["missing_packs"], end=",")')
equal "$listed" "set home/first 0 0,set home/dropped 1 0,checkpoint / 0 0,set home/second 0 0,mount /all 0 0,checkpoint / 0 0," "the snapshots"
for snapshot in home/first home/second /all; do
  rescue --passphrase-file "$pw" restore "$store" "$snapshot" "$scratch/read/$snapshot"
  must_be "$snapshot" "$scratch/read/$snapshot" varve-rescue
done
rescue --recovery-key-file "$scratch/recovery" list "$store" >"$scratch/by_recovery_key"
rescue --passphrase-file "$pw" list "$store" | cmp - "$scratch/by_recovery_key" || fail "the recovery key lists something else"
"$golden/../format/writers_test.py" "$pw" "$store" "$scratch/read/home/first"
"$golden/../format/hostile_test.py" "$scratch/hostile"
VARVE_SEED=$seed "$golden/../format/damage_test.py" "$pw" "$store" /all "$scratch/damage" "$(full && echo 2000 || echo 60)"

say "varve-rescue refuses"
printf 'wrong\n' >"$scratch/wrong"
rescue --passphrase-file "$scratch/wrong" list "$store" 2>/dev/null && fail "varve-rescue took a wrong passphrase"
# A byte of each kind of file is changed, and the file gets the name that its bytes then have: only a signature or seal tells.
for folder in keys snapshots records lists; do
  rm -rf "$scratch/forged" "$scratch/forged.out"
  cp -r "$store" "$scratch/forged"
  for file in "$scratch/forged/$folder"/*; do
    printf '\xa5\x5a' | dd of="$file" bs=1 seek=150 conv=notrunc status=none
    mv "$file" "$scratch/forged/$folder/$(sha256sum "$file" | cut -d' ' -f1)"
  done
  status=0
  rescue --passphrase-file "$pw" restore "$scratch/forged" home/first "$scratch/forged.out" 2>"$scratch/refused" || status=$?
  grep -Eq 'a signature is wrong|a seal does not open' "$scratch/refused" || fail "varve-rescue took a forgery in $folder/: $(cat "$scratch/refused")"
  # What lists and records say is not needed to restore: packs are found without, and what is in them is authenticated.
  case $folder in
    keys) equal "$status" 5 "the exit code with forged keys/" ;;
    snapshots) equal "$status" 6 "the exit code with forged snapshots/" ;;
    *) must_be home/first "$scratch/forged.out" "varve-rescue, with forged $folder/," ;;
  esac
done

say "varve restore"
for snapshot in home/first home/second /all; do
  varve restore --passphrase-file "$pw" "$store" "$snapshot" "$scratch/restored/$snapshot"
  must_be "$snapshot" "$scratch/restored/$snapshot" "varve restore"
done
varve restore --recovery-key-file "$scratch/recovery" "$store" home/first "$scratch/recovered"
must_be home/first "$scratch/recovered" "the recovery key"

say "a mount of a copy, then one that is written to"
mount_store checkpoint=0
must_be home/first "$mnt/home/.varve/snapshots/first" "the mount"
must_be home/second "$mnt/home/.varve/snapshots/second" "the mount"
must_be /all "$mnt/.varve/snapshots/all" "the mount"
# A drop binds the replica that it names; a copy is another one, and shows the file that it has.
must_be home/first "$mnt/home/.varve/snapshots/dropped" "the mount of another replica"
must_be home/second "$mnt/home" "the live tree"
echo more >"$mnt/home/more"
mkdir "$mnt/home/.varve/snapshots/third"
unmount_store

say "what this build wrote into it, by varve-rescue"
rescue --passphrase-file "$pw" restore "$store" home/third "$scratch/third"
"$golden/../format/writers_test.py" "$pw" "$store" "$scratch/third"
equal "$(cat "$scratch/third/more")" more "a file of a new snapshot"
rm "$scratch/third/more"
touch -r "$scratch/read/home/second" "$scratch/third"
must_be home/second "$scratch/third" "varve-rescue, from this build's snapshot,"
