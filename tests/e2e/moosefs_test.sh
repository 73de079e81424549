#!/usr/bin/env bash
# Goal: a store is replicated to MooseFS (a master, a chunk server and a mount, in a network of the test's own), verifies there, goes on after the
# chunk server was away, and is mounted read-only and restored from there.
source "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] || fail "needs root"
full && megabytes=512 || megabytes=24

# MooseFS refuses the loopback.
address=10.78.0.1
moose=$scratch/moose near=$scratch/near
servers=()
end_moosefs() {
  # It gives up a mount in time only while its servers run.
  umount -l "$near" 2>/dev/null || true
  kill -CONT "${servers[@]}" 2>/dev/null || true
  kill -KILL "${servers[@]}" "$network" 2>/dev/null || true
}
trap 'code=$?; end_moosefs; (exit $code) && true; cleanup' EXIT

in_network() { nsenter "--net=/proc/$network/ns/net" -- "$@"; }
start() {  # start PROGRAM...: in the network, in the background
  nsenter "--net=/proc/$network/ns/net" -- "$@" >>"$moose/log" 2>&1 &
  servers+=($!)
}
start_moosefs() {
  local i device
  mkdir -p "$moose"/{master,chunk-data,chunks} "$near"
  unshare --net sleep infinity &
  network=$!
  for ((i = 0; i < 200; i++)); do
    [ "$(readlink "/proc/$network/ns/net")" != "$(readlink /proc/self/ns/net)" ] && break
    sleep 0.05
  done
  in_network ip link add moose type veth peer name elk
  in_network ip address add "$address/24" dev moose
  for device in lo moose elk; do in_network ip link set "$device" up; done
  cat >"$moose/master.cfg" <<END
WORKING_USER = root
WORKING_GROUP = root
DATA_PATH = $moose/master
EXPORTS_FILENAME = $moose/exports
MATOML_LISTEN_HOST = $address
MATOCS_LISTEN_HOST = $address
MATOCL_LISTEN_HOST = $address
END
  echo "* / rw,alldirs,admin,maproot=0:0" >"$moose/exports"
  printf 'MFSM NEW' >"$moose/master/metadata.mfs"
  cat >"$moose/chunks.cfg" <<END
WORKING_USER = root
WORKING_GROUP = root
DATA_PATH = $moose/chunk-data
HDD_CONF_FILENAME = $moose/disks
MASTER_HOST = $address
CSSERV_LISTEN_HOST = $address
BIND_HOST = $address
HDD_LEAVE_SPACE_DEFAULT = 16MiB
END
  echo "$moose/chunks" >"$moose/disks"
  start mfsmaster -n -c "$moose/master.cfg" -f start
  for ((i = 0; i < 300; i++)); do grep -q "mfsmaster daemon initialized" "$moose/log" && break; sleep 0.1; done
  start mfschunkserver -n -c "$moose/chunks.cfg" -f start
  chunk_server=$!
  mount_moosefs
}
# It shows no room, and takes none, before a chunk server has told of itself.
has_room() { [ "$(df --output=avail -B1M "$near" | tail -1)" -gt "$megabytes" ]; }
mount_moosefs() {
  local i
  start mfsmount -H "$address" -f "$near"
  for ((i = 0; i < 600; i++)); do mountpoint -q "$near" && has_room && return; sleep 0.1; done
  fail "MooseFS: $(tail -20 "$moose/log")"
}
is_whole() { varve verify --no-key "$near/remote" >"$scratch/verify" || fail "verify: $(cat "$scratch/verify")"; }
new_data() {
  "$here/make_data" mixed "$1" $((megabytes << 20)) "$mnt/set/file-$1"
  varve snapshot "$mnt/set" "day-$1" >/dev/null
}

make_store
mount_store
mkdir "$mnt/set"
"$here/sample_tree" 50 "$mnt/set/tree"
new_data 1
start_moosefs
mkdir "$near/remote"
varve remote add "$store" moose "$near/remote" >/dev/null
varve replicate "$store" --remote moose >"$scratch/out" 2>&1 || fail "replicate: $(cat "$scratch/out")"
is_whole

say "its chunk server hangs, and comes back"
new_data 2
kill -STOP "$chunk_server"
varve replicate "$store" --remote moose >"$scratch/out" 2>&1 &
replicator=$!
sleep 2
timeout 30 varve status "$store" >/dev/null || fail "status waits for MooseFS"
date >"$mnt/set/while-it-hangs"
timeout 30 varve sync "$mnt" || fail "the mount waits for MooseFS"
kill -CONT "$chunk_server"
wait "$replicator" || varve replicate "$store" --remote moose >"$scratch/out" 2>&1 || fail "replicate: $(cat "$scratch/out")"
is_whole

say "mounted read-only from there, and restored"
varve snapshot "$mnt/set" last >/dev/null
varve replicate "$store" --remote moose >"$scratch/out" 2>&1 || fail "replicate: $(cat "$scratch/out")"
cp -a "$mnt/set" "$scratch/original"
unmount_store
mount.varve "$near/remote" "$mnt" -o "ro,local=$scratch/dr,passphrase_file=$pw" || fail "mount of a remote on MooseFS"
must_equal "$scratch/original" "$mnt/set/.varve/snapshots/last" "mounted from MooseFS"
umount -i "$mnt"
timeout 60 flock "$scratch/dr/lock" true || fail "the daemon does not end"
varve restore --passphrase-file "$pw" "$near/remote" set/last "$scratch/back" >/dev/null || fail "restore"
must_equal "$scratch/original" "$scratch/back" "restored from MooseFS"
umount "$near"
