#!/usr/bin/env bash
# Goal: a small store fronts a large remote. What the remote holds is evicted here and read from there, new backups deduplicate against it, checks and
# rebuilds know of it, and it comes back when asked; nothing goes that the remote does not hold. While the remote hangs only reads of what is evicted fail.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/ssh.sh"
[ "$(id -u)" -eq 0 ] || fail "needs root"

ends() { timeout "$1" bash -c "$2" >"$scratch/out" 2>&1 || fail "while the remote hangs: '$2' ended with status $? ($(cat "$scratch/out"))"; }
data_packs() { find "$store/packs" -type f ! -name '.tmp-*' | wc -l; }
field() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$scratch/json" "$1"; }
evict() { varve evict "$@" --remote far --json >"$scratch/json" 2>"$scratch/err" || fail "evict: $(cat "$scratch/err")"; }
replicate() { varve replicate "$store" --remote far >"$scratch/out" 2>&1 || fail "replicate: $(cat "$scratch/out")"; }
clean() { fsck.varve -n --passphrase-file "$pw" "$store" >"$scratch/out" 2>&1 || fail "fsck ($1): $(cat "$scratch/out")"; }

start_ssh
mount_sshfs
make_store
mount_store
mkdir "$mnt/set"
for name in one two three four five; do
  "$here/make_data" random "$seed" $((3 << 20)) "$scratch/$name"
  seed=$((seed + 1))
  cp "$scratch/$name" "$mnt/set/$name"
  varve snapshot "$mnt/set" "$name" >/dev/null
done
"$here/sample_tree" 200 "$scratch/tree" >/dev/null
rsync -aHAXS "$scratch/tree/" "$mnt/set/tree/"
varve snapshot "$mnt/set" tree >/dev/null
cp -a "$mnt/set" "$scratch/original"
varve remote add "$store" far "$scratch/near" >"$scratch/out" 2>&1 || fail "remote add: $(cat "$scratch/out")"

say "nothing goes before the remote holds it"
before=$(data_packs)
evict "$mnt"
equal "$(field packs)" 0 "packs that went before they were replicated"
equal "$(field waiting_packs)" 0 "packs that wait before they were replicated"
replicate
evict "$mnt" --dry-run
equal "$(find "$store/records" -type f | wc -l)" "$(find "$scratch/far/records" -type f | wc -l)" "a dry run publishes nothing"
evict "$mnt"
equal "$(field packs)" 0 "packs that went before a hold counted"
[ "$(field newly_held_packs)" -ge 5 ] || fail "a hold for $(field newly_held_packs) packs"
evict "$mnt"
equal "$(field packs)" 0 "packs that went before a hold counted"
equal "$(field newly_held_packs)" 0 "packs held twice"
equal "$(data_packs)" "$before" "packs"
replicate

say "some, then all"
evict "$mnt" --bytes 1M
equal "$(field packs)" 1 "one pack is enough for a megabyte"
evict "$mnt"
[ "$(field packs)" -ge 4 ] || fail "$(field packs) packs are evicted"
[ "$(data_packs)" -le 1 ] || fail "$(data_packs) packs stay"
varve status "$mnt" | grep -q "evicted" || fail "status does not say that something is evicted"
must_equal "$scratch/original" "$mnt/set" "evicted, read from the remote"
must_equal "$scratch/original" "$mnt/set/.varve/snapshots/tree" "an evicted snapshot"
[ "$(data_packs)" -le 1 ] || fail "what is evicted came back by itself"
new=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["bytes"]["ingested_new"])' "$mnt/.varve/status.json")
cp "$scratch/two" "$mnt/set/again"
sync "$mnt/set/again"
equal "$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["bytes"]["ingested_new"])' "$mnt/.varve/status.json")" "$new" "new bytes of known data"
cmp "$scratch/two" "$mnt/set/again"
cp "$mnt/set/again" "$scratch/original/again"
touch -r "$mnt/set" "$scratch/original"
touch -r "$mnt/set/again" "$scratch/original/again"

say "checks, restore, and a lost local/"
fsck.varve -n "$store" >"$scratch/out" 2>&1 || fail "fsck of the mounted store: $(cat "$scratch/out")"
grep -q "are evicted, held at far" "$scratch/out" || fail "fsck says: $(cat "$scratch/out")"
unmount_store
clean "evicted"
grep -q "are evicted, held at far" "$scratch/out" || fail "fsck says: $(cat "$scratch/out")"
varve verify --no-key "$store" >"$scratch/out" 2>&1 || fail "verify --no-key: $(cat "$scratch/out")"
varve verify --passphrase-file "$pw" "$store" >"$scratch/out" 2>&1 || fail "verify: $(cat "$scratch/out")"
varve restore --passphrase-file "$pw" "$store" set/five "$scratch/back" >"$scratch/out" 2>&1 || fail "restore: $(cat "$scratch/out")"
cmp "$scratch/five" "$scratch/back/five"
replicate
mv "$store/local" "$scratch/lost-local"
mount_store
must_equal "$scratch/original" "$mnt/set" "a rebuilt working copy, read from the remote"
cp "$scratch/three" "$mnt/set/again3"
sync "$mnt/set/again3"
cmp "$scratch/three" "$mnt/set/again3"
rm "$mnt/set/again3"
unmount_store
replicate

say "the remote hangs"
kill -STOP "$sshfs"
mount_store
ends 60 "ls -lR '$mnt/set'"
timeout 120 cat "$mnt/set/one" >/dev/null 2>"$scratch/out" && fail "what is evicted was read from a remote that hangs"
grep -q "Input/output error" "$scratch/out" || fail "a read from a remote that hangs ends otherwise: $(cat "$scratch/out")"
ends 60 "cp '$scratch/four' '$mnt/set/more' && sync '$mnt/set/more'"
ends 60 "varve snapshot '$mnt/set' meanwhile"
ends 60 "df '$mnt'"
status=0
timeout 120 varve evict "$mnt" --remote far --dry-run >/dev/null 2>&1 || status=$?
equal "$status" 0 "a dry run asks nobody"
kill -CONT "$sshfs"
for ((i = 0; i < 300; i++)); do cmp "$scratch/one" "$mnt/set/one" >/dev/null 2>&1 && break; sleep 0.1; done
cmp "$scratch/one" "$mnt/set/one" || fail "the remote is back, and cannot be read"
cmp "$scratch/four" "$mnt/set/more" || fail "a reference to what is evicted"

say "brought back"
varve heal "$store" --from far >"$scratch/out" 2>&1 || fail "heal: $(cat "$scratch/out")"
[ "$(data_packs)" -le 3 ] || fail "heal brings back what is evicted"
evict "$mnt" --release
equal "$(field holds)" 0 "holds released while packs are evicted"
[ "$(field kept_holds)" -ge 1 ] || fail "$(cat "$scratch/json")"
varve heal "$store" --from far --evicted >"$scratch/out" 2>&1 || fail "heal --evicted: $(cat "$scratch/out")"
[ "$(data_packs)" -ge "$before" ] || fail "heal --evicted does not bring all back: $(cat "$scratch/out")"
evict "$mnt" --release
[ "$(field holds)" -ge 1 ] || fail "no hold is released: $(cat "$scratch/json")"
equal "$(field kept_holds)" 0 "holds that stay"
replicate
evict "$mnt" --release
equal "$(field holds)" 0 "holds released twice"
evict "$mnt"
equal "$(field packs)" 0 "packs that went without a hold"
unmount_store
umount "$scratch/near"
clean "brought back"
! grep -q "are evicted" "$scratch/out" || fail "fsck says: $(cat "$scratch/out")"
mount_store
for name in one two three four five; do cmp "$scratch/$name" "$mnt/set/$name" || fail "without the remote: $name"; done
unmount_store
