#!/usr/bin/env bash
# Goal: a full disk is ENOSPC from write(2), what was accepted is kept, reading goes on, and the store works again when there is space.
source "$(dirname "$0")/lib.sh"

image=$scratch/disk.ext4
truncate -s 400M "$image"
mkfs.ext4 -q -m 0 "$image"
mkdir "$scratch/disk"
mount -o loop "$image" "$scratch/disk"
store=$scratch/disk/store
make_store
mount_store
mkdir "$mnt/set"

"$here/make_data" random "$seed" $((16 << 20)) "$scratch/data"
cp "$scratch/data" "$mnt/set/kept"
sync_all() { varve sync "$mnt"; }
sync_all

status=0
python3 - "$mnt/set/big" <<'EOF' || status=$?
# Writes random bytes until ENOSPC; it must come from write, within the disk's size.
import errno, os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o600)
written = 0
try:
    while written < 600 << 20:
        written += os.write(fd, os.urandom(1 << 20))
except OSError as error:
    assert error.errno == errno.ENOSPC, error
    print("ENOSPC from write after", written >> 20, "MiB")
    os.close(fd)
    sys.exit(0)
sys.exit("no ENOSPC after %d MiB" % (written >> 20))
EOF
[ "$status" -eq 0 ] || fail "writing to a full disk"
cmp "$scratch/data" "$mnt/set/kept" || fail "an old file cannot be read on the full disk"
accepted=$(stat -c %s "$mnt/set/big")
sha256sum <"$mnt/set/big" >"$scratch/sum" || fail "what was accepted cannot be read"
unmount_store
mount_store
equal "$(stat -c %s "$mnt/set/big")" "$accepted" "size of what was accepted"
equal "$(sha256sum <"$mnt/set/big")" "$(cat "$scratch/sum")" "what was accepted, after a remount"
cmp "$scratch/data" "$mnt/set/kept"
rm "$mnt/set/big" || fail "a file cannot be removed on the full disk"
unmount_store
umount "$scratch/disk"
