#!/usr/bin/env bash
# Goal: on a full disk (of $1) ENOSPC comes from write(2) or create and never from close alone, known data is still accepted, what was accepted
# is kept, removing works, reading goes on, umount loses nothing that was fsynced, and the store is clean again when there is space.
source "$(dirname "$0")/lib.sh"
kind=$1

new_disk() {  # new_disk NAME: and a store on it
  local image=$scratch/$1.image
  disk=$scratch/$1 store=$scratch/$1/store filler=$scratch/$1/filler
  truncate -s 400M "$image"
  case $kind in
    ext4) mkfs.ext4 -q -m 0 -b 4096 "$image" ;;
    xfs) mkfs.xfs -q "$image" ;;
  esac
  mkdir "$disk"
  mount -o loop "$image" "$disk"
  make_store
  mount_store
}

new_disk first
mkdir "$mnt/set"

"$here/make_data" random "$seed" $((16 << 20)) "$scratch/data"
cp "$scratch/data" "$mnt/set/kept"
mkdir "$mnt/set/.varve/snapshots/"{first,second}
varve sync "$mnt"

# write_until_full FILE: random bytes until ENOSPC, which must come from write or create, within the disk's size.
write_until_full() {
  python3 - "$1" <<'PY'
import errno, os, sys
written = 0
try:
    fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o600)
    while written < 600 << 20:
        written += os.write(fd, os.urandom(1 << 20))
except OSError as error:
    assert error.errno == errno.ENOSPC, error
    print("-- ENOSPC after", written >> 20, "MiB")
    if written:
        os.close(fd)  # not from close alone, and not once more
    sys.exit(0)
sys.exit("no ENOSPC after %d MiB" % (written >> 20))
PY
}
left() { df -B1 --output=avail "$disk" | tail -1 | tr -d ' '; }
fill() {  # another program takes all that is left, and the ballast when it is given back
  local i size
  for ((i = 0; i < 50; i++)); do
    for size in 1M 4k; do dd if=/dev/zero of="$filler" bs=$size oflag=append conv=notrunc status=none 2>/dev/null || true; done
    sync -f "$disk"
    [ "$(left)" -ge 65536 ] || return 0
  done
  fail "$(left) bytes are left"
}
unmount_full() {  # what it could not store it says
  local said
  umount -i "$mnt"
  wait "$daemon" && return 0
  said=$(grep -E "could not be stored|no checkpoint at the end|packs stay open" "$scratch/log" | tail -1)
  [ -n "$said" ] || { tail "$scratch/log"; fail "umount could not store something and did not say so"; }
  say "umount said: $said"
}

say "full by what is written here"
write_until_full "$mnt/set/big" || fail "writing to a full disk"
cmp "$scratch/data" "$mnt/set/kept" || fail "an old file cannot be read on the full disk"
accepted=$(stat -c %s "$mnt/set/big")
sha256sum <"$mnt/set/big" >"$scratch/sum" || fail "what was accepted cannot be read"
cp "$scratch/data" "$mnt/set/known" || fail "known data is refused on a full disk"
cmp "$scratch/data" "$mnt/set/known"
write_until_full "$mnt/set/more" || fail "writing to a full disk again"
unmount_store
mount_store
equal "$(stat -c %s "$mnt/set/big")" "$accepted" "size of what was accepted"
equal "$(sha256sum <"$mnt/set/big")" "$(cat "$scratch/sum")" "what was accepted, after a remount"
cmp "$scratch/data" "$mnt/set/kept" && cmp "$scratch/data" "$mnt/set/known"
rm "$mnt/set/big" "$mnt/set/more" || fail "a file cannot be removed on the full disk"

say "full by another program, to the last byte: $(left) bytes were left"
fill
for n in 1 2 3; do write_until_full "$mnt/set/refused" || fail "writing to a disk that another program filled"; done
rmdir "$mnt/set/.varve/snapshots/first" || fail "a snapshot cannot be removed on the full disk"
mkdir "$mnt/set/.varve/snapshots/third" 2>/dev/null && say "there was space for a snapshot"
rm "$mnt/set/known" || fail "a file cannot be removed on the full disk"
varve sync "$mnt" || fail "removals cannot be made durable on the full disk"
crash_daemon
fill
mount_store
[ ! -e "$mnt/set/known" ] || fail "what was removed durably is back"
[ ! -e "$mnt/set/.varve/snapshots/first" ] || fail "a removed snapshot is back"
cmp "$scratch/data" "$mnt/set/.varve/snapshots/second/kept"

unmount_full
umount "$disk"

say "writers while another program fills the disk and lets go"
new_disk second
mkdir "$mnt/set"
python3 - "$mnt/set" "$filler" "$seed" <<'PY' || fail "writers while the disk fills"
import errno, hashlib, os, random, sys, threading
where, filler, seed = sys.argv[1], sys.argv[2], sys.argv[3]
stop, wrong, kept, synced = threading.Event(), [], {}, set()

def write(number):
    rng, total = random.Random("%s %d" % (seed, number)), 0
    for turn in range(1_000_000):
        if stop.is_set():
            return
        path = os.path.join(where, "w%d-%d" % (number, turn))
        data, done = rng.randbytes(rng.randrange(3 << 20 if total < 50 << 20 else 4096)), 0
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                wrong.append("open: %s" % error)
            stop.wait(0.02)
            continue
        try:
            while done < len(data):
                done += os.write(fd, data[done:done + 200_000])
            if turn % 4 == 0:
                os.fsync(fd)
                synced.add(path)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                wrong.append("write: %s" % error)
            stop.wait(0.02)
        try:
            os.close(fd)
        except OSError as error:
            wrong.append("close: %s" % error)
        kept[path] = data[:done]
        total += done
        if turn % 3 == 0 and path not in synced:
            os.unlink(path)
            del kept[path]

threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
for thread in threads:
    thread.start()
rng = random.Random(seed)
for turn in range(6):
    stop.wait(0.5)
    try:
        with open(filler, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4 << 20))
    except OSError:
        pass
    stop.wait(rng.random())
    if turn < 5:
        os.unlink(filler)
    stop.wait(rng.random() / 2)
stop.set()
for thread in threads:
    thread.join()
for path, data in kept.items():
    with open(path, "rb") as file:
        if file.read() != data:
            wrong.append("%s is not what was accepted" % path)
if wrong:
    sys.exit("; ".join(wrong[:5]))
if not synced:
    sys.exit("nothing was fsynced")
with open(os.path.join(os.path.dirname(filler), "..", "synced"), "w") as out:
    for path in sorted(synced):
        print("%s  %s" % (hashlib.sha256(kept[path]).hexdigest(), path), file=out)
print("-- %d files accepted, %d of them fsynced" % (len(kept), len(synced)))
PY

say "umount on the full disk"
fill
unmount_full
mount_store
sha256sum -c --quiet "$scratch/synced" || fail "what was fsynced is gone"
unmount_full
rm -f "$filler"

say "clean again"
: >"$scratch/log"
mount_store
sha256sum -c --quiet "$scratch/synced" || fail "what was fsynced is gone after there was space again"
cp "$scratch/data" "$mnt/set/after"
mkdir "$mnt/set/.varve/snapshots/after"
unmount_store
mount_store
cmp "$scratch/data" "$mnt/set/.varve/snapshots/after/after"
grep -E "cannot|failed|missing|damage" "$scratch/log" && fail "the log is not clean"
unmount_store
find "$store"/{packs,catalog,lists,snapshots,records,keys} -type f -printf '%f  %p\n' | sha256sum -c --quiet || fail "names are not SHA-256 sums"
umount "$disk"
