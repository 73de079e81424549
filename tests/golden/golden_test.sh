#!/usr/bin/env bash
# Goal: a store of format 1 that was made once stays readable, by varve (restore, mount) and by the reader that was written from
# docs/format.md alone; all of them bring back what the manifest says.
source "$(dirname "$0")/../e2e/lib.sh"
golden=$(cd "$(dirname "$0")" && pwd)
cp "$golden/passphrase" "$pw"
install -m 600 "$golden/recovery-key" "$scratch/recovery"
cp -r "$golden/format-1" "$store"
reader() { /usr/bin/python3 "$golden/../format/read_store.py" --passphrase-file "$pw" "$@"; }

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

say "the reader of the format's page"
listed=$(reader list "$store" | cut -d' ' -f3- | grep -v ^checkpoint | sed 's/dropped at [0-9a-f]\{32\})/dropped)/' | tr '\n' ',')
equal "$listed" "set home/first,set home/dropped (dropped),set home/second,mount /all," "the snapshots"
for snapshot in home/first home/second /all; do
  reader restore "$store" "$snapshot" "$scratch/read/$snapshot"
  must_be "$snapshot" "$scratch/read/$snapshot" read_store.py
done
/usr/bin/python3 "$golden/../format/read_store.py" --recovery-key-file "$scratch/recovery" list "$store" >"$scratch/by_recovery_key"
reader list "$store" | cmp - "$scratch/by_recovery_key" || fail "the recovery key lists something else"
/usr/bin/python3 "$golden/../format/cuts.py" "$pw" "$store" "$scratch/read/home/first"

say "the reader refuses"
printf 'wrong\n' >"$scratch/wrong"
/usr/bin/python3 "$golden/../format/read_store.py" --passphrase-file "$scratch/wrong" list "$store" 2>/dev/null && fail "the reader took a wrong passphrase"
# A byte of each kind of file is changed, and the file gets the name that its bytes then have: only a signature or seal tells.
for folder in keys snapshots records lists; do
  rm -rf "$scratch/forged" "$scratch/forged.out"
  cp -r "$store" "$scratch/forged"
  for file in "$scratch/forged/$folder"/*; do
    printf '\xa5\x5a' | dd of="$file" bs=1 seek=150 conv=notrunc status=none
    mv "$file" "$scratch/forged/$folder/$(sha256sum "$file" | cut -d' ' -f1)"
  done
  /usr/bin/python3 "$golden/../format/read_store.py" --passphrase-file "$pw" restore "$scratch/forged" home/first "$scratch/forged.out" 2>"$scratch/refused" || true
  grep -Eq 'a signature is wrong|a seal does not open' "$scratch/refused" || fail "the reader took a forgery in $folder/: $(cat "$scratch/refused")"
  [ "$folder" = records ] || [ ! -e "$scratch/forged.out/plain" ] || fail "the reader restored from forged $folder/"
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

say "what this build wrote into it, by the reader"
reader restore "$store" home/third "$scratch/third"
equal "$(cat "$scratch/third/more")" more "a file of a new snapshot"
rm "$scratch/third/more"
touch -r "$scratch/read/home/second" "$scratch/third"
must_be home/second "$scratch/third" "read_store.py, from this build's snapshot,"
