#!/usr/bin/env bash
# Goal: a read-only mount changes nothing, -o snapshots=append keeps every snapshot, a user mounts without root, and file handles
# hold over a remount.
source "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] || fail "needs root"

refused() {  # refused MESSAGE COMMAND...: fails with that message
  local message=$1
  shift
  "$@" >"$scratch/out" 2>&1 && fail "'$*' was not refused"
  grep -qi "$message" "$scratch/out" || fail "'$*' is refused otherwise: $(cat "$scratch/out")"
}
files_of_store() { find "$store" -path "$store/local" -prune -o -type f -printf '%P %s ' -exec sha256sum {} \; | sort; }

say "read-only"
make_store
mount_store
mkdir "$mnt/set"
"$here/sample_tree" 50 "$scratch/source"
rsync -aHAXS "$scratch/source/" "$mnt/set/"
mkdir "$mnt/set/.varve/snapshots/one"
unmount_store
files_of_store >"$scratch/before"
mount_store ro
must_equal "$scratch/source" "$mnt/set" "the live tree of a read-only mount"
must_equal "$scratch/source" "$mnt/set/.varve/snapshots/one" "a snapshot in a read-only mount"
file="$mnt/set/odd/modes"
[ -e "$file" ] || fail "the sample tree has no odd/modes any more"
for command in "touch $mnt/set/new" "touch $file" "mkdir $mnt/newset" "rm -r $mnt/set/odd" "mv $file $mnt/set/moved" "ln $file $mnt/set/link" \
  "ln -s x $mnt/set/link" "mkfifo $mnt/set/fifo" "chmod 700 $file" "chown 1 $file" "setfattr -n user.a -v 1 $file" "truncate -s 0 $file" \
  "mkdir $mnt/set/.varve/snapshots/two" "rmdir $mnt/set/.varve/snapshots/one" "varve snapshot $mnt/set two" "varve revert $mnt/set one"; do
  refused "read-only" $command
done
must_equal "$scratch/source" "$mnt/set" "the live tree after changes that were refused"
unmount_store
files_of_store >"$scratch/after"
diff "$scratch/before" "$scratch/after" || fail "a read-only mount changed the store's files"

say "read-only after a crash"
mount_store checkpoint=0
cp "$scratch/source/odd/many" "$mnt/set/written last"
varve sync "$mnt"
crash_daemon
published() { (cd "$store" && find lists snapshots records replica -type f | sort | xargs sha256sum); }
published >"$scratch/before"
mount_store ro
cmp "$scratch/source/odd/many" "$mnt/set/written last" || fail "what was synced before the crash is not there"
unmount_store
published >"$scratch/after"
diff "$scratch/before" "$scratch/after" || fail "a read-only mount published something after a crash"
mount_store
rm "$mnt/set/written last"
unmount_store

say "snapshots=append"
mount_store snapshots=append
mkdir "$mnt/set/.varve/snapshots/two"
refused "not permitted" rmdir "$mnt/set/.varve/snapshots/one"
refused "not permitted" rmdir "$mnt/set/.varve/snapshots/two"
equal "$(ls "$mnt/set/.varve/snapshots" | tr '\n' ' ')" "one two " "snapshots"
rm -r "$mnt/set/odd"
must_equal "$scratch/source" "$mnt/set/.varve/snapshots/one" "a snapshot after the live tree was changed"
unmount_store

say "handles and inode numbers over a remount"
handles() {  # handles ACTION: take or use those of some files
  PYTHONPATH="$here/../posix" python3 - "$1" "$mnt/set" "$scratch/handles" <<'PY'
import os, pickle, sys
from behaviour import equal, errno, file_handle, open_handle, refused
action, root, kept = sys.argv[1:]
os.chdir(root)
paths = ["file", "directory", "directory/below"]
if action == "take":
    os.mkdir("directory")
    for path in ("file", "directory/below", "removed"):
        with open(path, "w") as file:
            file.write(path)
    taken = {path: (file_handle(path), os.stat(path).st_ino) for path in paths + ["removed"]}
    os.unlink("removed")
    with open(kept, "wb") as file:
        pickle.dump(taken, file)
else:
    with open(kept, "rb") as file:
        taken = pickle.load(file)
    for path in paths:
        handle, number = taken[path]
        fd = open_handle(handle)
        equal(os.fstat(fd).st_ino, number)
        if path != "directory":
            equal(os.read(fd, 100), path.encode())
        os.close(fd)
        equal(os.stat(path).st_ino, number)
        equal(file_handle(path), handle)
    refused(errno.ESTALE, open_handle, taken["removed"][0])
PY
}
mount_store
handles take
unmount_store
mount_store
handles use
unmount_store

say "mounted by a user"
as_nobody() { (cd "$home" && setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"); }
home=$scratch/home
mkdir "$home" "$home/bin"
chmod 711 "$scratch"
cp "$VARVE_BIN/mount.varve" "$VARVE_BIN/mkfs.varve" "$home/bin"  # the user may not reach where they were built
cp "$pw" "$home/passphrase"
chown -R 65534:65534 "$home"
device_mode=$(stat -c %a /dev/fuse)
chmod 666 /dev/fuse  # as udev has it
trap 'chmod "$device_mode" /dev/fuse; as_nobody fusermount3 -u -z "$home/mnt" 2>/dev/null || true; pkill -KILL -f "^$home/bin/mount.varve" || true; cleanup' EXIT
as_nobody mkdir "$home/mnt"
as_nobody "$home/bin/mkfs.varve" --no-recovery-key --passphrase-file "$home/passphrase" "$home/store" 2>/dev/null
equal "$(stat -c %a "$home/store")" 700 "mode of a user's store"
as_nobody "$home/bin/mount.varve" "$home/store" "$home/mnt" -o "passphrase_file=$home/passphrase"
refused "permission denied" ls "$home/mnt"
as_nobody mkdir "$home/mnt/set"
as_nobody cp -r "$here" "$home/mnt/set/copy"
as_nobody mkdir "$home/mnt/set/.varve/snapshots/one"
as_nobody diff -r "$here" "$home/mnt/set/.varve/snapshots/one/copy" || fail "a user's snapshot differs"
equal "$(as_nobody stat -c %u:%a "$home/mnt/set")" "65534:755" "owner of a user's set"
as_nobody fusermount3 -u "$home/mnt"
flock -w 60 "$home/store/local/lock" true || fail "the daemon did not end after fusermount3 -u"
grep -qs '^user_allow_other' /etc/fuse.conf || refused "user_allow_other" as_nobody "$home/bin/mount.varve" "$home/store" "$home/mnt" -o "allow_other,passphrase_file=$home/passphrase"
as_nobody "$home/bin/mount.varve" "$home/store" "$home/mnt" -o "passphrase_file=$home/passphrase"
as_nobody diff -r "$here" "$home/mnt/set/copy" || fail "a user's files differ after a remount"
as_nobody fusermount3 -u "$home/mnt"
flock -w 60 "$home/store/local/lock" true || fail "the daemon did not end after the second fusermount3 -u"
