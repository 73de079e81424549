#!/usr/bin/env bash
# Goal: a checkpoint is taken by itself after a change, and a lost local/ costs no more than what came after it; fsynced data survives kill -9.
source "$(dirname "$0")/lib.sh"

make_store
mount_store checkpoint=2s
mkdir "$mnt/set"
echo early >"$mnt/set/early"
count() { find "$store/snapshots" -type f | wc -l; }
soon() { for ((i = 0; i < 600; i++)); do "$@" && return 0; sleep 0.1; done; return 1; }
some() { [ "$(count)" -ge 1 ]; }
few() { [ "$(count)" -le 2 ]; }  # an older one goes after the newer one is there
rested() { local before; before=$(ls "$store/snapshots"); sleep 5; [ "$(ls "$store/snapshots")" = "$before" ]; }
soon some || fail "no checkpoint after a minute"
for n in 1 2 3 4; do echo "$n" >"$mnt/set/later$n"; sleep 2.5; done
soon few || fail "$(count) checkpoints are kept"
soon rested || fail "checkpoints go on being taken while nothing changes"
crash_daemon
rm -rf "$store/local"
mount_store
equal "$(cat "$mnt/set/early")" early "file before the checkpoint"
equal "$(cat "$mnt/set/later3")" 3 "file before the last checkpoint"
[ -z "$(ls "$mnt/.varve/snapshots")" ] || fail "checkpoints are listed"

say "fsync, then kill -9"
python3 -c 'import os, sys; fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT); os.write(fd, b"kept" * 100000); os.fsync(fd)' "$mnt/set/synced"
crash_daemon
mount_store
equal "$(stat -c %s "$mnt/set/synced")" 400000 "size of what was fsynced"
equal "$(sha256sum <"$mnt/set/synced")" "$(python3 -c "print('kept' * 100000, end='')" | sha256sum)" "what was fsynced"
unmount_store
