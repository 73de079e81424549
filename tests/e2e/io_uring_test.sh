#!/usr/bin/env bash
# Goal: over io_uring the mount gives what it gives over /dev/fuse: rsync, cp, tar and mmap bring the same content, requests that wait hold up no others,
# umount under load and kill -9 end it, and where the kernel offers no ring, or it is not wanted, the mount goes without.
source "$(dirname "$0")/lib.sh"

switch=/sys/module/fuse/parameters/enable_uring
before=$(cat "$switch" 2>/dev/null) || { echo "skipped: this kernel has no FUSE over io_uring (Linux 6.14)"; exit 0; }
[ "$before" = Y ] || [ -w "$switch" ] || { echo "skipped: $switch is off, and only root may switch it on"; exit 0; }
trap 'echo "$before" >"$switch" 2>/dev/null || true; cleanup' EXIT

# mount_over TRANSPORT [OPTIONS]: the kernel looks at its switch when it mounts.
mount_over() {
  [ "$before" = Y ] || echo "$([ "$1" = io_uring ] && echo Y || echo N)" >"$switch"
  mount_store "checkpoint=0${2:+,$2}"
  [ "$before" = Y ] || echo N >"$switch"
  transport=$(varve status --json "$mnt" | python3 -c 'import json, sys; print(json.load(sys.stdin)["transport"])')
  equal "$transport" "$1" "the transport"
}

make_store
"$here/sample_tree" 300 "$scratch/source"
mount_over io_uring

say "rsync, cp and tar bring the same"
mkdir "$mnt/set"
rsync -aHAXS "$scratch/source/" "$mnt/set/rsync/"
cp -a "$scratch/source" "$mnt/set/cp"
mkdir "$mnt/set/tar"
tar -C "$scratch/source" --xattrs --acls --sparse -cf - . | tar -C "$mnt/set/tar" --xattrs --xattrs-include='*' --acls -xpf -
must_equal "$scratch/source" "$mnt/set/rsync" "what rsync wrote"
must_equal "$scratch/source" "$mnt/set/cp" "what cp wrote"
found=$(rsync -rlnci --exclude=socket "$scratch/source/" "$mnt/set/tar/" | grep -v '^\.\|^skipping' || true)
[ -z "$found" ] || fail "what tar wrote differs: $found"
varve snapshot "$mnt/set" one
must_equal "$scratch/source" "$mnt/set/.varve/snapshots/one/cp" "the snapshot"

say "mmap, large requests and many programs at once"
head -c 30000000 /dev/urandom >"$scratch/large"
cp "$scratch/large" "$mnt/set/large"
python3 - "$mnt/set/large" "$scratch/large" <<'PYTHON'
import mmap, sys
for path in sys.argv[1:]:
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        for place in range(5000, len(memory), 1_000_003):
            memory[place:place + 4] = b"mmap"
        memory.flush()
PYTHON
cmp "$scratch/large" "$mnt/set/large" || fail "a mapped file differs"
for i in 1 2 3 4 5 6; do
  { cp -a "$scratch/source" "$mnt/set/at once $i" && sync -f "$mnt/set" && cp "$mnt/set/large" "$mnt/set/large $i"; } &
  copies[i]=$!
done
for i in 1 2 3 4 5 6; do wait "${copies[i]}" || fail "copy $i"; done
for i in 1 2 3 4 5 6; do
  must_equal "$scratch/source" "$mnt/set/at once $i" "copy $i of six at once"
  cmp "$scratch/large" "$mnt/set/large $i" || fail "large copy $i"
done

say "more requests that wait than a ring has places"
python3 - "$mnt/set" <<'PYTHON'
import os, sys, threading
def load(number):
    path = os.path.join(sys.argv[1], f"waits {number}")
    for turn in range(10):
        with open(path, "wb") as file:
            file.write(b"x" * (200_000 + number))
            os.fsync(file.fileno())
        assert len(open(path, "rb").read()) == 200_000 + number
        os.mkdir(path + " directory"); os.rmdir(path + " directory")
threads = [threading.Thread(target=load, args=(number,)) for number in range(40)]
failures = []
threading.excepthook = lambda arguments: failures.append(arguments.exc_value)
[thread.start() for thread in threads]
[thread.join() for thread in threads]
sys.exit(f"{failures[0]}" if failures else 0)
PYTHON

say "umount, and the same over /dev/fuse"
unmount_store
mount_over device io_uring=off
must_equal "$scratch/source" "$mnt/set/cp" "cp, over /dev/fuse"
cmp "$scratch/large" "$mnt/set/large" || fail "the mapped file, over /dev/fuse"
unmount_store
if [ "$before" != Y ]; then
  say "where the kernel offers none"
  mount_over device
  must_equal "$scratch/source" "$mnt/set/rsync" "rsync, over /dev/fuse"
  unmount_store
fi

say "the daemon is told to end under load"
mount_over io_uring
(while cp -a "$scratch/source" "$mnt/set/load" && rm -r "$mnt/set/load"; do :; done) >/dev/null 2>&1 &
load=$!
while [ ! -e "$mnt/set/load" ]; do sleep 0.05; done
kill -TERM "$daemon"
wait "$daemon" || fail "mount.varve ended with status $?"
wait "$load" || true
mountpoint -q "$mnt" && fail "it is still mounted"

say "kill -9 under load"
mount_over io_uring
must_equal "$scratch/source" "$mnt/set/cp" "after the end under load"
rm -rf "$mnt/set/load"
(while cp -a "$scratch/source" "$mnt/set/load" && rm -r "$mnt/set/load"; do :; done) >/dev/null 2>&1 &
load=$!
while [ ! -e "$mnt/set/load" ]; do sleep 0.05; done
crash_daemon
wait "$load" || true
mount_over io_uring
must_equal "$scratch/source" "$mnt/set/cp" "after kill -9"
cmp "$scratch/large" "$mnt/set/large" || fail "the mapped file after kill -9"
unmount_store
