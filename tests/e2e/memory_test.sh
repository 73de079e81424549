#!/usr/bin/env bash
# Goal: under 16 writers and readers at once the daemon's memory stays within what -o cache= and dirty= give; in a cgroup of 256 MiB it is
# slower, not killed, and loses nothing.
source "$(dirname "$0")/lib.sh"
megabytes=12
if full; then megabytes=200; elif [ -n "$sanitized" ]; then megabytes=4; fi
# Written data, the pipeline (as it came and compressed), rows, decoded data; and what does not depend on options: buffers of the session, threads,
# compressors, index, what the allocator keeps.
bound=$((32 + 2 * 16 + 16 + 32 + 64))

make_cgroup() {
  local base
  for base in /sys/fs/cgroup/memory /sys/fs/cgroup; do
    [ -e "$base/memory.limit_in_bytes" ] || grep -qsw memory "$base/cgroup.controllers" || continue
    [ -e "$base/cgroup.subtree_control" ] && ! grep -qw memory "$base/cgroup.subtree_control" &&
      ! echo +memory >"$base/cgroup.subtree_control" 2>/dev/null && continue
    mkdir "$base/varve-test.$$" 2>/dev/null || continue
    cgroup=$base/varve-test.$$
    if [ -e "$cgroup/memory.max" ]; then limit=$cgroup/memory.max; else limit=$cgroup/memory.limit_in_bytes; fi
    echo $((256 << 20)) >"$limit" 2>/dev/null && return 0
    rmdir "$cgroup"
  done
  cgroup=
  return 1
}
remove_cgroup() {  # once the processes in it have ended
  local i
  [ -n "${cgroup:-}" ] || return 0
  for ((i = 0; i < 50; i++)); do rmdir "$cgroup" 2>/dev/null && return 0 || sleep 0.1; done
}
trap 'cleanup; remove_cgroup' EXIT
kills() { cat "$cgroup"/memory.events "$cgroup"/memory.oom_control 2>/dev/null | awk '$1 == "oom_kill" {n += $2} END {print n + 0}'; }

watch_memory() {  # the most anonymous memory of process $1, in KiB, as it grows
  local most=0 now
  while now=$(awk '/^RssAnon/ {print $2}' "/proc/$1/status" 2>/dev/null) && [ -n "$now" ]; do
    if [ "$now" -gt "$most" ]; then most=$now && echo "$most" >"$scratch/most"; fi
    sleep 0.05
  done
}

make_store
cgroup=
if [ -n "$sanitized" ]; then
  say "a sanitizer needs more memory than the daemon: it is measured only"
  mount_store cache=32M,dirty=32M
elif [ "$(id -u)" -eq 0 ] && make_cgroup; then
  say "a cgroup of 256 MiB: $cgroup"
  echo "$BASHPID" >"$cgroup/cgroup.procs"
  mount_store cache=32M,dirty=32M
  echo "$BASHPID" >"$(dirname "$cgroup")/cgroup.procs"
else
  say "no cgroup can be made here: memory is measured only"
  mount_store cache=32M,dirty=32M
fi
watch_memory "$daemon" &
mkdir "$mnt/set"

python3 - "$mnt/set" "$seed" $((megabytes << 20)) >"$scratch/sums" <<'EOF' || fail "a writer failed"
# Streams, small files and overwrites, each by several writers at once; what was written is read again, and its sums are printed.
import hashlib, os, random, sys, threading
where, seed, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
wrong, lines = [], []

def stream(rng, path):
    digest = hashlib.sha256()
    with open(path, "wb", buffering=0) as file:
        for _ in range(size >> 20):
            data = rng.randbytes(1 << 19) * 2 if rng.random() < 0.3 else rng.randbytes(1 << 20)
            file.write(data)
            digest.update(data)
    return [(path, digest)]

def small(rng, path):
    os.mkdir(path)
    made = []
    for n in range(size // 10_000):
        data = rng.randbytes(rng.randrange(20_000))
        name = "%s/%d" % (path, n)
        with open(name, "wb", buffering=0) as file:
            file.write(data)
        made.append((name, hashlib.sha256(data)))
    return made

def patches(rng, path):
    content = bytearray(rng.randbytes(size))
    with open(path, "wb+", buffering=0) as file:
        file.write(content)
        for _ in range(size // 20_000):
            at, data = rng.randrange(size - 40_000), rng.randbytes(rng.randrange(40_000))
            os.pwrite(file.fileno(), data, at)
            content[at:at + len(data)] = data
    return [(path, hashlib.sha256(content))]

def work(number):
    try:
        rng = random.Random("%s %d" % (seed, number))
        for path, digest in (stream, small, patches, stream)[number % 4](rng, os.path.join(where, "w%d" % number)):
            with open(path, "rb") as file:
                again = hashlib.file_digest(file, "sha256") if hasattr(hashlib, "file_digest") else hashlib.sha256(file.read())
            if again.digest() != digest.digest():
                wrong.append("%s is another" % path)
            lines.append("%s  %s" % (digest.hexdigest(), path))
    except Exception as error:
        wrong.append("writer %d: %s" % (number, error))

threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("\n".join(lines))
if wrong:
    sys.exit("; ".join(wrong[:5]))
EOF
mkdir "$mnt/set/.varve/snapshots/all"
(cd "$mnt/set/.varve/snapshots/all" && sed "s|$mnt/set/|./|" "$scratch/sums" | sha256sum -c --quiet) || fail "the snapshot differs"
most=$(($(cat "$scratch/most") / 1024))
say "the daemon had $most MiB at most (bound $bound)"
[ -z "$cgroup" ] || equal "$(kills)" 0 "processes killed for want of memory"
unmount_store
[ -n "$sanitized" ] || [ "$most" -le "$bound" ] || fail "$most MiB are more than $bound"
