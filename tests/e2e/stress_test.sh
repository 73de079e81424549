#!/usr/bin/env bash
# Goal: stress-ng's filesystem stressors, all at once, neither end the daemon nor make it tell of errors, and leave a mount that still
# keeps what is written, over a remount and in a snapshot.
source "$(dirname "$0")/lib.sh"

make_store
mount_store
mkdir "$mnt/set" "$mnt/set/stress"
"$here/sample_tree" 40 "$scratch/source"
rsync -aHAXS "$scratch/source/" "$mnt/set/kept/"
seconds=12
full && seconds=300

stressors=(access chdir chmod chown dentry dir dirdeep dirmany fallocate fcntl file-ioctl filename flock fpunch fstat getdent hdd
  inotify io lease link locka lockf lockofd mknod mmap-files-ops open rename seek sendfile sync-file touch unlink utime xattr)
available=$(stress-ng --stressors 2>/dev/null || true)
options=()
used=0
for stressor in "${stressors[@]}"; do
  if grep -qwF -- "$stressor" <<<"$available"; then
    options+=("--$stressor" 1)
    used=$((used + 1))
  fi
done
[ "$used" -ge 25 ] || fail "only $used of the stressors are known to this stress-ng"

say "$used stressors for $seconds s"
status=0
stress-ng "${options[@]}" --timeout "${seconds}s" --seed "$seed" --temp-path "$mnt/set/stress" --hdd-bytes 8m --fallocate-bytes 8m \
  --seek-size 8m --sync-file-bytes 8m --dirdeep-dirs 1 --dirdeep-inodes 2000 >"$scratch/stress" 2>&1 &
stress=$!
rsync -aHAXS "$scratch/source/" "$mnt/set/meanwhile/"
wait "$stress" || status=$?
kill -0 "$daemon" 2>/dev/null || { tail -20 "$scratch/log"; fail "the daemon ended"; }
# 3: a stressor does not work here at all; what it lacks is told by its lines.
[ "$status" -eq 0 ] || [ "$status" -eq 3 ] || { grep -vi 'info:' "$scratch/stress" | head -20; fail "stress-ng ended with $status (VARVE_SEED=$seed)"; }
if grep -iE 'input/output error|not answered|answered twice' "$scratch/log"; then fail "the daemon's log tells of errors"; fi

say "the mount is as it must be"
must_equal "$scratch/source" "$mnt/set/kept" "what the stressors did not touch"
must_equal "$scratch/source" "$mnt/set/meanwhile" "what was written beside them"
cp -a "$mnt/set/stress" "$scratch/left"
mkdir "$mnt/set/.varve/snapshots/after"
must_equal "$scratch/left" "$mnt/set/.varve/snapshots/after/stress" "what the stressors left, in a snapshot"
unmount_store
mount_store
must_equal "$scratch/source" "$mnt/set/kept" "what the stressors did not touch, after a remount"
must_equal "$scratch/source" "$mnt/set/meanwhile" "what was written beside them, after a remount"
must_equal "$scratch/left" "$mnt/set/stress" "what the stressors left, after a remount"
rm -rf "$mnt/set/stress"
[ "$(ls "$mnt/set" | tr '\n' ' ')" = "kept meanwhile " ] || fail "what the stressors left cannot be removed"
unmount_store
