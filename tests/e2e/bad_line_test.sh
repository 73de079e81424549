#!/usr/bin/env bash
# Goal: over a long line that loses one packet in a hundred, replication by sshfs is complete and verifies at the far end; a line that is cut
# and mended, or cut for good, costs no more than is sent again; and the remote is mounted read-only over it and read.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/ssh.sh"
source "$(dirname "$0")/line.sh"
[ "$(id -u)" -eq 0 ] || fail "needs root"
full && megabytes=256 round_trip=250 || megabytes=12 round_trip=60

new_data() {
  "$here/make_data" random "$1" $((megabytes << 20)) "$mnt/set/file-$1"
  varve snapshot "$mnt/set" "day-$1" >/dev/null
}
arrived() { du -sb "$scratch/far/packs" 2>/dev/null | cut -f1; }
far_is_whole() {
  varve verify --no-key "$scratch/far" >"$scratch/verify" || fail "verify at the far end: $(cat "$scratch/verify")"
  varve inventory --json "$scratch/far" | python3 -c 'import json, sys; sys.exit(not all(s["whole"] for s in json.load(sys.stdin)["snapshots"]))' ||
    fail "a snapshot is seen at the far end that is not whole"
}
replicate_beside() { varve replicate "$store" --remote far --json >"$scratch/json" 2>"$scratch/log-replicate" & replicator=$!; }
field() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[0][sys.argv[2]])' "$scratch/json" "$1"; }
wait_for_bytes() {  # wait_for_bytes N: so much lies at the far end
  local i
  for ((i = 0; i < 1200; i++)); do
    [ "$(arrived)" -lt "$1" ] || return 0
    kill -0 "$replicator" 2>/dev/null || break
    sleep 0.1
  done
  fail "$1 bytes did not arrive: $(arrived); $(cat "$scratch/json" "$scratch/log-replicate")"
}

make_store
mount_store
mkdir "$mnt/set"
"$here/sample_tree" 20 "$mnt/set/tree"
new_data 1
start_line --round-trip "$round_trip" --loss 1 --rate 100
congestion_control bbr
start_ssh
mount_sshfs max_conns=8
varve remote add "$store" far "$scratch/near" >/dev/null

say "the line is cut for some seconds"
replicate_beside
wait_for_bytes $((megabytes << 17))
kill -STOP "$bad_line"
timeout 30 varve status "$store" >/dev/null || fail "status waits for the line"
cp /etc/passwd "$mnt/set/while-it-is-cut"
timeout 30 varve sync "$mnt" || fail "the mount waits for the line"
sleep 2
kill -0 "$replicator" 2>/dev/null || fail "it ended on a line that is cut: $(cat "$scratch/json" "$scratch/log-replicate")"
kill -CONT "$bad_line"
wait "$replicator" || fail "replicate: $(cat "$scratch/json" "$scratch/log-replicate")"
far_is_whole

say "it is cut for good, and another one is made"
cp -a "$mnt/set" "$scratch/original-1"
new_data 2
before=$(arrived)
replicate_beside
wait_for_bytes $((before + (megabytes << 19)))
kill -STOP "$bad_line"
end_sshfs
status=0
wait "$replicator" || status=$?
equal "$status" 2 "replication over a line that is gone ($(cat "$scratch/json" "$scratch/log-replicate"))"
far_is_whole
umount -l "$scratch/near"
kill -CONT "$bad_line"
mount_sshfs max_conns=8
lay_there=$(($(arrived) - before))
replicate_beside
wait "$replicator" || fail "replicate: $(cat "$scratch/json" "$scratch/log-replicate")"
equal "$(field complete)" True "complete"
far_is_whole
bytes=$(field bytes_sent)
# 4 MiB a file under way, and what is no data.
[ "$bytes" -lt $(((megabytes << 20) - lay_there + (20 << 20))) ] || fail "$bytes bytes were sent, though $lay_there lay there"

say "the remote is mounted over the line"
cp -a "$mnt/set" "$scratch/original-2"
unmount_store
mount.varve "$scratch/near" "$mnt" -o "ro,local=$scratch/dr,passphrase_file=$pw" || fail "mount over the line"
ls "$mnt/set" >/dev/null
cmp "$scratch/original-2/file-2" "$mnt/set/.varve/snapshots/day-2/file-2" || fail "read over the line"
must_equal "$scratch/original-1/tree" "$mnt/set/.varve/snapshots/day-2/tree" "mounted over the line"
umount -i "$mnt"
timeout 60 flock "$scratch/dr/lock" true || fail "the daemon does not end"
rm -rf "$scratch/back"
varve restore --passphrase-file "$pw" "$scratch/far" set/day-2 "$scratch/back" >/dev/null
must_equal "$scratch/original-2" "$scratch/back" "restored at the far end"
