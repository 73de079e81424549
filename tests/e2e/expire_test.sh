#!/usr/bin/env bash
# Goal: a provider expires snapshots at a remote without a key, in two runs: it shrinks, what is kept is there byte for byte, locked ones stay, the
# site keeps all its own, and replication neither sends again what has expired nor leaves out what a new snapshot needs.
source "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] || fail "needs root"
full && megabytes=64 || megabytes=6

field() { python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); print((d[0] if isinstance(d, list) else d)[sys.argv[2]])' "$scratch/json" "$1"; }
replicate() { varve replicate "$store" --json >"$scratch/json" || fail "replicate: $(cat "$scratch/json")"; }
expire() { varve expire --no-key "$remote" --wait 0 --json "$@" >"$scratch/json" || fail "expire $*: $(cat "$scratch/json")"; }
remote_bytes() { du -sbc "$remote/packs" "$remote/catalog" "$remote/replica" | tail -1 | cut -f1; }
verify() { varve verify --no-key "$1" >"$scratch/verify" || fail "verify $1: $(cat "$scratch/verify")"; }
hash_of() { varve snapshots --json --passphrase-file "$pw" "$store" | python3 -c 'import json, sys; print([s["hash"] for s in json.load(sys.stdin)["snapshots"] if s["name"] == sys.argv[1]][0])' "$1"; }
day() {  # day N: all files of the set are new, and a snapshot is taken
  rm -f "$mnt"/set/*
  "$here/make_data" random "$1" $((megabytes << 20)) "$mnt/set/file-$1"
  mkdir -p "$scratch/days/day-$1"
  cp -a "$mnt/set/." "$scratch/days/day-$1/"
  varve snapshot "$mnt/set" "day-$1" >/dev/null
}
is_at_remote() {  # is_at_remote DAY...: these are in the remote, byte for byte, and no others
  local wanted found
  mkdir -p "$scratch/local" "$scratch/read"
  mount.varve -o "ro,local=$scratch/local,passphrase_file=$pw" "$remote" "$scratch/read" || fail "mount of the remote"
  found=$(ls "$scratch/read/set/.varve/snapshots" | sort | tr '\n' ' ')
  wanted=$(printf 'day-%s\n' "$@" | sort | tr '\n' ' ')
  equal "$found" "$wanted" "snapshots at the remote"
  for wanted in "$@"; do
    diff -r "$scratch/days/day-$wanted" "$scratch/read/set/.varve/snapshots/day-$wanted" || fail "day-$wanted differs at the remote"
  done
  umount "$scratch/read"
}

make_store
mount_store
mkdir "$mnt/set"
for n in 1 2 3 4 5; do day "$n"; done
unmount_store
remote=$scratch/remote
mkdir "$remote"
varve remote add "$store" provider "$remote" --same-disk >/dev/null
replicate
"$VARVE_BIN/publish" "$store" "$pw" lock "$(hash_of day-1)" $(($(date +%s) + 86400))
"$VARVE_BIN/publish" "$store" "$pw" exact
replicate
equal "$(field complete)" True "complete"
before=$(remote_bytes)

say "refused: a live store, what is no rule, what is no remote, two at once"
refused 4 "rmdir MNT/SET/.varve/snapshots/NAME" varve expire --no-key "$store" --keep 'last 3'
refused 1 "hourly" varve expire --no-key "$remote" --keep 'hourly 3'
refused 1 "no-key" varve expire "$remote" --keep 'last 3'
refused 6 "" varve expire --no-key "$scratch/days" --keep 'last 3'
exec 9>"$remote/replica/expiry.lock"
flock 9
refused 4 "a run of expiry is at work" varve expire --no-key "$remote" --keep 'last 3'
exec 9>&-

say "a dry run writes nothing"
find "$remote" -type f | sort >"$scratch/files"
expire --keep 'last 2' --dry-run
equal "$(field snapshots_expired)" 2 "snapshots that would expire"
find "$remote" -type f | sort | diff "$scratch/files" - || fail "a dry run changed files"

say "the first run condemns, the second deletes; a locked one stays"
expire --keep 'last 2'
equal "$(field snapshots_expired)" 2 "snapshots expired"
equal "$(field files_deleted)" 0 "deleted by the first run"
[ "$(remote_bytes)" -ge "$before" ] || fail "the first run deleted something"
verify "$remote"
is_at_remote 1 4 5
expire --keep 'last 2'
[ "$(field files_deleted)" -gt 0 ] || fail "the second run deleted nothing: $(cat "$scratch/json")"
after=$(remote_bytes)
[ "$after" -lt $((before - (2 * megabytes << 20))) ] || fail "the remote shrank from $before to $after bytes only"
verify "$remote"
is_at_remote 1 4 5

say "the site has all its own, and what has expired does not go again"
for n in 1 2 3 4 5; do
  rm -rf "$scratch/back"
  varve restore --passphrase-file "$pw" "$store" "set/day-$n" "$scratch/back" >/dev/null
  diff -r "$scratch/days/day-$n" "$scratch/back" || fail "day-$n differs at the site"
done
replicate
equal "$(field complete)" True "complete after expiry"
equal "$(field files_sent)" 0 "files sent after expiry"
replicate
varve replicate "$store" --relist --json >"$scratch/json"
equal "$(field files_sent)" 0 "files sent by a replicator that looks anew"
is_at_remote 1 4 5

say "what a new snapshot needs goes again"
mount_store
rm -f "$mnt"/set/*
cp -a "$mnt/set/.varve/snapshots/day-2/." "$mnt/set/"
mkdir "$scratch/days/day-6"
cp -a "$scratch/days/day-2/." "$scratch/days/day-6/"
varve snapshot "$mnt/set" day-6 >/dev/null
unmount_store
replicate
equal "$(field complete)" True "complete with day-6"
[ "$(field bytes_sent)" -gt $((megabytes << 20)) ] || fail "what was deleted did not go again: $(cat "$scratch/json")"
verify "$remote"
is_at_remote 1 4 5 6

say "a damaged list stops it, and nothing is lost"
list=$(find "$remote/lists" -type f | head -1)
cp "$list" "$scratch/list"
printf 'X' | dd of="$list" bs=1 seek=200 conv=notrunc status=none
refused 5 "varve heal" varve expire --no-key "$remote" --keep 'last 1' --wait 0
cp "$scratch/list" "$list"
is_at_remote 1 4 5 6
expire --keep 'last 1'
expire --keep 'last 1'
verify "$remote"
is_at_remote 1 6

say "a place without catalog packs: its snapshots count as whole, and go by the rule"
data=$scratch/data
mkdir "$data"
varve remote add "$store" data "$data" --same-disk --catalog distributed --yes >/dev/null
varve replicate "$store" --remote data --json >"$scratch/json" || fail "replicate: $(cat "$scratch/json")"
equal "$(find "$data/catalog" -type f | wc -l)" 0 "catalog packs there"
varve expire --no-key "$data" --keep 'last 1' --wait 0 --json >"$scratch/json" || fail "expire: $(cat "$scratch/json")"
[ "$(field snapshots_expired)" -gt 0 ] || fail "nothing expired there: $(cat "$scratch/json")"
varve expire --no-key "$data" --keep 'last 1' --wait 0 --json >"$scratch/json" || fail "expire: $(cat "$scratch/json")"
[ "$(field files_deleted)" -gt 0 ] || fail "the second run deleted nothing: $(cat "$scratch/json")"
verify "$data"
varve remote set "$store" data --catalog replicated
varve replicate "$store" --remote data --json >"$scratch/json" || fail "replicate: $(cat "$scratch/json")"
equal "$(field complete)" True "complete with catalog packs"
verify "$data"
remote=$data is_at_remote 1 6

say "a remote that is promoted is none to expire at, and none is promoted during a run"
exec 9<"$remote/replica/expiry.lock"
flock 9
refused 4 "a run of expiry is at work" varve promote --passphrase-file "$pw" "$remote"
exec 9<&-
varve promote --passphrase-file "$pw" "$remote" >/dev/null
refused 4 "a promoted remote" varve expire --no-key "$remote" --keep 'last 1'
