#!/usr/bin/env bash
# Goal: who opens a store is changed with the real programs, mounted and not: what was promised opens it, and a remote follows.
source "$(dirname "$0")/lib.sh"

new=$scratch/new third=$scratch/third recovery=$scratch/recovery key=$scratch/key remote=$scratch/remote
for file in "$new" "$third"; do basename "$file" >"$file"; done
head -c 64 /dev/urandom >"$key"
chmod 600 "$new" "$third" "$key"
unset VARVE_PASSPHRASE_FILE
keys() { varve key list --json "$store" | python3 -c 'import json, sys; print(sum(len(g["keys"]) for g in json.load(sys.stdin)["generations"]))'; }
ids() { varve key list --json "$store" | python3 -c 'import json, sys; print("\n".join(k["id"] for g in json.load(sys.stdin)["generations"] for k in g["keys"]))'; }
opens() { varve snapshots "$@" >/dev/null; }

make_store
mount_store
unmount_store
mkdir "$remote"
varve remote add --same-disk "$store" far "$remote" >/dev/null
varve replicate "$store" >/dev/null

say "keys are added, of each kind"
equal "$(keys)" 1 "keys of a new store"
varve key add --passphrase-file "$pw" --new-recovery-key-file "$recovery" "$store"
varve key add --recovery-key-file "$recovery" --new-key-file "$key" "$store"
equal "$(keys)" 3 "keys"
opens --recovery-key-file "$recovery" "$store"
opens --key-file "$key" "$store"
opens --passphrase-file "$pw" "$store"
equal "$(stat -c %a "$recovery")" 600 "mode of the recovery key"
refused 2 "exists" varve key add --passphrase-file "$pw" --new-recovery-key-file "$recovery" "$store"

say "the passphrase is changed while the store is mounted"
mount_store checkpoint=0
mkdir "$mnt/set"
echo before >"$mnt/set/before"
varve snapshot "$mnt/set" one >/dev/null
cp -a "$store/keys" "$scratch/old-keys"
varve key change --passphrase-file "$pw" --new-passphrase-file "$new" "$mnt"
echo after >"$mnt/set/after"
varve snapshot "$mnt/set" two >/dev/null
unmount_store
equal "$(ls "$store/keys" | wc -l)" 1 "generations"
refused_in_a_line 3 "wrong passphrase" varve snapshots --passphrase-file "$pw" "$store"
refused_in_a_line 3 "wrong passphrase" varve key remove --passphrase-file "$pw" "$store" 00
pw=$new
opens --passphrase-file "$pw" "$store"

say "a remote follows, which has missed two changes"
opens --passphrase-file "$scratch/passphrase" "$remote"
varve replicate "$store" >/dev/null
equal "$(ls "$remote/keys")" "$(ls "$store/keys")" "generations at the remote"
refused_in_a_line 3 "wrong passphrase" varve snapshots --passphrase-file "$scratch/passphrase" "$remote"
opens --passphrase-file "$pw" "$remote"
refused_in_a_line 1 "no live store" varve key add --passphrase-file "$pw" --new-passphrase-file "$third" "$remote"

say "an old secret is told from a wrong one where its generation is seen"
cp -a "$scratch/old-keys/." "$store/keys/"
refused_in_a_line 3 "revoked" varve snapshots --passphrase-file "$scratch/passphrase" "$store"
refused_in_a_line 3 "wrong passphrase" varve snapshots --passphrase-file "$third" "$store"

say "rotation: old packs and new ones are read, by rescue too"
mount_store checkpoint=0
refused 4 "mounted" varve key rotate --passphrase-file "$pw" "$store"
unmount_store
varve key rotate --passphrase-file "$pw" "$store"
equal "$(ls "$store/keys" | wc -l)" 1 "generations after a rotation"
mount_store checkpoint=0
equal "$(cat "$mnt/set/before")" before "what was written before the rotation"
head -c 300000 /dev/urandom >"$mnt/set/rotated"
varve snapshot "$mnt/set" three >/dev/null
cp -a "$mnt/set" "$scratch/source"
unmount_store
varve replicate "$store" >/dev/null
epochs() { find "$1/packs" -type f -exec sh -c 'head -c 80 "$1" | tail -c 16 | od -An -tx1' _ {} \; | sort -u | wc -l; }
equal "$(epochs "$store")" 2 "epochs that packs are under"
fsck.varve -n --read-data --passphrase-file "$pw" "$store" >/dev/null || fail "fsck.varve after a rotation"
for place in "$store" "$remote"; do
  rm -rf "$scratch/back"
  "$here/../../tools/varve-rescue" --passphrase-file "$pw" restore "$place" set/three "$scratch/back" >/dev/null
  must_equal "$scratch/source" "$scratch/back" "rescue from $place"
done
varve verify --no-key "$remote" >/dev/null || fail "verify of the remote without a key"

say "removal, down to the last one"
for id in $(ids | head -2); do varve key remove --passphrase-file "$pw" "$store" "${id:0:8}" >/dev/null; done
refused 3 "does not open" varve snapshots --key-file "$key" "$store"
refused_in_a_line 6 "has no key" varve key remove --passphrase-file "$pw" "$store" zz
refused_in_a_line 1 "last key" varve key remove --passphrase-file "$pw" "$store" "$(ids)"
opens --passphrase-file "$pw" "$store"
