#!/usr/bin/env bash
# Goal: after kill -9 at random moments under a writer, the mount comes back, snapshots are whole and every file is a consistent earlier state.
source "$(dirname "$0")/lib.sh"
rounds=5
if full; then rounds=100; fi
RANDOM=$((seed % 32768))

"$here/sample_tree" 300 "$scratch/source"
make_store
mount_store
mkdir "$mnt/set"
for ((round = 1; round <= rounds; round++)); do
  (rsync -aHAXS --delete "$scratch/source/" "$mnt/set/" >/dev/null 2>&1 || true
   mkdir "$mnt/set/.varve/snapshots/round$round" 2>/dev/null && touch "$scratch/taken$round"
   rm -rf "$mnt/set/odd" 2>/dev/null || true) &
  writer=$!
  sleep "$((RANDOM % 4)).$((RANDOM % 10))"
  crash_daemon
  wait "$writer" 2>/dev/null || true
  mount_store
  for ((old = 1; old <= round; old++)); do
    if [ -e "$scratch/taken$old" ]; then must_equal "$scratch/source" "$mnt/set/.varve/snapshots/round$old" "snapshot round$old"; fi
  done
  find "$mnt/set" -type f -exec cat {} + >/dev/null || fail "a file cannot be read after a crash"
done
rsync -aHAXS --delete "$scratch/source/" "$mnt/set/"
must_equal "$scratch/source" "$mnt/set" "the live tree after $rounds crashes"
unmount_store
