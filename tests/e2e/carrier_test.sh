#!/usr/bin/env bash
# Goal: who carries a store reads neither names nor contents in it, checks it with sha256sum, and finds no secret anywhere.
source "$(dirname "$0")/lib.sh"

make_store
mount_store
mkdir "$mnt/set-with-a-telling-name"
for n in 1 2 3; do
  python3 -c "import sys; sys.stdout.write((sys.argv[1] + chr(10)) * 10000)" "a telling content number $n" >"$mnt/set-with-a-telling-name/telling-file-$n"
  setfattr -n user.telling-attribute -v telling-value "$mnt/set-with-a-telling-name/telling-file-$n"
done
ln -s telling-target "$mnt/set-with-a-telling-name/telling-link"
mkdir "$mnt/set-with-a-telling-name/.varve/snapshots/telling-snapshot"
grep -aq "passphrase of the tests" "/proc/$daemon/environ" "/proc/$daemon/cmdline" && fail "the passphrase is in arguments or environment"
unmount_store

carried=(store.json keys packs catalog lists snapshots records)
for word in telling passphrase set-with; do
  (cd "$store" && grep -raq "$word" "${carried[@]}") && fail "'$word' is readable in the store"
done
find "$store"/{packs,catalog,lists,snapshots,records,keys} -type f -printf '%f  %p\n' | sha256sum -c --quiet || fail "names are not SHA-256 sums"
find "$store"/{packs,catalog} -type f -printf '%s %p\n' | while read -r size path; do
  python3 - "$size" <<'EOF' || fail "$path has an unpadded length $size"
import sys
n = int(sys.argv[1])
e = n.bit_length() - 1
s = e.bit_length()
sys.exit(0 if n == 64 << 20 or n % (1 << (e - s)) == 0 else 1)
EOF
done
grep -aq "passphrase of the tests" "$scratch/log" && fail "the passphrase is in the log"

say "the union of two copies is a store"
mkdir "$scratch/copy"
for part in "${carried[@]}"; do cp -r "$store/$part" "$scratch/copy/"; done
store=$scratch/copy
mount_store
python3 -c "import sys; sys.stdout.write((sys.argv[1] + chr(10)) * 10000)" "a telling content number 2" | cmp - "$mnt/set-with-a-telling-name/.varve/snapshots/telling-snapshot/telling-file-2"
unmount_store
