#!/usr/bin/env bash
# Goal: a store is replicated, mounted or not, to a directory, a drive and over sshfs; what arrives is a store; a kill, a line that hangs, a full or
# a wrong drive cost nothing but time; and nothing is ever written where the remote is not.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/ssh.sh"
[ "$(id -u)" -eq 0 ] || fail "needs root"
full && megabytes=256 || megabytes=24

field() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[0][sys.argv[2]])' "$scratch/json" "$1"; }
replicate() { varve replicate "$store" --remote "$1" --json "${@:2}" >"$scratch/json" || fail "replicate $*: $(cat "$scratch/json")"; }
is_whole() {  # is_whole REMOTE SET/SNAPSHOT ORIGINAL
  varve verify --no-key "$1" >"$scratch/verify" || fail "verify $1: $(cat "$scratch/verify")"
  rm -rf "$scratch/back"
  varve restore --passphrase-file "$pw" "$1" "$2" "$scratch/back" >/dev/null
  must_equal "$3" "$scratch/back" "restored from $1"
  [ ! -e "$1/local" ] || fail "a remote has no local/"
}
# The process that does the work ends a moment after the one that was started.
none_runs() {
  local lock
  for lock in "$store"/local/replication/*/lock; do flock -w 60 "$lock" true || fail "a replicator still runs"; done
}
new_data() { "$here/make_data" "${2:-mixed}" "$1" $((megabytes << 20)) "$mnt/set/file-$1"; varve snapshot "$mnt/set" "day-$1" >/dev/null; }

make_store
mount_store
mkdir "$mnt/set"
new_data 1

say "a directory; while the store is mounted"
mkdir "$scratch/a"
refused 1 "same-disk" varve remote add "$store" dir "$scratch/a"
[ -z "$(ls -A "$scratch/a")" ] || fail "a refused directory was written to"
varve remote add "$store" dir "$scratch/a" --same-disk >/dev/null
refused 2 "already" varve remote add "$store" dir "$scratch/a" --same-disk
refused 2 "is the remote 'dir' already" varve remote add "$store" again "$scratch/a" --same-disk
refused 1 "lie in one another" varve remote add "$store" inside "$store/packs" --same-disk
refused 6 "there are dir" varve replicate "$store" --remote nowhere
replicate dir
equal "$(field complete)" True "complete"
cp -a "$mnt/set" "$scratch/original"
is_whole "$scratch/a" set/day-1 "$scratch/original"
replicate dir
equal "$(field files_sent)" 0 "files sent by a run with nothing to do"

say "what lies there by cp counts, and bytes sent are few"
new_data 2
cp -r "$store"/packs "$scratch/a/" # short of the rest
replicate dir
[ "$(field bytes_sent)" -lt $((4 << 20)) ] || fail "packs that lay there were sent: $(field bytes_sent) bytes"
equal "$(field complete)" True "complete"

say "a damaged pack is not copied on"
new_data 3
varve sync "$mnt"
for victim in $(find "$store/packs" -type f -printf '%P\n'); do [ -e "$scratch/a/packs/$victim" ] || break; done
cp "$store/packs/$victim" "$scratch/kept-pack"
printf 'X' | dd of="$store/packs/$victim" bs=1 seek=5000 conv=notrunc status=none
refused 5 "do not hash to its name; it is not sent" varve replicate "$store" --remote dir
[ ! -e "$scratch/a/packs/$victim" ] || fail "a damaged pack was copied on"
varve verify --no-key "$scratch/a" >/dev/null || fail "the remote is not whole while a pack is damaged here"
cp "$scratch/kept-pack" "$store/packs/$victim"
replicate dir
equal "$(field complete)" True "complete after the pack was mended"

say "another store, and a directory with something else"
make_store "$scratch/other"
refused 5 "of another store" varve remote add "$scratch/other" foreign "$scratch/a" --same-disk
mkdir "$scratch/photos"
touch "$scratch/photos/holiday.jpg"
refused 1 "holds something else" varve remote add "$store" photos "$scratch/photos" --same-disk

say "a drive: absent, wrong, full, rolled back"
truncate -s 1G "$scratch/drive.image"
mkfs.ext4 -q -m 0 "$scratch/drive.image"
mkdir "$scratch/drive"
mount -o loop "$scratch/drive.image" "$scratch/drive"
varve remote add "$store" drive "$scratch/drive" >/dev/null
replicate drive
umount "$scratch/drive"
cp --sparse=always "$scratch/drive.image" "$scratch/drive-of-yesterday.image"
new_data 4
refused 6 "is it mounted" varve replicate "$store" --remote drive
[ -z "$(ls -A "$scratch/drive")" ] || fail "something was written under an empty mountpoint"
varve ready "$store" || fail "nobody is to wait for the drive"
varve remote set "$store" drive --on-link-loss stop
refused 2 "remote 'drive' is not reached: .*is it mounted" varve ready "$store"
refused 1 "go-on or stop" varve remote set "$store" drive --on-link-loss wait
mount --bind "$scratch/a" "$scratch/drive"
refused 5 "another place of this store" varve replicate "$store" --remote drive
umount "$scratch/drive"
mount -o loop "$scratch/drive.image" "$scratch/drive"
fallocate -l "$(df --output=avail -B1 "$scratch/drive" | tail -1)" "$scratch/drive/filler" 2>/dev/null || true
refused 7 "No space left" varve replicate "$store" --remote drive
varve verify --no-key "$scratch/drive" >/dev/null || fail "the full drive is not whole"
rm "$scratch/drive/filler"
refused 2 "No space left" varve ready "$store"
varve ready --wait 600 "$store" &
waits=$!
replicate drive
wait "$waits" || fail "a job that waits for the drive was not told that it is back"
varve ready "$store" || fail "the drive is back, and jobs do not begin"
equal "$(field complete)" True "complete with room again"
umount "$scratch/drive"
mount -o loop "$scratch/drive-of-yesterday.image" "$scratch/drive"
refused 5 "rolled back" varve replicate "$store" --remote drive
replicate drive --relist
rm -rf "$scratch/original"
cp -a "$mnt/set" "$scratch/original"
is_whole "$scratch/drive" set/day-4 "$scratch/original"

say "kill -9, again and again: it goes on where it was, and no half file is under a final name"
new_data 5 random
kills=0
missing=$(varve status --json "$store" | python3 -c 'import json, sys; print([r for r in json.load(sys.stdin)["remotes"] if r["name"] == "drive"][0]["bytes_behind"])')
[ "$missing" -gt $((8 << 20)) ] || fail "only $missing bytes behind"
while [ "$kills" -lt 4 ]; do
  varve replicate "$store" --remote drive --limit 6M >/dev/null 2>&1 &
  pid=$!
  for ((i = 0; i < 100; i++)); do
    find "$scratch/drive/packs" -name '.tmp-*' -size +"$((kills * 2 + 4))"M | grep -q . && break
    sleep 0.05
  done
  kill -KILL "$pid" 2>/dev/null || break
  wait "$pid" 2>/dev/null || true
  none_runs
  kills=$((kills + 1))
  varve verify --no-key "$scratch/drive" >/dev/null || fail "the drive is not whole after kill $kills"
done
before=$(find "$scratch/drive/packs" -name '.tmp-*' -printf '%s\n' | sort -n | tail -1)
replicate drive
equal "$(field complete)" True "complete after $kills kills"
[ "$(field bytes_sent)" -lt $((missing - ${before:-0} + (9 << 20))) ] || fail "resuming sent $(field bytes_sent) of $missing bytes, though ${before:-0} lay there"
[ -z "$(find "$scratch/drive" -name '.tmp-*')" ] || fail "temporary files are left"
unmount_store
umount "$scratch/drive"

say "over sshfs; unmounted"
start_ssh
mount_sshfs
varve remote add "$store" far "$scratch/near" >/dev/null
varve remote set "$store" far --limit 'mon-sun 12M'
varve replicate "$store" --remote far >"$scratch/out" 2>&1 &
pid=$!
for ((i = 0; i < 300; i++)); do find "$scratch/far/packs" -type f 2>/dev/null | grep -q . && break; sleep 0.05; done

say "sshfs hangs: status answers, the store mounts and unmounts, a signal ends the replicator"
kill -STOP "$sshfs"
timeout 60 varve status "$store" >"$scratch/status" || fail "status hangs with the remote"
grep -q "far .*behind by" "$scratch/status" || fail "status: $(cat "$scratch/status")"
refused 4 "another process" varve replicate "$store" --remote far
mount_store
timeout 120 bash -c "cp /etc/passwd '$mnt/set/while-it-hangs' && ls '$mnt/set' >/dev/null && df '$mnt' >/dev/null && varve sync '$mnt'" || fail "the mount hangs with the remote"
unmount_store
kill -TERM "$pid"
timeout 120 tail --pid="$pid" -f /dev/null || fail "the replicator does not end while the remote hangs"
wait "$pid" && fail "a replication that was stopped ended with success"
kill -CONT "$sshfs"
none_runs

say "the line breaks and comes back"
varve replicate "$store" --remote far --watch >"$scratch/watch" 2>&1 &
pid=$!
sleep 1
kill -KILL "$sshfs"
umount -l "$scratch/near"
sleep 1
[ -z "$(ls -A "$scratch/near")" ] || fail "something was written under the mountpoint of a broken line"
mount_sshfs
varve remote set "$store" far --limit ''
complete() { varve status --json "$store" | python3 -c 'import json, sys; sys.exit([r for r in json.load(sys.stdin)["remotes"] if r["name"] == "far"][0]["files_behind"] != 0)'; }
for ((i = 0; i < 1200; i++)); do complete && break; sleep 0.1; done
complete || fail "watching did not complete the remote: $(cat "$scratch/watch"; varve status "$store")"
kill -TERM "$pid"
wait "$pid" || fail "watching ended with status $?: $(cat "$scratch/watch")"
umount "$scratch/near"
varve verify --no-key "$scratch/far" >/dev/null || fail "the far end is not whole"
rm -rf "$scratch/back"
varve restore --passphrase-file "$pw" "$scratch/far" set/day-4 "$scratch/back" >/dev/null
must_equal "$scratch/original" "$scratch/back" "restored from the far end"

say "a remote that is opened as a store of its own shows the same files"
cp -r "$scratch/far" "$scratch/reopened"
rm -r "$scratch/reopened/replica"
store=$scratch/reopened
mount_store
must_equal "$scratch/original" "$mnt/set/.varve/snapshots/day-4" "mounted"
[ -e "$mnt/set/while-it-hangs" ] || fail "the last checkpoint did not travel"
unmount_store
