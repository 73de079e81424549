#!/usr/bin/env bash
# Goal: while varve gc runs all the time, files are written that have what is just being removed, snapshots come and go, and the daemon is killed:
# every snapshot that is kept, and all that was synced, is equal to what was written. VARVE_SEED=N repeats a run's choices (not its timing).
source "$(dirname "$0")/lib.sh"

seed=${VARVE_SEED:-$$}
echo "VARVE_SEED=$seed"
RANDOM=$seed
rounds=6
full && rounds=40
contents=10

mkdir "$scratch/pool" "$scratch/live" "$scratch/kept"
for ((i = 0; i < contents; i++)); do "$here/make_data" random "$((seed * 100 + i))" $((1 << 20)) "$scratch/pool/$i"; done
make_store
mount_store
mkdir "$mnt/set"

collector() {  # until told to stop; the daemon may die meanwhile
  local outcome
  while [ ! -e "$scratch/stop" ]; do
    outcome=$(varve gc "$mnt" --json 2>&1) && echo "$outcome" >>"$scratch/collected" || echo "$outcome" >>"$scratch/gc-failures"
  done
}
begin() { rm -f "$scratch/stop"; collector & collecting=$!; }
end() { touch "$scratch/stop"; wait "$collecting"; }

step=0
change() {  # a file gets other contents, or goes
  local name=f$((RANDOM % 6)) content=$((RANDOM % contents))
  if ((RANDOM % 4 == 0)); then
    rm -f "$mnt/set/$name" "$scratch/live/$name"
  else
    cp "$scratch/pool/$content" "$mnt/set/.$name" && mv "$mnt/set/.$name" "$mnt/set/$name"
    cp --reflink=auto "$scratch/pool/$content" "$scratch/live/$name"
  fi
}
take() {
  step=$((step + 1))
  varve snapshot "$mnt/set" "s$step" >/dev/null
  cp -r "$scratch/live" "$scratch/kept/s$step"
}
drop() {
  local all=("$scratch"/kept/*)
  [ -e "${all[0]}" ] || return 0
  local one=${all[RANDOM % ${#all[@]}]}
  rmdir "$mnt/set/.varve/snapshots/${one##*/}"
  rm -r "$one"
}
compare() {
  diff -r "$scratch/live" "$mnt/set" >"$scratch/differences" || { cat "$scratch/differences"; fail "live: $1"; }
  local kept
  for kept in "$scratch"/kept/*; do
    [ -e "$kept" ] || continue
    diff -r "$kept" "$mnt/set/.varve/snapshots/${kept##*/}" >"$scratch/differences" || { cat "$scratch/differences"; fail "${kept##*/}: $1"; }
  done
}

for ((round = 1; round <= rounds; round++)); do
  begin
  for ((i = 0; i < 12; i++)); do
    change
    ((RANDOM % 3)) || take
    ((RANDOM % 4)) || drop
  done
  compare "round $round, while it collects"
  if ((round % 2)); then
    varve sync "$mnt" >/dev/null
    crash_daemon
    end
  else
    end
    unmount_store
  fi
  mount_store
  compare "round $round, mounted again"
done

say "what went, and what is left"
[ "$(grep -vc '"packs":0' "$scratch/collected")" -ge 3 ] || fail "hardly anything was collected: $(tail -3 "$scratch/collected")"
varve gc "$mnt" >/dev/null
compare "in the end"
unmount_store
varve verify --passphrase-file "$pw" "$store" >"$scratch/out" 2>&1 || fail "verify: $(cat "$scratch/out")"
rm -r "$store/local"
mount_store
compare "rebuilt"
unmount_store
fsck.varve -n --read-data --passphrase-file "$pw" "$store" >"$scratch/out" 2>&1 || fail "fsck: $(cat "$scratch/out")"
[ ! -e "$scratch/gc-failures" ] || sed 's/^/   gc said: /' "$scratch/gc-failures" | sort | uniq -c
