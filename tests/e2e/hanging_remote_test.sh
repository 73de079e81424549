#!/usr/bin/env bash
# Goal: a remote that is mounted read-only may hang, come back, or lose the process that reads it: what is known goes on, what is not is an error in
# bounded time and there again with the remote, and umount ends the daemon whatever hangs.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/ssh.sh"
[ "$(id -u)" -eq 0 ] || fail "needs root"

mount_reading() { mount.varve "$scratch/near" "$mnt" -o "ro,local=$scratch/dr,passphrase_file=$pw" 2>/dev/null; }
ends() { timeout "$1" bash -c "$2" >"$scratch/out" 2>&1 || fail "while the remote hangs: '$2' ended with status $? ($(cat "$scratch/out"))"; }
helper() { pgrep -f "^varve-fetch $scratch/near\$"; }

make_store
mount_store
mkdir "$mnt/set"
for name in known unknown other last; do "$here/make_data" random "$seed" $((3 << 20)) "$scratch/$name"; seed=$((seed + 1)); done
cp "$scratch"/{known,unknown,other,last} "$mnt/set/"
varve snapshot "$mnt/set" one >/dev/null
unmount_store
start_ssh
varve remote add "$store" far "$scratch/far" --same-disk >/dev/null
varve replicate "$store" --remote far >/dev/null 2>&1
mount_sshfs
mount_reading
one=$mnt/set/.varve/snapshots/one
ls -l "$mnt/set" "$one" >/dev/null
cmp "$scratch/known" "$one/known" || fail "read over sshfs"
varve status "$mnt" >/dev/null
df "$mnt" >/dev/null

say "it hangs"
kill -STOP "$sshfs"
ends 60 "ls -l '$mnt/set' '$one'"
ends 60 "cmp '$scratch/known' '$one/known'"
timeout 120 cat "$one/unknown" >/dev/null 2>"$scratch/out" && fail "what is not here was read from a remote that hangs"
grep -q "Input/output error" "$scratch/out" || fail "a read from a remote that hangs ends otherwise: $(cat "$scratch/out")"
ends 60 "! cat '$one/other'"
ends 60 "cmp '$scratch/known' '$one/known'"
ends 60 "varve status '$mnt'"
ends 60 "cat '$mnt/.varve/status.json'"
ends 60 "df '$mnt'"
mkdir "$scratch/mnt2"
status=0
timeout 60 mount.varve "$scratch/near" "$scratch/mnt2" -o "ro,local=$scratch/dr2,passphrase_file=$pw" >"$scratch/out" 2>&1 || status=$?
equal "$status" 32 "a mount of a remote that hangs ($(cat "$scratch/out"))"
grep -q "does not answer" "$scratch/out" || fail "a mount of a remote that hangs says: $(cat "$scratch/out")"

say "it comes back"
kill -CONT "$sshfs"
for ((i = 0; i < 300; i++)); do cmp "$scratch/unknown" "$one/unknown" >/dev/null 2>&1 && break; sleep 0.1; done
cmp "$scratch/unknown" "$one/unknown" || fail "the remote is back, and cannot be read"
cmp "$scratch/other" "$one/other" || fail "the remote is back, and cannot be read"

say "the process that reads it is killed"
kill -KILL "$(helper)"
for ((i = 0; i < 300; i++)); do cmp "$scratch/last" "$one/last" >/dev/null 2>&1 && break; sleep 0.1; done
cmp "$scratch/last" "$one/last" || fail "no other process reads the remote"

say "umount while it hangs"
echo 3 >/proc/sys/vm/drop_caches
kill -STOP "$sshfs"
timeout 120 cat "$one/last" >/dev/null 2>&1 & # in the middle of it
timeout 60 umount -i -l "$mnt" || fail "umount hangs with the remote"
timeout 60 flock "$scratch/dr/lock" true || fail "the daemon does not end while the remote hangs"
kill -CONT "$sshfs"
for ((i = 0; i < 300; i++)); do helper >/dev/null || break; sleep 0.1; done
helper >/dev/null && fail "the process that reads the remote outlives the mount"
umount "$scratch/near"
