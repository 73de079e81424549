#!/usr/bin/env bash
# Goal: after kill -9 at any moment (under rsync, tar, overwrites, snapshots and drops, at umount, while it comes back) one mount.varve brings
# everything back that was promised, and nothing is garbage. VARVE_SEED=N chooses the moments.
source "$(dirname "$0")/lib.sh"
rounds=3
if full; then rounds=400; elif [ -n "$sanitized" ]; then rounds=2; fi

say "$rounds rounds, seed $seed"
make_store
"$here/kill_load" "$seed" "$rounds" "$store" "$mnt" "$pw" "$scratch" || { tail -20 "$scratch/log"; fail "seed $seed"; }
find "$store"/{packs,catalog,lists,snapshots,records,keys} -type f -printf '%f  %p\n' | sha256sum -c --quiet || fail "names are not SHA-256 sums"
