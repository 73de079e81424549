#!/usr/bin/env bash
# Goal: a disk image overwritten at random places ($1: dd, mmap or rsync --inplace) stays equal by checksum, and what is stored anew is
# within 3x of the chunks touched times the mean chunk size.
source "$(dirname "$0")/lib.sh"
how=$1
size=$((300 << 20)) places=1000
if full; then size=$((3 << 30)) places=10000; fi
if [ -n "$sanitized" ]; then size=$((60 << 20)) places=200; fi

say "image of $size bytes, $places places by $how, seed $seed"
"$here/make_data" random "$seed" "$size" "$scratch/image"
make_store
mount_store
mkdir "$mnt/vm"
cp "$scratch/image" "$mnt/vm/image"
cmp "$scratch/image" "$mnt/vm/image" || fail "the image differs after cp"
mkdir "$mnt/vm/.varve/snapshots/before"
unmount_store
before=$(stored_bytes)

mount_store
cp "$scratch/image" "$scratch/changed"
if [ "$how" = rsync ]; then
  read -r written touched < <("$here/make_data" overwrite $((seed + 1)) "$places" pwrite "$scratch/changed")
  # By size and whole seconds alone, rsync would take a copy that was made less than a second before for the same.
  rsync --ignore-times --inplace --no-whole-file "$scratch/changed" "$mnt/vm/image"
else
  read -r written touched < <("$here/make_data" overwrite $((seed + 1)) "$places" "$how" "$mnt/vm/image" "$scratch/changed")
fi
equal "$(sha256sum <"$mnt/vm/image")" "$(sha256sum <"$scratch/changed")" "checksum after the overwrites"
unmount_store
after=$(stored_bytes)
mount_store
equal "$(sha256sum <"$mnt/vm/image")" "$(sha256sum <"$scratch/changed")" "checksum after a remount"
equal "$(sha256sum <"$mnt/vm/.varve/snapshots/before/image")" "$(sha256sum <"$scratch/image")" "the snapshot's checksum"
unmount_store

grown=$((after - before)) bound=$((3 * touched * 32768))
say "wrote $written bytes, touched $touched chunks of 32 KiB, stored $grown bytes anew (bound $bound)"
[ "$grown" -le "$bound" ] || fail "stored $grown bytes anew, more than $bound"
