#!/usr/bin/env bash
# Goal: the site is gone, the remote takes its place, backups go on; the old site returns, is told, and goes on with the promoted live trees or
# with its own. All snapshots of both are everywhere in the end, and every end verifies.
source "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] || fail "needs root"

promote() { varve promote --passphrase-file "$pw" "$@"; }
rejoin() { varve rejoin --passphrase-file "$pw" "$@"; }
names() { varve snapshots --passphrase-file "$pw" --json "$1" | python3 -c 'import json, sys; print(*sorted(s["set"] + "/" + s["name"] for s in json.load(sys.stdin)["snapshots"] if s["set"]))'; }
verified() {
  varve verify --passphrase-file "$pw" "$1" >"$scratch/verify" 2>&1 || { cat "$scratch/verify"; fail "varve verify $1"; }
  varve verify --no-key "$1" >"$scratch/verify" 2>&1 || { cat "$scratch/verify"; fail "varve verify --no-key $1"; }
  fsck.varve -n --passphrase-file "$pw" "$1" >"$scratch/fsck" 2>&1 || { cat "$scratch/fsck"; fail "fsck.varve -n $1"; }
}

say "a site, and a remote that was seeded by cp"
make_store
mount_store
mkdir "$mnt/web" "$mnt/mail"
"$here/sample_tree" "$([ -n "$sanitized" ] && echo 50 || echo 200)" "$scratch/first"
"$here/make_data" random "$seed" $((5 << 20)) "$scratch/first/large"
rsync -aHAXS "$scratch/first/" "$mnt/web/"
varve snapshot "$mnt/web" one >/dev/null
cp -a "$scratch/first/odd" "$mnt/mail/"
varve snapshot "$mnt/mail" letters >/dev/null
unmount_store
remote=$scratch/remote
mkdir "$remote"
(cd "$store" && find store.json keys packs catalog lists snapshots records -type f) | shuf --random-source=<(yes "$seed") >"$scratch/files"
half=$(($(wc -l <"$scratch/files") / 2))
(cd "$store" && head -n "$half" "$scratch/files" | xargs cp --parents -t "$remote")
cp "$store/store.json" "$remote/"
varve remote add "$store" offsite "$remote" --same-disk >/dev/null
varve replicate "$store" >/dev/null 2>&1

mount_store
cp -a "$scratch/first" "$scratch/second"
rm -r "$scratch/second/odd/deep"
"$here/make_data" random "$((seed + 1))" $((3 << 20)) "$scratch/second/later"
rsync -aHAXS --delete "$scratch/second/" "$mnt/web/"
unmount_store
varve replicate "$store" >/dev/null 2>&1
must_be="mail/letters web/one"
equal "$(names "$remote")" "$must_be" "snapshots at the remote"

say "the site burns; the remote is read on a fresh machine"
mv "$store" "$scratch/old"
mount.varve "$remote" "$mnt" -o "ro,local=$scratch/dr,passphrase_file=$pw"
must_equal "$scratch/second" "$mnt/web" "the live tree of the remote"
umount -i "$mnt"
flock -w 60 "$scratch/dr/lock" true || fail "the daemon of the read-only mount does not end"
varve restore --passphrase-file "$pw" "$remote" web/one "$scratch/restored" >/dev/null
must_equal "$scratch/first" "$scratch/restored" "a restore from the remote"

say "what cannot be promoted is refused"
mkdir "$scratch/empty" "$scratch/disk"
mount -t tmpfs -o size=1G tmpfs "$scratch/disk" # another filesystem
local=$scratch/disk/local
printf 'another passphrase\n' >"$scratch/wrong"
chmod 600 "$scratch/wrong"
refused_in_a_line 6 "store" promote "$scratch/empty"
refused_in_a_line 3 "passphrase" varve promote --passphrase-file "$scratch/wrong" "$remote" --local "$local"
refused_in_a_line 1 "directory of its own" promote "$remote" --local "$remote/state"
refused_in_a_line 1 "holds something else" promote "$remote" --local "$scratch/first"
refused_in_a_line 4 "is a live store" promote "$scratch/old" # with its own local/
cp -a "$remote" "$scratch/torn"
victim=$(find "$scratch/torn/packs" -type f | head -1)
rm "$victim"
refused_in_a_line 6 "$(basename "$victim")" promote "$scratch/torn"
[ ! -e "$scratch/torn/local" ] && [ ! -e "$local/db" ] || fail "a promotion that was refused has made something"
refused_in_a_line 32 "is a remote" mount.varve "$remote" "$mnt" -o "passphrase_file=$pw"

say "the remote is promoted, with its working state on another disk"
promote "$remote" --local "$local" >"$scratch/out" || { cat "$scratch/out"; fail "varve promote"; }
grep -q "is a live store now" "$scratch/out" || fail "varve promote said: $(cat "$scratch/out")"
[ -e "$local/db/data.mdb" ] || fail "the database is not in $local"
equal "$(readlink "$remote/local")" "$local" "where local/ leads to"
refused_in_a_line 4 "is a live store already" promote "$remote"
refused_in_a_line 4 "is a live store already" promote "$remote" --local "$scratch/disk/more"
cp -a "$remote" "$scratch/copied"
refused_in_a_line 32 "not this place's working state" mount.varve "$scratch/copied" "$mnt" -o "passphrase_file=$pw"
rm -rf "$scratch/copied"

say "backups go on there"
store=$remote
mount_store
must_equal "$scratch/second" "$mnt/web" "the live tree after the promotion"
refused_in_a_line 4 "is mounted" rejoin "$remote"
"$here/make_data" random "$((seed + 2))" $((66 << 20)) "$mnt/web/new" # more than a pack
varve sync "$mnt"
crash_daemon
mount_store
cp -a "$mnt/web" "$scratch/third"
varve snapshot "$mnt/web" two >/dev/null
equal "$(varve status --json "$mnt" | python3 -c 'import json, sys; print(json.load(sys.stdin)["store"]["only_read"])')" False "only_read"
unmount_store
mount_store
must_equal "$scratch/third" "$mnt/web" "after another mount"
unmount_store
verified "$remote"
equal "$(find "$local/open" -type f | wc -l)" 0 "packs that stay in $local/open"
find "$remote" -name '.tmp-*' | grep -q . && fail "temporary files stay in $remote"

say "the old site returns, writes, and is told"
store=$scratch/old
mount_store
echo "written since" >"$mnt/web/since"
unmount_store
refused_in_a_line 4 "varve rejoin STORE --from offsite" varve replicate "$store"
refused_in_a_line 1 "not succeeded" rejoin "$store"
varve absorb "$remote" "$store" >/dev/null 2>&1
refused_in_a_line 32 "varve rejoin" mount.varve "$store" "$mnt" -o "passphrase_file=$pw"
varve status "$store" | grep -q "until you choose" || fail "varve status does not say that the store was succeeded"
varve replicate "$store" >"$scratch/out" 2>&1 && fail "varve replicate to a remote that was promoted"
grep -q "Nothing is written here until you choose" "$scratch/out" || fail "varve replicate does not say it: $(cat "$scratch/out")"
mount.varve "$store" "$mnt" -o "ro,passphrase_file=$pw" 2>/dev/null
equal "$(cat "$mnt/web/since")" "written since" "a read-only look at it"
umount -i "$mnt"
flock -w 60 "$store/local/lock" true || fail "the daemon of the read-only look does not end"
cp -a "$store" "$scratch/stubborn"

say "it takes over what was promoted"
rejoin "$store" --from offsite >"$scratch/out" || { cat "$scratch/out"; fail "varve rejoin"; }
saved=$(sed -n 's|.*the snapshot /\([^ ]*\) of.*|\1|p' "$scratch/out")
mount_store
must_equal "$scratch/third" "$mnt/web" "the live tree after rejoin"
equal "$(cat "$mnt/.varve/snapshots/$saved/web/since")" "written since" "what was written since"
echo "again" >"$mnt/web/again"
varve snapshot "$mnt/web" three >/dev/null
unmount_store
refused_in_a_line 1 "not succeeded" rejoin "$store"
varve status "$store" | grep -q "until you choose" && fail "varve status says it was succeeded still"
verified "$store"

say "or it keeps its own"
store=$scratch/stubborn
rejoin "$store" --keep-mine >/dev/null || fail "varve rejoin --keep-mine"
mount_store
equal "$(cat "$mnt/web/since")" "written since" "its own live tree"
[ ! -e "$mnt/web/new" ] || fail "the promoted live tree is there"
varve snapshot "$mnt/web" four >/dev/null
unmount_store
verified "$store"

say "all snapshots are at every end"
varve absorb "$scratch/old" "$remote" >/dev/null 2>&1
varve absorb "$scratch/stubborn" "$remote" >/dev/null 2>&1
varve absorb "$remote" "$scratch/old" >/dev/null 2>&1
varve absorb "$remote" "$scratch/stubborn" >/dev/null 2>&1
for end in "$remote" "$scratch/old" "$scratch/stubborn"; do
  equal "$(names "$end")" "mail/letters web/four web/one web/three web/two" "snapshots of $end"
  verified "$end"
  store=$end
  mount_store
  must_equal "$scratch/first" "$mnt/web/.varve/snapshots/one" "a snapshot of the site"
  must_equal "$scratch/third" "$mnt/web/.varve/snapshots/two" "a snapshot of the promoted store"
  unmount_store
done

say "a store that is told while it is mounted takes nothing more"
store=$scratch/old
mount_store
echo "last" >"$mnt/web/last"
unmount_store
mkdir "$scratch/second-remote"
cp -r "$store"/{store.json,keys,packs,catalog,lists,snapshots,records} "$scratch/second-remote/"
promote "$scratch/second-remote" >/dev/null || fail "promoting a copy of the store's files"
[ -e "$scratch/second-remote/local/db/data.mdb" ] || fail "it has no local/ of its own"
mount_store
echo "unsynced" >"$mnt/web/unsynced"
varve absorb "$scratch/second-remote" "$store" >/dev/null 2>&1
for ((i = 0; i < 600; i++)); do varve status "$mnt" | grep -q "until you choose" && break; sleep 0.1; done
[ "$i" -lt 600 ] || fail "the daemon does not notice that its store was succeeded"
for ((i = 0; i < 600; i++)); do touch "$mnt/web/more" 2>/dev/null || break; sleep 0.1; done
refused_in_a_line 1 "[Rr]ead-only" touch "$mnt/web/and-more"
refused_in_a_line 1 "[Rr]ead-only" mkdir "$mnt/web/.varve/snapshots/five"
equal "$(cat "$mnt/web/unsynced")" "unsynced" "what was written before"
unmount_store
rejoin "$store" --keep-mine >/dev/null || fail "varve rejoin --keep-mine after a mount"
mount_store
equal "$(cat "$mnt/web/unsynced")" "unsynced" "what was written before, after rejoin"
unmount_store
verified "$store"
