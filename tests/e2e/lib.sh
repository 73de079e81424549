# Shared by the end-to-end tests: a store and a mount of their own in a scratch directory that always goes away.
#
# A test sources this file and uses: $scratch $store $mnt, make_store, mount_store, unmount_store, crash_daemon, fail, and
# the *_files counts of the scale (VARVE_SCALE=normal|full). The programs are found in $VARVE_BIN.
set -euo pipefail

: "${VARVE_BIN:?the directory of the built programs}"
PATH=$VARVE_BIN:$PATH
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
seed=${VARVE_SEED:-1}
scale=${VARVE_SCALE:-normal}
sanitized=${VARVE_SANITIZED:-}
full() { [ "$scale" = full ]; }

scratch=$(mktemp -d "${TMPDIR:-/tmp}/varve-test.XXXXXX")
store=$scratch/store
mnt=$scratch/mnt
pw=$scratch/passphrase
mkdir "$mnt"
printf 'a passphrase of the tests\n' >"$pw"
chmod 600 "$pw"

cleanup() {
  local status=$?
  cd /
  local target
  { findmnt -rn -o TARGET | grep -F "$scratch/" || true; } | sort -r | while read -r target; do
    umount -i -l "$target" 2>/dev/null || true
  done
  pkill -KILL -f "^([^ ]*/)?mount.varve $scratch/" 2>/dev/null || true
  if [ "$status" -ne 0 ] && [ -n "${VARVE_KEEP:-}" ]; then
    echo "kept: $scratch" >&2
  else
    rm -rf --one-file-system "$scratch"
  fi
  return "$status"
}
trap cleanup EXIT

say() { echo "-- $*"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
equal() { [ "$1" = "$2" ] || fail "$3: '$1' is not '$2'"; }
refused() {  # refused STATUS TEXT COMMAND...: it ends with that exit code, and says TEXT (a pattern)
  local wanted=$1 text=$2 status=0
  shift 2
  "$@" >"$scratch/refused" 2>&1 || status=$?
  equal "$status" "$wanted" "the exit code of '$*' ($(cat "$scratch/refused"))"
  grep -q -- "$text" "$scratch/refused" || fail "'$*' is refused otherwise: $(cat "$scratch/refused")"
}
refused_in_a_line() { refused "$@" && equal "$(wc -l <"$scratch/refused")" 1 "lines of '${*:3}' ($(cat "$scratch/refused"))"; }

make_store() { mkfs.varve --no-recovery-key --passphrase-file "$pw" "${1:-$store}" >"$scratch/mkfs.log" 2>&1 || { cat "$scratch/mkfs.log"; fail "mkfs.varve"; }; }

# mount_store [OPTIONS]: the log goes to $scratch/log.
mount_store() {
  mount.varve "$store" "$mnt" -f -o "passphrase_file=$pw${1:+,$1}" >>"$scratch/log" 2>&1 &
  daemon=$!
  local i
  for ((i = 0; i < 1200; i++)); do
    if mountpoint -q "$mnt"; then return 0; fi
    kill -0 "$daemon" 2>/dev/null || { tail -20 "$scratch/log"; fail "mount.varve ended"; }
    sleep 0.05
  done
  fail "mount.varve did not mount within a minute"
}

# A program that has ended may let go of its files a moment later (asynchronous I/O).
umount_soon() {
  local tries
  for ((tries = 0; tries < 100; tries++)); do
    umount -i "$mnt" 2>/dev/null && return
    sleep 0.1
  done
  umount -i "$mnt" || fail "umount"
}

# The daemon has put everything into the store's files when it has ended.
unmount_store() {
  umount_soon
  wait "$daemon" || { tail -20 "$scratch/log"; fail "mount.varve ended with status $?"; }
}

crash_daemon() {
  kill -KILL "$daemon"
  wait "$daemon" 2>/dev/null || true
  umount -i -l "$mnt"
}

stored_bytes() { du -sbc "$store/packs" "$store/catalog" | tail -1 | cut -f1; }

# Lists every difference in content or attributes between two trees; nothing if they are equal.
differences() { rsync -naciHAXS --delete --numeric-ids "$1/" "$2/"; }
must_equal() {
  local found
  found=$(differences "$1" "$2") || fail "rsync could not compare $1 and $2"
  [ -z "$found" ] || { echo "$found" | head -20; fail "$2 differs from $1 ($3)"; }
}
