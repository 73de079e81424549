#!/usr/bin/env bash
# Goal: two sites of one store, the second joined from the remote or from a drive, back up sets of equal and of different names and replicate to one
# remote at the same time; every place is whole, each shows what the other has as it was, and whoever may not join is refused with nothing made.
source "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] || fail "needs root"
full && megabytes=128 || megabytes=8
remote=$scratch/remote

# at SITE: what follows is of that one's store and mount.
at() {
  store=$scratch/store-$1 mnt=$scratch/mnt-$1
  mkdir -p "$mnt"
}
mount_at() { at "$1"; mount_store; eval "daemon_$1=\$daemon"; }
unmount_at() { at "$1"; eval "daemon=\$daemon_$1"; unmount_store; }
backup() {  # backup SITE SET SNAPSHOT SEED
  at "$1"
  mkdir -p "$mnt/$2"
  "$here/make_data" mixed "$4" $((megabytes << 20)) "$mnt/$2/file-$3"
  printf '%s\n' "of site $1" >"$mnt/$2/whose"
  cp -a "$mnt/$2" "$scratch/original-$1-$2-$3"
  varve snapshot "$mnt/$2" "$3" >/dev/null
}
replicate() { varve replicate "$scratch/store-$1" >"$scratch/replicate-$1" 2>&1; }
absorb() { varve absorb "$remote" "$scratch/store-$1" >"$scratch/out" 2>&1 || fail "absorb into $1: $(cat "$scratch/out")"; }
join() { mkfs.varve --passphrase-file "$pw" --join "$1" "$2"; }
writer() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1] + "/local/head"))["writer"][:8])' "$scratch/store-$1"; }
has() { varve snapshots --passphrase-file "$pw" "$1" >"$scratch/snapshots" && grep -q "^$2 " "$scratch/snapshots"; }
restored() {  # restored PLACE SET/SNAPSHOT ORIGINAL
  rm -rf "$scratch/back"
  varve restore --passphrase-file "$pw" "$1" "$2" "$scratch/back" >/dev/null || fail "restore of $2 from $1"
  must_equal "$3" "$scratch/back" "$2 from $1"
}
whole() {
  varve verify --passphrase-file "$pw" "$1" >"$scratch/verify" 2>&1 || fail "verify $1: $(cat "$scratch/verify")"
  varve verify --no-key "$1" >"$scratch/verify" 2>&1 || fail "verify --no-key $1: $(cat "$scratch/verify")"
}

say "the first site, and its remote"
at a
make_store "$store"
mount_at a
backup a web monday 1
mkdir "$remote"
varve remote add "$store" offsite "$remote" --same-disk >/dev/null
replicate a || fail "replicate a: $(cat "$scratch/replicate-a")"
unmount_at a
replicate a || fail "replicate a: $(cat "$scratch/replicate-a")"

say "who may not join"
(cd "$remote" && find . -type f | sort | xargs sha256sum) >"$scratch/before"
mkdir "$scratch/full" "$scratch/nothing"
touch "$scratch/full/precious"
refused 2 '"precious" is in the way' join "$remote" "$scratch/full"
equal "$(ls -A "$scratch/full")" precious "a directory that was refused"
refused 2 'a varve store already' join "$remote" "$scratch/store-a"
refused 6 'no varve store' join "$scratch/nothing" "$scratch/store-x"
refused 6 'No such file' join "$scratch/nowhere" "$scratch/store-x"
printf 'another passphrase\n' >"$scratch/wrong"
chmod 600 "$scratch/wrong"
refused 3 'wrong passphrase' mkfs.varve --passphrase-file "$scratch/wrong" --join "$remote" "$scratch/store-x"
cp -r "$remote" "$scratch/keyless"
rm -r "$scratch/keyless/keys"
refused 5 'keys' join "$scratch/keyless" "$scratch/store-x"
refused 1 'outside of it' join "$remote" "$remote/store"
refused 1 'excludes' mkfs.varve --passphrase-file "$pw" --chunk-size 64K --join "$remote" "$scratch/store-x"
[ ! -e "$scratch/store-x" ] || fail "something was made though joining was refused"
rm -r "$scratch/keyless"
(cd "$remote" && find . -type f | sort | xargs sha256sum) | diff "$scratch/before" - || fail "the remote was written to"

say "the second site joins from the remote, with sets of its own"
join "$remote" "$scratch/store-b" >"$scratch/out"
grep -q "$(writer b)" "$scratch/out" || fail "joined as another writer than it is: $(cat "$scratch/out")"
(cd "$remote" && find . -type f | sort | xargs sha256sum) | diff "$scratch/before" - || fail "joining wrote to the remote"
equal "$(find "$scratch/store-b/packs" "$scratch/store-b/snapshots" "$scratch/store-b/lists" -type f)" "" "files of others after joining"
joined_as=$(writer b)
mount_at b
[ -z "$(ls -A "$mnt")" ] || fail "the second site has live trees: $(ls "$mnt")"
equal "$(writer b)" "$joined_as" "the writer after the first mount"
backup b web monday 2
backup b mail monday 3
refused 2 'already' varve snapshot "$mnt/web" monday
varve remote add "$scratch/store-b" offsite "$remote" --same-disk >/dev/null
mount_at a
backup a www monday 4

say "both back up and replicate at the same time, again and again"
(for ((i = 0; i < 6; i++)); do replicate a || exit 1; done) & first=$!
(for ((i = 0; i < 6; i++)); do replicate b || exit 1; done) & second=$!
for day in tuesday wednesday; do
  backup a web "$day" "1${#day}"
  backup b web "$day" "2${#day}"
done
wait "$first" || fail "replicate a: $(cat "$scratch/replicate-a")"
wait "$second" || fail "replicate b: $(cat "$scratch/replicate-b")"
replicate a & first=$!
replicate b & second=$!
wait "$first" || fail "replicate a: $(cat "$scratch/replicate-a")"
wait "$second" || fail "replicate b: $(cat "$scratch/replicate-b")"
[ -z "$(find "$remote" -name '.tmp-*')" ] || fail "unfinished files are left at the remote"
whole "$remote"
web_b=web@$(writer b)
equal "$(ls "$remote/replica/visits" | wc -l)" 2 "senders at the remote"

say "the remote, mounted read-only, shows both"
shown=$scratch/shown
mkdir "$shown"
mount.varve -o "ro,local=$scratch/dr,passphrase_file=$pw" "$remote" "$shown" >"$scratch/log-dr" 2>&1 || fail "mounting the remote: $(cat "$scratch/log-dr")"
of_site() {  # of_site SITE SET SNAPSHOT: where it is in that mount
  local found
  for found in "$shown/$2" "$shown/.varve/sets/$2" "$shown/.varve/sets/$web_b" "$shown/$web_b"; do
    for found in "$found/.varve/snapshots/$3" "$found/snapshots/$3"; do
      [ -e "$found/whose" ] && grep -q "of site $1" "$found/whose" && echo "$found" && return
    done
  done
  fail "$2/$3 of site $1 is not shown: $(ls "$shown" "$shown/.varve/sets")"
}
for day in monday tuesday wednesday; do
  must_equal "$scratch/original-a-web-$day" "$(of_site a web $day)" "a's web/$day in the mount of the remote"
  must_equal "$scratch/original-b-web-$day" "$(of_site b web $day)" "b's web/$day in the mount of the remote"
done
must_equal "$scratch/original-b-mail-monday" "$(of_site b mail monday)" "b's mail/monday"
must_equal "$scratch/original-a-www-monday" "$(of_site a www monday)" "a's www/monday"
equal "$(ls "$shown" "$shown/.varve/sets" | grep -cE '^(web|www|mail|web@.*)$')" 4 "sets in the mount of the remote"
umount -i "$shown"

say "either is restored from the remote"
for day in monday tuesday wednesday; do
  restored "$remote" "web/$day" "$scratch/original-a-web-$day"
  restored "$remote" "$web_b/$day" "$scratch/original-b-web-$day"
done
rm -rf "$scratch/back"
"$here/../../tools/varve-rescue" --passphrase-file "$pw" restore "$remote" "$web_b/tuesday" "$scratch/back" >"$scratch/out" 2>&1 || fail "varve-rescue of $web_b: $(cat "$scratch/out")"
must_equal "$scratch/original-b-web-tuesday" "$scratch/back" "by varve-rescue"

say "each brings the other's snapshots, while it is mounted, and keeps its own live trees"
absorb a
absorb b
for ((i = 0; i < 200; i++)); do [ -d "$scratch/mnt-a/.varve/sets/mail/snapshots/monday" ] && [ -d "$scratch/mnt-b/.varve/sets/www/snapshots/monday" ] && break; sleep 0.1; done
must_equal "$scratch/original-b-mail-monday" "$scratch/mnt-a/.varve/sets/mail/snapshots/monday" "b's mail at a"
must_equal "$scratch/original-b-web-tuesday" "$scratch/mnt-a/.varve/sets/$web_b/snapshots/tuesday" "b's web at a"
must_equal "$scratch/original-a-www-monday" "$scratch/mnt-b/.varve/sets/www/snapshots/monday" "a's www at b"
must_equal "$scratch/original-a-web-tuesday" "$scratch/mnt-b/.varve/sets/web/snapshots/tuesday" "a's web at b"
must_equal "$scratch/original-b-web-wednesday" "$scratch/mnt-b/web" "b's live tree"
must_equal "$scratch/original-a-web-wednesday" "$scratch/mnt-a/web" "a's live tree"
equal "$(ls "$scratch/mnt-b" | sort | xargs)" "mail web" "live sets at b"

say "and goes on; a snapshot that is dropped here stays there"
backup b web thursday 31
rmdir "$scratch/mnt-b/mail/.varve/snapshots/monday"
unmount_at a
unmount_at b
replicate a || fail "replicate a: $(cat "$scratch/replicate-a")"
replicate b || fail "replicate b: $(cat "$scratch/replicate-b")"
restored "$remote" mail/monday "$scratch/original-b-mail-monday"
restored "$remote" "$web_b/thursday" "$scratch/original-b-web-thursday"
checkpoints() { varve inventory "$1" --json | python3 -c 'import json, sys; print(sum(s["class"] == "checkpoint" for s in json.load(sys.stdin)["snapshots"]))'; }
equal "$(checkpoints "$remote")" 2 "checkpoints at the remote: one of each site"
has "$scratch/store-a" "$web_b/tuesday" || fail "site a lists: $(cat "$scratch/snapshots")"

say "the loss of local/ brings back one's own live trees"
rm -r "$scratch/store-b/local"
mount_at b
equal "$(ls "$mnt" | sort | xargs)" "mail web" "live sets at b after the loss of local/"
must_equal "$scratch/original-b-web-thursday" "$mnt/web" "b's live tree after the loss of local/"
unmount_at b
replicate b || fail "replicate b after the loss: $(cat "$scratch/replicate-b")"

say "a third site joins from a drive that cp has written, and is lost before it wrote anything"
mkdir "$scratch/drive"
(cd "$scratch/store-a" && cp -r store.json keys packs catalog lists snapshots records "$scratch/drive/")
join "$scratch/drive" "$scratch/store-c" >/dev/null
mount_at c
[ -z "$(ls -A "$mnt")" ] || fail "the third site has live trees: $(ls "$mnt")"
unmount_at c
rm -r "$scratch/store-c/local"
varve absorb "$scratch/drive" "$scratch/store-c" >/dev/null
mount_at c
[ -z "$(ls -A "$mnt")" ] || fail "the third site took another's live trees: $(ls "$mnt")"
must_equal "$scratch/original-a-web-monday" "$mnt/.varve/sets/web/snapshots/monday" "a's web at c"
backup c web monday 41
unmount_at c

say "all are whole"
for place in "$scratch/store-a" "$scratch/store-b" "$scratch/store-c" "$remote" "$scratch/drive"; do whole "$place"; done
for site in a b c; do
  fsck.varve -n --passphrase-file "$pw" "$scratch/store-$site" >"$scratch/fsck" 2>&1 || fail "fsck of $site: $(cat "$scratch/fsck")"
done
