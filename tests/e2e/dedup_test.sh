#!/usr/bin/env bash
# Goal: data written twice, also with 1,000 bytes inserted at its start, stores less than 1 % more; cp inside the mount copies no data.
source "$(dirname "$0")/lib.sh"
size=$((1 << 30))
if [ -n "$sanitized" ]; then size=$((100 << 20)); fi

"$here/make_data" random "$seed" "$size" "$scratch/data"
make_store

write_and_measure() {  # write_and_measure COMMAND...: bytes that it adds to the store
  local before
  before=$(stored_bytes)
  mount_store
  "$@"
  unmount_store
  added=$(($(stored_bytes) - before))
}
at_most_a_percent() { [ "$added" -lt $((size / 100)) ] || fail "$1 stored $added bytes more"; say "$1: $added bytes more"; }

first() { mkdir "$mnt/a" && cp "$scratch/data" "$mnt/a/data"; }
again() { mkdir "$mnt/b" && cp "$scratch/data" "$mnt/b/data"; }
shifted() { (head -c 1000 /dev/urandom && cat "$scratch/data") >"$mnt/b/shifted"; }
clone() { cp "$mnt/b/data" "$mnt/b/clone" && cmp "$mnt/b/clone" "$scratch/data"; }

write_and_measure first
[ "$added" -ge "$size" ] || fail "random bytes shrank to $added"
write_and_measure again
at_most_a_percent "the same data in another set"
write_and_measure shifted
at_most_a_percent "the same data with 1,000 bytes before it"
write_and_measure clone
at_most_a_percent "a copy inside the mount"

mount_store
cmp "$mnt/b/data" "$scratch/data" || fail "second copy differs"
cmp <(tail -c +1001 "$mnt/b/shifted") "$scratch/data" || fail "shifted copy differs"
unmount_store
