#!/usr/bin/env bash
# Goal: after kill -9 at any moment (under rsync, tar, overwrites, snapshots and drops, at umount, while it comes back) one mount.varve brings
# everything back that was promised, and nothing is garbage. VARVE_SEED=N chooses the moments.
source "$(dirname "$0")/lib.sh"
stores=1 rounds=3
# What has to be compared grows from round to round: many rounds are several stores'.
if full; then stores=20 rounds=20; elif [ -n "$sanitized" ]; then rounds=2; fi

for ((number = 0; number < stores; number++)); do
  say "$rounds rounds, seed $((seed + number))"
  part=$scratch/$number
  mkdir -p "$part/mnt"
  make_store "$part/store"
  "$here/kill_load" "$((seed + number))" "$rounds" "$part/store" "$part/mnt" "$pw" "$part" ||
    { tail -20 "$part/log"; fail "seed $((seed + number))"; }
  find "$part"/store/{packs,catalog,lists,snapshots,records,keys} -type f -printf '%f  %p\n' | sha256sum -c --quiet ||
    fail "names are not SHA-256 sums"
  rm -rf "$part"
done
