#!/usr/bin/env bash
# Goal: a provider expires without a key, again and again, at a remote that holds what a site has evicted: everything that the site shows still restores.
# What no hold names goes there by the rule.
source "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] || fail "needs root"
full && megabytes=64 || megabytes=6

field() { python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); print((d[0] if isinstance(d, list) else d)[sys.argv[2]])' "$scratch/json" "$1"; }
replicate() { varve replicate "$store" --json >"$scratch/json" 2>"$scratch/err" || fail "replicate: $(cat "$scratch/json" "$scratch/err")"; }
evict() { varve evict "$mnt" --remote provider --json >"$scratch/json" 2>"$scratch/err" || fail "evict: $(cat "$scratch/err")"; }
expire() { varve expire --no-key "$remote" --wait 0 --keep 'last 1' --json >"$scratch/json" 2>"$scratch/err" || fail "expire: $(cat "$scratch/json" "$scratch/err")"; }
verify() { varve verify --no-key "$remote" >"$scratch/verify" 2>&1 || fail "verify ($1): $(cat "$scratch/verify")"; }
packs_in() { (cd "$1/packs" && find . -type f ! -name '.tmp-*' | sort); }
day() {  # day N: all files of the set are new, and a snapshot is taken
  rm -f "$mnt"/set/*
  "$here/make_data" random "$((seed * 100 + $1))" $((megabytes << 20)) "$mnt/set/file-$1"
  mkdir -p "$scratch/days/day-$1"
  cp -a "$mnt/set/." "$scratch/days/day-$1/"
  varve snapshot "$mnt/set" "day-$1" >/dev/null
}
all_restore() {  # all_restore WHEN DAY...: through the mount, and by the command
  local when=$1 n
  shift
  for n in "$@"; do
    diff -r "$scratch/days/day-$n" "$mnt/set/.varve/snapshots/day-$n" || fail "$when: day-$n differs in the mount"
    rm -rf "$scratch/back"
    varve restore --passphrase-file "$pw" "$store" "set/day-$n" "$scratch/back" >"$scratch/out" 2>&1 || fail "$when: restore of day-$n: $(cat "$scratch/out")"
    diff -r "$scratch/days/day-$n" "$scratch/back" || fail "$when: day-$n differs, restored"
  done
}

make_store
mount_store
mkdir "$mnt/set"
for n in 1 2 3 4; do day "$n"; done
unmount_store  # its checkpoint bundles the last indexes
remote=$scratch/remote
mkdir "$remote"
varve remote add "$store" provider "$remote" --same-disk >/dev/null
replicate
mount_store

say "evicted under a hold"
packs_in "$store" >"$scratch/before"
evict
replicate
evict
[ "$(field packs)" -ge 4 ] || fail "$(field packs) packs are evicted"
packs_in "$store" | comm -23 "$scratch/before" - >"$scratch/evicted"
[ "$(wc -l <"$scratch/evicted")" -ge 4 ] || fail "$(wc -l <"$scratch/evicted") packs are not here any more"

say "what no hold names comes there, too, and an exact list lets older snapshots' packs go"
day 5
day 6
unmount_store
"$VARVE_BIN/publish" "$store" "$pw" exact
replicate
equal "$(field complete)" True "complete"
mount_store
packs_in "$remote" >"$scratch/there"

say "expiry, twice: what is held stays, what is not goes"
expire
equal "$(field snapshots_expired)" 5 "snapshots expired"
all_restore "after the first run" 1 2 3 4 5 6
expire
[ "$(field files_deleted)" -gt 0 ] || fail "the second run deleted nothing: $(cat "$scratch/json")"
packs_in "$remote" | comm -23 "$scratch/there" - >"$scratch/gone"
[ -s "$scratch/gone" ] || fail "no pack has gone there, though day-5 is held by nobody"
equal "$(comm -12 "$scratch/gone" "$scratch/evicted" | wc -l)" 0 "evicted packs that are gone at the remote"
verify "expired"
all_restore "after the second run" 1 2 3 4 5 6

say "again, with a mount that has read nothing yet, and after the loss of local/"
expire
expire
unmount_store
fsck.varve -n --passphrase-file "$pw" "$store" >"$scratch/out" 2>&1 || fail "fsck: $(cat "$scratch/out")"
mv "$store/local" "$scratch/lost-local"
mount_store
all_restore "rebuilt" 1 2 3 4 5 6
unmount_store
