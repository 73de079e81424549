#!/usr/bin/env bash
# Goal: a drive that is pulled out in the middle, while it is carried to, replicated to or absorbed from, costs what was on its way and nothing else:
# the program ends and says so; plugged in again, what is seen on it is whole, and the next run completes it.
source "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] || fail "needs root"
full && megabytes=256 || megabytes=48

device=
end_device() { [ -z "$device" ] || losetup -d "$device" 2>/dev/null || true; }
trap 'code=$?; umount -l "$scratch"/drive 2>/dev/null || true; end_device; (exit $code) && true; cleanup' EXIT

plug() {  # plug FILESYSTEM
  device=$(losetup --show -f "$scratch/$1.image")
  mount -t "$1" "$device" "$scratch/drive"
}
# pull [DIR BYTES]: the device ends behind its first sector, and what is beyond is an error from now on; when that much more lies in DIR.
pull() {
  python3 - "$device" "$@" <<'END'
import fcntl, os, struct, sys
LOOP_SET_STATUS64, LOOP_GET_STATUS64, SIZE_LIMIT = 0x4C04, 0x4C05, 32


def lies_in(directory):
    total = 0
    for where, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(where, name)).st_size
            except FileNotFoundError:  # renamed meanwhile
                pass
    return total


device = os.open(sys.argv[1], os.O_RDONLY)
status = bytearray(232)
fcntl.ioctl(device, LOOP_GET_STATUS64, status)
struct.pack_into("<Q", status, SIZE_LIMIT, 512)
if len(sys.argv) > 2:
    goal = lies_in(sys.argv[2]) + int(sys.argv[3])
    print("watching", flush=True)
    while lies_in(sys.argv[2]) < goal:
        pass
fcntl.ioctl(device, LOOP_SET_STATUS64, bytes(status))
END
}
put_away() {  # after it was pulled
  umount -l "$scratch/drive"
  losetup -d "$device"
  local i
  for ((i = 0; i < 200; i++)); do losetup "$device" >/dev/null 2>&1 || return 0; sleep 0.05; done
  fail "something holds the drive that was pulled out"
}
plug_again() {
  local status=0
  case $1 in
    ext4) e2fsck -fy "$scratch/ext4.image" >"$scratch/check" 2>&1 || status=$? ;;
    vfat) fsck.vfat -a -w "$scratch/vfat.image" >"$scratch/check" 2>&1 || status=$? ;;
  esac
  [ "$status" -le 1 ] || fail "the drive's own filesystem: $(cat "$scratch/check")"
  plug "$1"
}
new_data() {
  "$here/make_data" random "$1" $((megabytes << 20)) "$mnt/set/file-$1"
  varve snapshot "$mnt/set" "day-$1" >/dev/null
}
is_seen_whole() {  # is_seen_whole DIR
  varve verify --no-key "$1" >"$scratch/verify" || fail "verify $1: $(cat "$scratch/verify")"
}
# in_the_middle STATUS DIR COMMAND...: it is pulled out when a quarter of the data is in DIR
in_the_middle() {
  local wanted=$1 where=$2 i status=0 puller
  shift 2
  pull "$where" $((megabytes << 18)) >"$scratch/pull" 2>&1 &
  puller=$!
  for ((i = 0; i < 200; i++)); do grep -q watching "$scratch/pull" 2>/dev/null && break; sleep 0.05; done
  "$@" >"$scratch/out" 2>&1 || status=$?
  timeout 30 tail --pid="$puller" -f /dev/null || fail "the drive was not pulled: $(cat "$scratch/out")"
  wait "$puller" || fail "the drive was not pulled: $(cat "$scratch/pull")"
  equal "$status" "$wanted" "$* from whose drive was pulled ($(cat "$scratch/out"))"
}

make_store
mount_store
mkdir "$mnt/set" "$scratch/drive" "$scratch/remote"
new_data 1
varve remote add "$store" offsite "$scratch/remote" --same-disk >/dev/null
for filesystem in ext4 xfs vfat; do
  grep -qw "$filesystem" /proc/filesystems || modprobe -q "$filesystem" 2>/dev/null || { say "$filesystem: this kernel has none"; continue; }
  truncate -s $((megabytes * 8))M "$scratch/$filesystem.image"
  "mkfs.$filesystem" "$scratch/$filesystem.image" >/dev/null 2>&1
  plug "$filesystem"

  say "$filesystem: pulled out while it is carried to"
  mkdir "$scratch/drive/carried"
  in_the_middle 2 "$scratch/drive/carried" varve carry "$store" --since offsite "$scratch/drive/carried"
  put_away
  plug_again "$filesystem"
  [ ! -e "$scratch/drive/carried/store.json" ] || is_seen_whole "$scratch/drive/carried"
  rm -rf "$scratch/drive/carried/.tmp-"*
  varve carry "$store" --since offsite "$scratch/drive/carried" >"$scratch/out" 2>&1 || fail "carry again: $(cat "$scratch/out")"
  is_seen_whole "$scratch/drive/carried"

  say "$filesystem: pulled out while it is replicated to"
  mkdir "$scratch/drive/replica"
  varve remote add "$store" "$filesystem" "$scratch/drive/replica" >/dev/null
  in_the_middle 2 "$scratch/drive/replica" varve replicate "$store" --remote "$filesystem" --limit 8M
  put_away
  plug_again "$filesystem"
  is_seen_whole "$scratch/drive/replica"
  varve replicate "$store" --remote "$filesystem" >"$scratch/out" 2>&1 || fail "replicate again: $(cat "$scratch/out")"
  is_seen_whole "$scratch/drive/replica"

  say "$filesystem: pulled out while it is absorbed from"
  mkdir "$scratch/$filesystem-place"
  cp "$store/store.json" "$scratch/$filesystem-place/"
  umount "$scratch/drive"
  losetup -d "$device"
  plug "$filesystem"  # the page cache has none of it
  pull
  status=0
  varve absorb "$scratch/drive/carried" "$scratch/$filesystem-place" >"$scratch/out" 2>&1 || status=$?
  [ "$status" -ne 0 ] || fail "a drive that is gone was absorbed: $(cat "$scratch/out")"
  is_seen_whole "$scratch/$filesystem-place"
  put_away
  plug "$filesystem"
  varve absorb "$scratch/drive/carried" "$scratch/$filesystem-place" >"$scratch/out" 2>&1 || fail "absorb again: $(cat "$scratch/out")"
  varve restore --passphrase-file "$pw" "$scratch/$filesystem-place" set/day-1 "$scratch/back" >/dev/null || fail "restore"
  must_equal "$mnt/set" "$scratch/back" "restored from what the drive brought"
  rm -rf "$scratch/back"
  umount "$scratch/drive"
  losetup -d "$device"
  device=
done
unmount_store
