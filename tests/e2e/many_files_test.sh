#!/usr/bin/env bash
# Goal: a directory of very many entries is created, listed, snapshotted, changed and removed.
source "$(dirname "$0")/lib.sh"
count=20000
if full; then count=1000000; elif [ -n "$sanitized" ]; then count=3000; fi

make_store
mount_store
mkdir -p "$mnt/set/many"
say "creating $count files"
python3 - "$mnt/set/many" $count <<'EOF'
import os, sys
where = os.open(sys.argv[1], os.O_RDONLY)
for n in range(int(sys.argv[2])):
    os.close(os.open("file-%07d" % n, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=where))
EOF
equal "$(find "$mnt/set/many" -type f | wc -l)" $count "files listed"
mkdir "$mnt/set/.varve/snapshots/all"
equal "$(find "$mnt/set/.varve/snapshots/all/many" -type f | wc -l)" $count "files in the snapshot"
say "removing while listing"
find "$mnt/set/many" -name '*[13579]' -delete
equal "$(find "$mnt/set/many" -type f | wc -l)" $((count / 2)) "files left"
unmount_store
mount_store
equal "$(find "$mnt/set/many" -type f | wc -l)" $((count / 2)) "files left after a remount"
equal "$(find "$mnt/set/.varve/snapshots/all/many" -type f | wc -l)" $count "files in the snapshot after a remount"
unmount_store
