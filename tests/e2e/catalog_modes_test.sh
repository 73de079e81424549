#!/usr/bin/env bash
# Goal: a remote whose catalog packs stay at the site has everything else and says that it is no disaster copy, wherever it is asked; going back makes
# it one again; and nobody comes there by a slip.
source "$(dirname "$0")/lib.sh"
remote=$scratch/remote

new_day() {
  "$here/make_data" mixed "$1" $((4 << 20)) "$mnt/set/file-$1"
  varve snapshot "$mnt/set" "day-$1" >/dev/null
}
replicate() { varve replicate "$store" >"$scratch/out" 2>&1 || fail "replicate: $(cat "$scratch/out")"; }
catalog_packs() { find "$1/catalog" -type f | wc -l; }
says() {  # says TEXT COMMAND...
  local text=$1
  shift
  "$@" >"$scratch/said" 2>&1 || fail "$*: $(cat "$scratch/said")"
  grep -q "$text" "$scratch/said" || fail "$*: '$(cat "$scratch/said")' does not say '$text'"
}
says_not() {
  local text=$1
  shift
  "$@" >"$scratch/said" 2>&1 || fail "$*: $(cat "$scratch/said")"
  ! grep -q "$text" "$scratch/said" || fail "$*: '$(cat "$scratch/said")' says '$text'"
}
no_copy="not a disaster copy"

make_store
mount_store
mkdir "$mnt/set"
new_day 1
mkdir "$remote"

say "it has to be meant"
refused 1 "--yes" varve remote add "$store" offsite "$remote" --same-disk --catalog distributed
[ -z "$(ls -A "$remote")" ] || fail "a remote that was refused was written to"
refused 1 "no catalog mode" varve remote add "$store" offsite "$remote" --same-disk --catalog scattered
varve remote add "$store" offsite "$remote" --same-disk >/dev/null
refused 1 "--yes" varve remote set "$store" offsite --catalog distributed
varve remote set "$store" offsite --catalog distributed --yes
says distributed varve remote list "$store"
varve remote set "$store" offsite --limit 100M
says distributed varve remote list "$store"

say "everything but catalog packs goes, and every door says what that is"
replicate
equal "$(catalog_packs "$remote")" 0 "catalog packs at the remote"
equal "$(find "$remote/packs" -type f | wc -l)" "$(find "$store/packs" -type f | wc -l)" "packs at the remote"
grep -q "everything but catalog packs is there: $no_copy" "$scratch/out" || fail "replicate: $(cat "$scratch/out")"
says "$no_copy" varve status "$store"
says "$no_copy" varve inventory "$remote"
grep -q "whole but for . catalog packs" "$scratch/said" || fail "inventory: $(cat "$scratch/said")"
says "$no_copy" varve verify --no-key "$remote"
says_not "$no_copy" varve verify --no-key "$store"
varve heal "$remote" --from "$store" >"$scratch/out" 2>&1 || fail "heal: $(cat "$scratch/out")"
equal "$(catalog_packs "$remote")" 0 "catalog packs after healing"
mkdir "$scratch/dr-mnt"
mount.varve -o "ro,local=$scratch/dr,passphrase_file=$pw" "$remote" "$scratch/dr-mnt" >"$scratch/log-dr" 2>&1 || true
grep -q "$no_copy" "$scratch/log-dr" || fail "the log of a mount of it: $(cat "$scratch/log-dr")"
umount -i "$scratch/dr-mnt" 2>/dev/null || true

say "and back"
new_day 2
varve remote set "$store" offsite --catalog replicated
says "behind by" varve status "$store"
says "$no_copy" varve inventory "$remote"
replicate
equal "$(catalog_packs "$remote")" "$(catalog_packs "$store")" "catalog packs at the remote"
says_not "$no_copy" varve status "$store"
says_not "$no_copy" varve inventory "$remote"
says_not "$no_copy" varve verify --no-key "$remote"
for day in 1 2; do
  rm -rf "$scratch/back"
  varve restore --passphrase-file "$pw" "$remote" "set/day-$day" "$scratch/back" >/dev/null || fail "restore of day-$day"
  must_equal "$mnt/set/.varve/snapshots/day-$day" "$scratch/back" "day-$day from the remote"
done

say "and there again: what is there stays"
before=$(catalog_packs "$remote")
varve remote set "$store" offsite --catalog distributed --yes
new_day 3
replicate
equal "$(catalog_packs "$remote")" "$before" "catalog packs at the remote"
says "$no_copy" varve inventory "$remote"
rm -rf "$scratch/back"
varve restore --passphrase-file "$pw" "$remote" set/day-2 "$scratch/back" >/dev/null || fail "restore of day-2"
unmount_store
