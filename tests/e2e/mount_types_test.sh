#!/usr/bin/env bash
# Goal: mount -t varve and an fstab entry work as for any filesystem, umount(8) returns when the store is whole, a dead mount is replaced.
source "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] || fail "needs root"

links=()
link_helper() {  # mount(8) and umount(8) look in /sbin only
  if [ ! -e "/sbin/$1" ]; then ln -s "$2" "/sbin/$1" && links+=("/sbin/$1"); fi
}
link_helper mount.varve "$VARVE_BIN/mount.varve"
link_helper umount.varve "$here/../../packaging/umount.varve"
trap 'rm -f "${links[@]}"; cleanup' EXIT

make_store
say "mount -t varve"
mount -t varve "$store" "$mnt" -o "passphrase_file=$pw,checkpoint=5m,noatime"
equal "$(findmnt -n -o FSTYPE,SOURCE "$mnt" | tr -s ' ')" "fuse.varve $store" "findmnt"
mkdir "$mnt/set" && echo hello >"$mnt/set/file"
umount "$mnt"
flock -n "$store/local/lock" true || fail "umount returned while the daemon still held the store"

say "fstab"
cp "$store/local/lock" "$scratch/lock" 2>/dev/null || true
echo "$store $mnt varve passphrase_file=$pw,noauto 0 0" >"$scratch/fstab"
mount --fstab "$scratch/fstab" "$mnt"
equal "$(cat "$mnt/set/file")" hello "file after mounting by fstab"

say "a dead mount is replaced"
daemon=$(pgrep -f "mount.varve $store") || fail "no daemon found"
kill -KILL "$daemon"
for ((i = 0; i < 600; i++)); do kill -0 "$daemon" 2>/dev/null || break; sleep 0.1; done
ls "$mnt" >/dev/null 2>&1 && fail "the mount is not dead"
mount -t varve "$store" "$mnt" -o "passphrase_file=$pw"
equal "$(cat "$mnt/set/file")" hello "file after the dead mount was replaced"

say "a living mount is left alone"
make_store "$scratch/other"
mount.varve "$scratch/other" "$mnt" -o "passphrase_file=$pw" >"$scratch/out" 2>&1 && fail "a living mount was covered"
grep -q "shows $store already" "$scratch/out" || { cat "$scratch/out"; fail "not told whose mount is there"; }
equal "$(cat "$mnt/set/file")" hello "file in the mount that was left alone"

say "a mount waits for the daemon that is ending"
"$here/make_data" random "$seed" $((30 << 20)) "$mnt/set/much"
umount -i "$mnt"  # does not wait
mount -t varve "$store" "$mnt" -o "passphrase_file=$pw"
"$here/make_data" random "$seed" $((30 << 20)) "$scratch/much"
cmp "$scratch/much" "$mnt/set/much" || fail "a file differs after an umount that did not wait"
umount "$mnt"

say "options"
mount.varve "$store" "$mnt" -o "passphrase_file=$pw,no_such_option" >"$scratch/out" 2>&1 && fail "an unknown option was accepted"
grep -q no_such_option "$scratch/out" || fail "the unknown option is not named"
