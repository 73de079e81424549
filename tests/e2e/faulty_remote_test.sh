#!/usr/bin/env bash
# Goal: whatever happens to a remote and to who replicates to it and expires there, by chance and again and again, no snapshot is ever seen there
# that is not whole, the site goes on, and afterwards both ends verify and have everything, but for what has expired at the remote.
source "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] || fail "needs root"
full && faults=${VARVE_FAULTS:-1000} || faults=${VARVE_FAULTS:-17}
RANDOM=$((seed % 32768))

share=$scratch/share near=$scratch/near control=$scratch/control
mkdir "$share" "$near" "$control"
faulty=
end_share() {
  [ -z "$faulty" ] || kill -KILL "$faulty" 2>/dev/null || true
  wait "$faulty" 2>/dev/null || true
}
trap 'code=$?; end_share; [ $code -eq 0 ] || echo "fault ${number:-0} ($fault); VARVE_SEED=$seed replays"; (exit $code) && true; cleanup' EXIT
mount_share() {
  faulty_filesystem "$share" "$near" "$control" >"$scratch/faulty-log" 2>&1 &
  faulty=$!
  local i
  for ((i = 0; i < 200; i++)); do mountpoint -q "$near" && return; sleep 0.02; done
  fail "faulty_filesystem: $(cat "$scratch/faulty-log")"
}
order() {  # order COMMAND...: the share does that from now on
  local i
  echo "$*" >"$control/next"
  mv "$control/next" "$control/command"
  for ((i = 0; i < 2000; i++)); do [ -e "$control/command" ] || return 0; sleep 0.005; done
  fail "the share took no order '$*'"
}
disconnect() {
  end_share
  umount -i -l "$near"
}

# The clocks of all programs: wrong by so many seconds from now on. That of the boot never goes back.
wall_ahead=0 boot_ahead=0
set_clocks() {
  python3 -c 'import struct, sys
with open(sys.argv[1], "r+b") as file: file.write(struct.pack("=qq", int(sys.argv[2]), int(sys.argv[3])))' "$scratch/clock" "$wall_ahead" "$boot_ahead"
}
truncate -s 16 "$scratch/clock"
export VARVE_SHIFTED_CLOCK=$scratch/clock
[ -n "$sanitized" ] || export LD_PRELOAD=$VARVE_BIN/libshifted_clock.so

days=0
new_data() {
  days=$((days + 1))
  "$here/make_data" random $((seed + days)) $((RANDOM % 24 * 65536 + 1000)) "$mnt/set/file-$((days % 10))"
  varve snapshot "$mnt/set" "day-$days" >/dev/null
}
replicate_beside() {
  varve replicate "$store" --remote far --limit "${1:-3M}" >"$scratch/out" 2>&1 &
  replicator=$!
}
# The process that does the work ends a moment after the one that was started.
none_runs() {
  local status=0
  wait "$replicator" || status=$?
  flock -w 60 "$store"/local/replication/*/lock true || fail "a replicator still runs"
  return "$status"
}
ends_with() {  # ends_with STATUS...: what replicates; it may have been done before the fault
  local status=0 wanted
  none_runs || status=$?
  for wanted in 0 "$@"; do [ "$status" -ne "$wanted" ] || return 0; done
  fail "replicate ended with status $status, not one of $*: $(cat "$scratch/out")"
}
for_a_moment() { sleep "0.$((RANDOM % 4))$((RANDOM % 10))"; }
whole_snapshots() {  # at the remote: all that are seen
  varve inventory --json "$share" >"$scratch/inventory" || fail "inventory: $(cat "$scratch/inventory")"
  python3 -c 'import json, sys
snapshots = json.load(open(sys.argv[1]))["snapshots"]
print(len(snapshots))
sys.exit(not all(s["whole"] for s in snapshots))' "$scratch/inventory"
}
remote_is_whole() {
  [ -e "$share/snapshots/$locked" ] || fail "the locked snapshot has gone"
  whole_snapshots >"$scratch/seen" || fail "a snapshot is seen at the remote that is not whole: $(cat "$scratch/inventory")"
  varve verify --no-key "$share" >"$scratch/verify" || fail "the remote: $(cat "$scratch/verify")"
}
complete() {
  varve replicate "$store" --remote far "$@" --json >"$scratch/out" 2>&1 || fail "replicate: $(cat "$scratch/out")"
  grep -q '"complete": *true' "$scratch/out" || fail "it is not complete: $(cat "$scratch/out")"
}
heal() { varve heal "$share" --from "$store" >"$scratch/out" 2>&1 || fail "heal: $(cat "$scratch/out")"; }
a_file_there() { find "$share/packs" "$share/catalog" "$share/lists" "$share/snapshots" -type f ! -name '.tmp-*' | sort | shuf -n 1 --random-source=<(yes "$RANDOM"); }
# Damage at rest is seen by who reads: it is found, and mended from here.
is_found_and_healed() {
  varve verify --no-key "$share" >"$scratch/verify" 2>&1 && fail "the damage was not found"
  heal
}

fault_kill() {
  replicate_beside; for_a_moment
  kill -KILL "$replicator" 2>/dev/null || true
  ends_with 137
}
fault_hang() {
  replicate_beside; for_a_moment
  order hang
  timeout 30 varve status "$store" >/dev/null || fail "status hangs with the remote"
  timeout 30 bash -c "date >'$mnt/set/clock' && varve sync '$mnt'" || fail "the mount hangs with the remote"
  if [ $((RANDOM % 2)) -eq 0 ]; then
    kill -TERM "$replicator" 2>/dev/null || true
    timeout 30 tail --pid="$replicator" -f /dev/null || fail "the replicator does not end while the remote hangs"
  fi
  order well
  ends_with 2
}
fault_disconnect() {
  replicate_beside; for_a_moment
  disconnect
  ends_with 2 6
  [ -z "$(ls -A "$near")" ] || fail "something was written under the mountpoint"
  mount_share
}
fault_full() {
  order room $((RANDOM * 40))
  replicate_beside none
  ends_with 7
  order well
}
fault_errors() {
  order errors $((RANDOM % 60 + 5)) $((RANDOM + 1))
  replicate_beside none
  ends_with 2 5 6
  order well
}
fault_slow() {
  order slow $((RANDOM % 8))
  replicate_beside none
  ends_with
  order well
}
fault_power() {  # what was not synced is lost
  replicate_beside; for_a_moment
  order hang
  order lose $((RANDOM + 1))
  disconnect
  ends_with 2 6
  mount_share
}
fault_flip_on_the_way() {
  order flip $((RANDOM % 6 + 1)) $((RANDOM + 1))
  replicate_beside none
  ends_with 2 5 6  # the marks of the remote may be what was hit
  order well
  flipped=yes
}
fault_flip_at_rest() {
  local victim
  victim=$(a_file_there)
  python3 -c 'import random, sys
path, seed = sys.argv[1:]
random.seed(seed)
with open(path, "r+b") as file:
    place = random.randrange(file.seek(0, 2))
    file.seek(place)
    byte = file.read(1)[0]
    file.seek(place)
    file.write(bytes([byte ^ 1 << random.randrange(8)]))' "$victim" "$RANDOM"
  is_found_and_healed
}
fault_partial_at_rest() {
  local victim
  victim=$(a_file_there)
  truncate -s "$(($(stat -c %s "$victim") * (RANDOM % 100) / 100))" "$victim"
  is_found_and_healed
}
fault_interrupted_cp() {  # of files that the replicator does not know to be there
  local file
  (cd "$store" && find packs catalog -type f | sort) | while read -r file; do
    [ ! -e "$share/$file" ] || continue
    mkdir -p "$(dirname "$share/$file")"
    head -c "$(($(stat -c %s "$store/$file") * (RANDOM % 101) / 100))" "$store/$file" >"$share/$file"
  done
}
fault_rolled_back() {
  local status=0
  rm -rf "$scratch/yesterday"
  cp -a "$share" "$scratch/yesterday"
  complete
  disconnect
  rm -rf "$share"
  mv "$scratch/yesterday" "$share"
  mount_share
  new_data
  varve replicate "$store" --remote far >"$scratch/out" 2>&1 || status=$?
  equal "$status" 5 "replicate to a remote that was rolled back ($(cat "$scratch/out"))"
  complete --relist
}
fault_old_drive() {
  [ -d "$scratch/drive" ] || (mkdir "$scratch/drive" && cd "$store" && cp -r store.json keys packs catalog lists snapshots "$scratch/drive")
  varve absorb "$scratch/drive" "$share" >"$scratch/out" 2>&1 || fail "absorb: $(cat "$scratch/out")"
}
fault_clock_jump() {  # under programs at work: the wall clock either way, years of it, and weeks of the other
  replicate_beside; for_a_moment
  wall_ahead=$(((RANDOM % 2 * 2 - 1) * RANDOM * 10000))
  boot_ahead=$((boot_ahead + RANDOM * 100))
  set_clocks
  if [ $((RANDOM % 2)) -eq 0 ]; then expire_there; fi
  ends_with
}
expire_there() {  # by the provider, beside whoever replicates
  varve expire --no-key "$share" --keep "last $((RANDOM % 6 + 2)), within $((RANDOM % 30 + 1))h" --wait 0 >"$scratch/expired" 2>&1 || fail "expire: $(cat "$scratch/expired")"
}
fault_expiry() {
  local runs
  replicate_beside; for_a_moment
  for ((runs = RANDOM % 3; runs >= 0; runs--)); do expire_there; done
  ends_with
}
fault_expiry_killed() {
  [ $((RANDOM % 2)) -eq 0 ] && replicate_beside || replicate_beside none
  varve expire --no-key "$share" --keep 'last 2' --wait 0 >"$scratch/expired" 2>&1 &
  local expirer=$!
  sleep "0.0$((RANDOM % 10))"
  kill -KILL "$expirer" 2>/dev/null || true
  wait "$expirer" 2>/dev/null || true
  flock -w 60 "$share/replica/expiry.lock" true || fail "a run of expiry is still at work"
  ends_with
  expire_there  # what was moved under the replicator comes back by the next run
}
fault_ledger_lost() { rm -f "$store"/local/replication/*/ledger; }

kinds=(kill hang disconnect full errors slow power flip_on_the_way flip_at_rest partial_at_rest interrupted_cp rolled_back old_drive ledger_lost expiry expiry_killed)
[ -n "$sanitized" ] || kinds+=(clock_jump)
say "seed $seed: $faults faults"
make_store
mount_store
mkdir "$mnt/set"
new_data
unmount_store
locked=$(varve snapshots --json --passphrase-file "$pw" "$store" | python3 -c 'import json, sys; print(json.load(sys.stdin)["snapshots"][0]["hash"])')
publish "$store" "$pw" lock "$locked" $(($(date +%s) + 100 * 365 * 86400))
mount_store
mount_share
varve remote add "$store" far "$near" >/dev/null
fault=none
complete
mapfile -t order_of_faults < <(for ((i = 0; i < faults; i += ${#kinds[@]})); do shuf -e "${kinds[@]}" --random-source=<(yes "$seed$i"); done)
for ((number = 1; number <= faults; number++)); do
  fault=${order_of_faults[number - 1]}
  flipped=
  new_data
  "fault_$fault"
  if [ -n "$flipped" ]; then
    # Nothing is read back over the line: what arrived otherwise is found at the far end, and mended.
    varve verify --no-key "$share" >"$scratch/verify" 2>&1 || heal
    varve replicate "$store" --remote far >"$scratch/out" 2>&1 || complete --relist  # the visit that it shows was hit
  fi
  if [ "$fault" = interrupted_cp ] || [ $((RANDOM % 3)) -eq 0 ]; then complete; fi
  # A replicator does not look at what nobody needs there any more.
  if [ "$fault" = interrupted_cp ]; then varve verify --no-key "$share" >"$scratch/verify" 2>&1 || heal; fi
  remote_is_whole
done
fault="the end"
complete
remote_is_whole
varve verify --no-key "$store" >"$scratch/verify" || fail "the store: $(cat "$scratch/verify")"
cp -a "$mnt/set" "$scratch/original"
varve snapshot "$mnt/set" last >/dev/null
complete
varve restore --passphrase-file "$pw" "$share" set/last "$scratch/back" >/dev/null || fail "restore"
must_equal "$scratch/original" "$scratch/back" "restored from the remote"
unmount_store
varve snapshots --json --passphrase-file "$pw" "$store" >"$scratch/snapshots"
python3 -c 'import json, os, sys
share, snapshots = sys.argv[1], json.load(open(sys.argv[2]))["snapshots"]
expired = set()  # by the last word of the log on each
with open(share + "/replica/log") as log:
    for line in log:
        words = line.split()
        if words[2:3] == ["s"]: (expired.add if words[1] == "condemned" else expired.discard)(words[3])
lost = [s["name"] for s in snapshots if s["hash"] not in expired and not os.path.exists(share + "/snapshots/" + s["hash"])]
sys.exit("lost at the remote: " + " ".join(lost) if lost or len(snapshots) < int(sys.argv[3]) else 0)' "$share" "$scratch/snapshots" "$days" ||
  fail "snapshots are missing"

