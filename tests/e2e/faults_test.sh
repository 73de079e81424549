#!/usr/bin/env bash
# Goal: each way in which a store can be damaged or misused is one clear error, never wrong data, a crash or a hang.
source "$(dirname "$0")/lib.sh"

"$here/make_data" random "$seed" $((20 << 20)) "$scratch/data"
"$here/make_data" mixed "$seed" $((4 << 20)) "$scratch/other"
make_store
mount_store
mkdir "$mnt/set"
cp "$scratch/data" "$mnt/set/data"
mkdir "$mnt/set/.varve/snapshots/good"
cp "$scratch/other" "$mnt/set/other"
unmount_store

refused() {  # refused WHAT PATTERN COMMAND...: fails, in time, with that line
  local what=$1 pattern=$2 status=0
  shift 2
  timeout 60 "$@" >"$scratch/out" 2>&1 || status=$?
  [ "$status" -ne 0 ] || fail "$what was accepted"
  [ "$status" -ne 124 ] || fail "$what hung"
  grep -qiE "$pattern" "$scratch/out" || { cat "$scratch/out"; fail "$what: no line with '$pattern'"; }
  say "$what: $(tail -1 "$scratch/out")"
}

say "wrong passphrase"
echo "not it" >"$scratch/wrong" && chmod 600 "$scratch/wrong"
sum_before=$(find "$store" -path "$store/local" -prune -o -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
refused "a wrong passphrase" "wrong passphrase" mount.varve "$store" "$mnt" -o "passphrase_file=$scratch/wrong"
equal "$(find "$store" -path "$store/local" -prune -o -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)" "$sum_before" "store after a wrong passphrase"

say "second mount"
mount_store
mkdir "$scratch/second"
refused "a second mount" "mounted by $daemon on $(hostname)" mount.varve "$store" "$scratch/second" -o "passphrase_file=$pw"
unmount_store

say "foreign store.json"
mkfs.varve --no-recovery-key --passphrase-file "$pw" "$scratch/foreign" >/dev/null
cp "$store/store.json" "$scratch/store.json"
cp "$scratch/foreign/store.json" "$store/store.json"
refused "a foreign store.json" "store.json|another store|foreign" mount.varve "$store" "$mnt" -o "passphrase_file=$pw"
cp "$scratch/store.json" "$store/store.json"
refused "a directory that is no store" "no varve store|not a varve store" mount.varve "$scratch/second" "$mnt" -o "passphrase_file=$pw"
refused "a mountpoint that is missing" "mountpoint|no such" mount.varve "$store" "$scratch/missing" -o "passphrase_file=$pw"
refused "mkfs over a store" "already|not empty" mkfs.varve --no-recovery-key --passphrase-file "$pw" "$store"

damaged() {  # damaged WHAT: reading the file is an I/O error or right, and the log names pack and file
  say "$1"
  : >"$scratch/log"
  mount_store
  local status=0
  timeout 60 cat "$mnt/set/.varve/snapshots/good/data" >"$scratch/read" 2>"$scratch/err" || status=$?
  [ "$status" -ne 124 ] || fail "$1: reading hung"
  [ "$status" -ne 0 ] || fail "$1: reading succeeded"
  grep -q "Input/output error" "$scratch/err" || { cat "$scratch/err"; fail "$1: not EIO"; }
  cmp -n "$(stat -c %s "$scratch/read")" "$scratch/read" "$scratch/data" || fail "$1: wrong data was read"
  grep -q "$(basename "$pack")" "$scratch/log" || { tail "$scratch/log"; fail "$1: the log does not name the pack"; }
  grep -qE "data" "$scratch/log" || fail "$1: the log does not name the file"
  ls -l "$mnt/set/.varve/snapshots/good" >/dev/null || fail "$1: the directory cannot be listed"
  cp "$scratch/other" "$mnt/set/after-$RANDOM" || fail "$1: writing does not go on"
  unmount_store
}

pack=$(find "$store/packs" -type f -size +8M | head -1)
cp "$pack" "$scratch/pack"
size=$(stat -c %s "$pack")
printf '\x01' | dd of="$pack" bs=1 seek=$((size / 3)) conv=notrunc status=none
if cmp -s "$pack" "$scratch/pack"; then printf '\x02' | dd of="$pack" bs=1 seek=$((size / 3)) conv=notrunc status=none; fi
damaged "a flipped bit"
cp "$scratch/pack" "$pack"
truncate -s $((size / 2)) "$pack"
damaged "a truncated pack"
rm "$pack"
damaged "a missing pack"
say "data that is written again is stored again"
mount_store
cp "$scratch/data" "$mnt/set/again"
unmount_store
mount_store
cmp "$scratch/data" "$mnt/set/again" || fail "what was written again refers to the missing pack"
unmount_store
cp "$scratch/pack" "$pack"
mount_store
cmp "$mnt/set/.varve/snapshots/good/data" "$scratch/data" || fail "the pack is back, the data is not"
unmount_store
