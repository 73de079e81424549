#!/usr/bin/env bash
# Goal: a tree goes in through import.tar, as GNU tar and bsdtar write it, and comes out of NAME.tar and live.tar, with all that rsync sees;
# broken streams leave whole files only, names that climb stay out, what an import brought is there after a crash; an export is the same
# bytes each time and at every offset.
source "$(dirname "$0")/lib.sh"
count=1000
if full; then count=20000; elif [ -n "$sanitized" ]; then count=200; fi

make_store
mount_store checkpoint=0
source_tree=$scratch/source
"$here/sample_tree" $count "$source_tree"
rm "$source_tree/odd/socket"  # tar has no such thing
mkdir "$mnt/gnu" "$mnt/bsd" "$mnt/mixed"
gnu() { tar --format=pax --numeric-owner --acls --xattrs --xattrs-include='*' -S -C "$source_tree" -c .; }

say "GNU tar's archive"
gnu >"$mnt/gnu/.varve/import.tar" || fail "import.tar"
must_equal "$source_tree" "$mnt/gnu" "imported"
cp -a "$source_tree" "$scratch/expected"
touch "$mnt/gnu/own file"
gnu >"$mnt/gnu/.varve/import.tar" || fail "import.tar again"
[ -e "$mnt/gnu/own file" ] || fail "a merge removed a file"
rm -r "$source_tree/usr" "$source_tree/odd/deep"
echo changed >"$source_tree/odd/modes"
gnu >"$mnt/gnu/.varve/import-replace.tar" || fail "import-replace.tar"
must_equal "$source_tree" "$mnt/gnu" "replaced"

say "bsdtar's archive, and GNU's own format"
# bsdtar warns of a name that is no UTF-8, and takes it as it is.
bsdtar --numeric-owner --format pax -C "$source_tree" -cf - . >"$mnt/bsd/.varve/import.tar" 2>"$scratch/err" || grep -q "not UTF-8" "$scratch/err" || fail "bsdtar"
# bsdtar writes fractions of seconds before 1970 in a way of its own.
touch -r "$source_tree/odd/empty" "$mnt/bsd/odd/empty"
must_equal "$source_tree" "$mnt/bsd" "imported from bsdtar"
(cd "$source_tree/odd" && tar --format=gnu --numeric-owner -S -cf - sparse many n* symlink dangling) >"$mnt/mixed/.varve/import.tar" || fail "GNU format"
for name in sparse many "$(printf 'n%.0s' {1..255})"; do
  cmp "$source_tree/odd/$name" "$mnt/mixed/$name" || fail "$name"
done
[ "$(stat -c %b "$mnt/mixed/sparse")" -lt 2000 ] || fail "a sparse file is none"

say "the kernel's caches learn what came"
mkdir "$mnt/mixed/seen"
[ ! -e "$mnt/mixed/seen/new" ] || fail "there already"
echo old >"$mnt/mixed/seen/old"
cat "$mnt/mixed/seen/old" >/dev/null
mkdir -p "$scratch/small/seen"
echo new >"$scratch/small/seen/new"
echo "also new" >"$scratch/small/seen/old"
tar -C "$scratch/small" -c seen >"$mnt/mixed/.varve/import.tar"
equal "$(cat "$mnt/mixed/seen/new")" new "a name that was looked up before"
equal "$(cat "$mnt/mixed/seen/old")" "also new" "a file that was read before"
equal "$(stat -c %Y "$mnt/mixed/seen")" "$(stat -c %Y "$scratch/small/seen")" "the directory's time"

say "broken streams, foreign names"
refused() { local status=0; cat >"$mnt/mixed/.varve/import.tar" 2>"$scratch/err" || status=$?; [ $status -ne 0 ] || fail "$1 was taken"; }
archive=$scratch/archive.tar
(cd "$source_tree/odd" && tar -cf - many modes acl) >"$archive"
mkdir "$mnt/cut"
for length in 1 511 512 5000 70000 $(($(stat -c %s "$archive") / 512 * 512 - 10240)); do
  head -c "$length" "$archive" >"$scratch/part"
  if dd if="$scratch/part" bs=10240 of="$mnt/cut/.varve/import.tar" status=none 2>"$scratch/err"; then fail "$length bytes were taken for an archive"; fi
  grep -q "Input/output error" "$scratch/err" || fail "not EIO: $(cat "$scratch/err")"
  for name in many modes acl; do
    [ ! -e "$mnt/cut/$name" ] || cmp "$source_tree/odd/$name" "$mnt/cut/$name" || fail "half a file"
  done
done
refused "noise" < <(head -c 100000 /dev/urandom)
refused "a compressed archive" < <(gzip -c "$archive")
grep -q "put 'gzip -dc' before it" "$scratch/log" || fail "the log does not say what to do"
refused "two archives" < <(cat "$archive" "$archive")
echo outside >"$scratch/outside"
refused "a name that climbs" < <(cd "$scratch/small" && tar -P -c ../outside seen)
grep -q "import into mixed: ../outside: " "$scratch/log" || fail "the log does not name the entry"
[ ! -e "$mnt/outside" ] || fail "a name climbed out of the set"
mkdir -p "$scratch/reserved/.varve/snapshots/fake"
tar -C "$scratch/reserved" -c . >"$mnt/mixed/.varve/import.tar" || fail ".varve is left out, not refused"
[ ! -e "$mnt/mixed/.varve/snapshots/fake" ] || fail "a stream reached .varve"

say "one at a time; rights"
mkfifo "$scratch/slow"
cat "$scratch/slow" >"$mnt/cut/.varve/import.tar" 2>/dev/null &
writer=$!
exec 7>"$scratch/slow"
head -c 20000 "$archive" >&7
while ! grep -q '"set": "cut"' "$mnt/.varve/status.json"; do sleep 0.1; done
(cat "$archive" >"$mnt/cut/.varve/import-replace.tar") 2>"$scratch/err" && fail "two imports at once"
grep -q "busy" "$scratch/err" || fail "not EBUSY: $(cat "$scratch/err")"
echo "meanwhile" >"$mnt/cut/meanwhile"
mkdir "$mnt/cut/.varve/snapshots/meanwhile"
tail -c +20001 "$archive" >&7
exec 7>&-
wait "$writer" || fail "the slow writer"
for name in many modes acl; do cmp "$source_tree/odd/$name" "$mnt/cut/$name" || fail "$name came slowly"; done
equal "$(cat "$mnt/cut/meanwhile")" meanwhile "what was written meanwhile"
if [ "$(id -u)" -eq 0 ]; then
  equal "$(stat -c '%a %u' "$mnt/cut/.varve/import.tar")" "200 0" "who may import"
fi

say "out again, by GNU tar and by bsdtar"
snapshots=$mnt/gnu/.varve/snapshots
mkdir "$snapshots/one"
[ ! -e "$snapshots/none.tar" ] || fail "an archive of no snapshot"
mkdir "$snapshots/two.tar" 2>/dev/null && fail "a snapshot's name that ends in .tar"
ls "$snapshots" | grep -q tar && fail "an archive is listed"
mkdir "$scratch/out" "$scratch/bsd-out"
tar --acls --xattrs --xattrs-include='*' --warning=no-timestamp -C "$scratch/out" -x <"$snapshots/one.tar" || fail "tar -x"
must_equal "$source_tree" "$scratch/out" "exported"
bsdtar --numeric-owner -C "$scratch/bsd-out" -xpf "$snapshots/one.tar" || fail "bsdtar -x"
touch -r "$source_tree/odd/empty" "$scratch/bsd-out/odd/empty"
touch -r "$source_tree" "$scratch/bsd-out"  # bsdtar leaves the time of "." alone, in archives of its own, too
must_equal "$source_tree" "$scratch/bsd-out" "exported to bsdtar"
(cd "$scratch/out" && tar -tf "$snapshots/one.tar" odd/many >/dev/null) || fail "one file of the archive"

say "the same bytes each time"
cp "$snapshots/one.tar" "$scratch/one.tar"
size=$(stat -c %s "$snapshots/one.tar")
equal "$(stat -c %s "$scratch/one.tar")" "$size" "the archive's size"
cmp "$scratch/one.tar" "$snapshots/one.tar" || fail "two reads differ"
cmp "$scratch/one.tar" "$mnt/gnu/.varve/live.tar" || fail "live.tar of an unchanged set differs from its snapshot's"
truncate -s $((size / 3)) "$scratch/one.tar"
tail -c +$((size / 3 + 1)) "$snapshots/one.tar" >>"$scratch/one.tar"
cmp "$scratch/one.tar" "$snapshots/one.tar" || fail "a resumed copy differs"
sum=$(sha256sum <"$scratch/one.tar")
echo later >"$mnt/gnu/later"
tar -xOf "$mnt/gnu/.varve/live.tar" later | grep -x later >/dev/null || fail "live.tar lacks what was just written"
equal "$(sha256sum <"$snapshots/one.tar")" "$sum" "the snapshot's archive after a change"
mkdir "$mnt/.varve/snapshots/all" "$mnt/round"
tar -tf "$mnt/.varve/snapshots/all.tar" | grep -x gnu/odd/many >/dev/null || fail "the whole mount's archive"
cat "$snapshots/one.tar" >"$mnt/round/.varve/import.tar" || fail "an exported archive comes in again"
must_equal "$source_tree" "$mnt/round" "exported and imported"
unmount_store
mount_store checkpoint=0
equal "$(sha256sum <"$snapshots/one.tar")" "$sum" "the archive after a remount"
rm -rf "$scratch/out" "$scratch/bsd-out"

if full; then
  say "all of /usr"
  mkdir "$mnt/usr" "$scratch/usr"
  tar --xattrs --acls --one-file-system -C /usr -c . >"$mnt/usr/.varve/import.tar" || fail "/usr"
  must_equal /usr "$mnt/usr" "/usr imported"
  mkdir "$mnt/usr/.varve/snapshots/one"
  tar --xattrs --acls --xattrs-include='*' -C "$scratch/usr" -x <"$mnt/usr/.varve/snapshots/one.tar" || fail "/usr comes out"
  must_equal /usr "$scratch/usr" "/usr exported"
  rm -rf "$scratch/usr"
fi

say "durable when close returns"
mkdir "$mnt/durable"
varve sync "$mnt"
gnu >"$mnt/durable/.varve/import.tar"
crash_daemon
mount_store checkpoint=0
must_equal "$source_tree" "$mnt/durable" "imported before a crash"
unmount_store
