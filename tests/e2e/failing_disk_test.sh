#!/usr/bin/env bash
# Goal: a store's disk that fails (its device takes no more writes; it is gone) is told by write, fsync, log and status.json, for good until
# the next mount; the daemon lives and ends; afterwards everything fsynced before is there.
source "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] || fail "needs root"

new_disk() {  # new_disk NAME: a real device on a file in memory of 120 MiB that only later needs its space
  backing=$scratch/$1.backing disk=$scratch/$1 store=$scratch/$1/store
  mkdir "$backing" "$disk"
  mount -t tmpfs -o size=120M tmpfs "$backing"
  truncate -s 400M "$backing/image"
  mkfs.ext4 -q -m 0 "$backing/image"
  mount -o loop,errors=continue "$backing/image" "$disk"
  make_store
  mount_store
  mkdir "$mnt/set"
  "$here/make_data" random "$seed" $((8 << 20)) "$scratch/data"
  cp "$scratch/data" "$mnt/set/kept"
  mkdir "$mnt/set/.varve/snapshots/good"
  python3 -c 'import os, sys; fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT); os.write(fd, b"kept" * 100000); os.fsync(fd)' "$mnt/set/synced"
}

# fails_for_good FILE: writes and fsyncs fail, and go on failing; none hangs.
fails_for_good() {
  timeout 120 python3 - "$1" <<'EOF' || fail "$2: the error is not told as it should be"
import errno, os, sys
fd = None
def until_failure(calls):
    global fd
    for _ in range(calls):
        try:
            if fd is None:
                fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(fd, os.urandom(1 << 20))
            os.fsync(fd)
        except OSError as error:
            return error.errno
    return 0
first = until_failure(300)
if first not in (errno.EIO, errno.EROFS):
    sys.exit("300 MiB gave %s" % (os.strerror(first) if first else "no error"))
for _ in range(5):  # no sync is tried again until it succeeds
    if until_failure(1) == 0:
        sys.exit("a later write and fsync succeeded")
print("-- told:", os.strerror(first))
EOF
}

is_told() {
  kill -0 "$daemon" || fail "$1: the daemon died"
  grep -qE "error: " "$scratch/log" || fail "$1: nothing is in the log"
  local i
  for ((i = 0; i < 200; i++)); do  # at the next commit, if nothing before
    python3 -c 'import json, sys; errors = json.load(sys.stdin)["errors"]; sys.exit(not (errors["flushes"] or errors["commits"]))' \
      <"$mnt/.varve/status.json" && return 0
    sleep 0.1
  done
  fail "$1: nothing is in status.json"
}

end_it() {  # the mount ends, and the daemon with it
  umount -i "$mnt" || fail "$1: umount"
  local status=0 i
  for ((i = 0; i < 600; i++)); do kill -0 "$daemon" 2>/dev/null || break; sleep 0.1; done
  kill -0 "$daemon" 2>/dev/null && fail "$1: the daemon does not end"
  wait "$daemon" || status=$?
  [ "$status" -eq 32 ] || fail "$1: the daemon ended with status $status"
}

is_whole_again() {
  : >"$scratch/log"
  mount_store
  cmp "$scratch/data" "$mnt/set/kept" || fail "$1: an old file is not what it was"
  cmp "$scratch/data" "$mnt/set/.varve/snapshots/good/kept" || fail "$1: a snapshot is not what it was"
  equal "$(sha256sum <"$mnt/set/synced")" "$(python3 -c "print('kept' * 100000, end='')" | sha256sum)" "$1: what was fsynced"
  cp "$scratch/data" "$mnt/set/again"
  unmount_store
}

say "a device that takes no more writes"
new_disk thin
fails_for_good "$mnt/set/new" "no more writes"
cmp "$scratch/data" "$mnt/set/kept" || fail "reading does not go on"
is_told "no more writes"
end_it "no more writes"
umount "$disk"
mount -o remount,size=600M "$backing"
status=0
e2fsck -fy "$backing/image" >"$scratch/e2fsck" 2>&1 || status=$?
[ "$status" -le 1 ] || fail "the disk's own filesystem is damaged: $(tail -3 "$scratch/e2fsck")"
mount -o loop "$backing/image" "$disk"
is_whole_again "no more writes"
umount "$disk"

say "a disk that is gone"
new_disk gone
python3 -c 'import fcntl, os, struct, sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack("I", 2))' "$disk"  # FS_IOC_SHUTDOWN
fails_for_good "$mnt/set/new" "gone"
ls -l "$mnt/set" >/dev/null || fail "gone: names cannot be listed"
is_told "gone"
end_it "gone"
umount "$disk"
mount -o loop "$backing/image" "$disk"
is_whole_again "gone"
umount "$disk"
