#!/usr/bin/env bash
# Goal: a set's policy is kept by the store itself; what it lets go expires at the site, mounted or not; what is locked stays, here and at a remote, whatever
# rmdir, expiry and the wall clock say.
source "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] || fail "needs root"

field() { python3 -c 'import json, sys; print(eval("d" + sys.argv[2], {"d": json.load(open(sys.argv[1]))}))' "$scratch/json" "$1"; }
as_json() { "$@" --json >"$scratch/json" || fail "$*: $(cat "$scratch/json")"; }
shown() { ls "$mnt/web/.varve/snapshots" | sort | tr '\n' ' '; }
unmounted=(--passphrase-file "$pw" "$store")

make_store
mount_store
mkdir "$mnt/web" "$mnt/db"
for name in one two three four; do
  echo "$name" >"$mnt/web/file"
  varve snapshot "$mnt/web" "$name" >/dev/null
done

say "a policy is shown as it was set, and refused where it makes no sense"
varve set "$mnt/web" | grep -q "nothing expires" || fail "a set without a policy"
varve set "$mnt/web" keep='last 2' tags=production,eu >"$scratch/out"
grep -qx "keep=last 2" "$scratch/out" && grep -qx "tags=production,eu" "$scratch/out" || fail "set: $(cat "$scratch/out")"
refused_in_a_line 1 "hourly" varve set "$mnt/web" keep='hourly 3'
refused_in_a_line 1 "has no 'quota'" varve set "$mnt/web" quota=5G
refused_in_a_line 6 "" varve set "${unmounted[@]}" --set nobody
varve set "$mnt" | grep -q "keep='last 2'" || fail "the table of sets"

say "without --keep and --no-key it is the policy that says what expires"
refused_in_a_line 1 "varve set" varve expire "$mnt" --keep 'last 1'
refused_in_a_line 1 "needs --keep" varve expire --no-key "$store"
as_json varve expire "$mnt" --dry-run
equal "$(field '["snapshots_expired"]')" 2 "snapshots that would expire"
equal "$(shown)" "four one three two " "after a dry run"
cp "$store/snapshots/$(varve snapshots --json "$mnt" | python3 -c 'import json, sys; print([s["hash"] for s in json.load(sys.stdin)["snapshots"] if s["name"] == "two"][0])')" "$scratch/two"

say "locks: rmdir, expiry, a shorter lock"
varve lock "$mnt/web" one --until "$(date -u -d '+10 days' +%F)" >/dev/null
varve snapshots "$mnt" | grep 'web/one' | grep -q "$(date -u -d '+10 days' +%F)" || fail "the list shows no lock: $(varve snapshots "$mnt")"
rmdir "$mnt/web/.varve/snapshots/one" 2>"$scratch/rmdir" && fail "a locked snapshot was removed"
grep -q "not permitted" "$scratch/rmdir" || fail "rmdir says: $(cat "$scratch/rmdir")"
grep -q "'one' is locked until" "$scratch/log" || fail "the log says nothing of it"
refused_in_a_line 2 "never shortened" varve lock "$mnt/web" one --until "$(date -u -d '+2 days' +%F)"
refused_in_a_line 1 "holds nothing" varve lock "$mnt/web" two --until 2020-01-01
refused_in_a_line 1 "is no time" varve lock "$mnt/web" two --until tomorrow
refused_in_a_line 6 "no snapshot" varve lock "$mnt/web" nobody --until 2099-01-01
as_json varve expire "$mnt/web"
equal "$(field '["snapshots_expired"]')" 1 "snapshots expired beside a locked one"
equal "$(shown)" "four one three " "after expiry"

say "what has expired stays hidden when its file comes back"
cp "$scratch/two" "$store/snapshots/$(sha256sum "$scratch/two" | cut -d' ' -f1)"
sleep 6
equal "$(shown)" "four one three " "a file that came back"
unmount_store
equal "$(varve snapshots "${unmounted[@]}" --json | grep -c '"two"' || true)" 0 "snapshots of the store with the file that came back"

say "by policy new snapshots are locked; it all outlives local/, and serves unmounted stores"
varve set "${unmounted[@]}" --set web lock=5d >/dev/null
rm -rf "$store/local"
mount_store
as_json varve set "$mnt/web"
equal "$(field '["policy"]')" "{'keep': 'last 2', 'lock': '5d', 'tags': ['production', 'eu']}" "the policy after the loss of local/"
varve snapshot "$mnt/web" five >/dev/null
rmdir "$mnt/web/.varve/snapshots/five" 2>/dev/null && fail "a snapshot was not locked by the policy"
unmount_store
as_json varve expire "${unmounted[@]}" --set web
equal "$(field '["snapshots_expired"]')" 1 "snapshots expired of an unmounted store"
refused_in_a_line 2 "never shortened" varve lock "${unmounted[@]}" web/five --until "$(date -u -d '+1 day' +%F)"

varve set "${unmounted[@]}" --set web keep='last 1' >/dev/null

say "keyless expiry at a remote keeps what is locked"
remote=$scratch/remote
mkdir "$remote"
varve remote add "$store" provider "$remote" --same-disk >/dev/null
varve replicate "$store" >/dev/null
as_json varve expire --no-key "$remote" --keep 'last 1' --wait 0
python3 - "$scratch/json" <<'PY' || fail "what stays at the remote: $(cat "$scratch/json")"
import json, sys
why = [s["why"] for s in json.load(open(sys.argv[1]))["snapshots"] if s["kept"] and s["class"] == "set"]
sys.exit(sum("locked until" in w for w in why) != 2)
PY

as_json varve expire "${unmounted[@]}"
equal "$(field '["snapshots_expired"]')" 1 "snapshots expired by another rule"

if [ -z "$sanitized" ]; then
  say "a clock set forward by 50 years ends no lock, here or at the remote"
  python3 -c 'import struct, sys; open(sys.argv[1], "wb").write(struct.pack("qq", 50 * 366 * 86400, 0))' "$scratch/ahead"
  export VARVE_SHIFTED_CLOCK=$scratch/ahead
  export LD_PRELOAD=$VARVE_BIN/libshifted_clock.so
  mount_store
  LD_PRELOAD='' rmdir "$mnt/web/.varve/snapshots/one" 2>/dev/null && fail "a clock set forward has ended a lock"
  as_json varve expire "$mnt/web"
  equal "$(field '["snapshots_expired"]')" 0 "snapshots expired by a clock set forward"
  as_json varve expire --no-key "$remote" --keep 'last 1' --wait 0
  equal "$(field '["snapshots_expired"]')" 0 "snapshots expired at the remote by a clock set forward"
  LD_PRELOAD='' unmount_store
fi
