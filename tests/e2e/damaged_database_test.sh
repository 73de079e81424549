#!/usr/bin/env bash
# Goal: with a damaged local/db, before a mount or under it, what is read is right or EIO, never wrong and never missing; a daemon that dies of it, or finds it, is followed by
# a mount that says in one line that it is refused, and has all that the last checkpoint had. VARVE_SEED=N chooses the damages.
source "$(dirname "$0")/lib.sh"
rounds=30
if full; then rounds=600; elif [ -n "$sanitized" ]; then rounds=8; fi

say "$rounds damages, seed $seed"
make_store
"$here/database_load" "$seed" "$rounds" "$store" "$mnt" "$pw" "$scratch" || fail "seed $seed"
