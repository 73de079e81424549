#!/usr/bin/env bash
# Goal: packs that are missing or damaged under a mount are read through a remote, and put back in their place. A remote that hangs costs reads of what is
# only there, bounded, and nothing else; one that comes back is read again; what no remote has is an error.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/ssh.sh"
[ "$(id -u)" -eq 0 ] || fail "needs root"

ends() { timeout "$1" bash -c "$2" >"$scratch/out" 2>&1 || fail "while the remote hangs: '$2' ended with status $? ($(cat "$scratch/out"))"; }
packs_of() { find "$1/packs" -type f -size +20k ! -name '.tmp-*' -printf '%P\n' | sort; }
figure() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["remote_reads"][sys.argv[2]])' "$mnt/.varve/status.json" "$1"; }
await_whole() { # FILE...: paths of packs
  local i
  for ((i = 0; i < 600; i++)); do
    (cd "$store/packs" && for f; do [ "$(sha256sum <"$f" 2>/dev/null | cut -c1-64)" = "${f#*/}" ] || exit 1; done) && return
    sleep 0.1
  done
  fail "not healed: $*"
}
# Stores $1 as the only new data since the last call; its pack is in pack[$1].
declare -A pack
add() {
  "$here/make_data" random "$seed" $((3 << 20)) "$scratch/$1"
  seed=$((seed + 1))
  packs_of "$store" >"$scratch/before"
  cp "$scratch/$1" "$mnt/set/$1"
  varve snapshot "$mnt/set" "$1" >/dev/null
  pack[$1]=$(packs_of "$store" | comm -13 "$scratch/before" -)
  [ "$(wc -w <<<"${pack[$1]}")" = 1 ] || fail "the packs of $1: ${pack[$1]}"
}

start_ssh
mount_sshfs
make_store
mount_store
mkdir "$mnt/set"
for name in flipped cut gone known unknown other late nowhere; do add "$name"; done
unmount_store
varve remote add "$store" far "$scratch/near" >"$scratch/out" 2>&1 || fail "remote add: $(cat "$scratch/out")"
varve replicate "$store" --remote far >/dev/null 2>&1

say "damaged and missing packs, over sshfs"
printf '\xff\xff\xff\xff' | dd of="$store/packs/${pack[flipped]}" bs=1 seek=900000 conv=notrunc status=none
truncate -s 100000 "$store/packs/${pack[cut]}"
rm "$store/packs/${pack[gone]}"
rm "$scratch/far/packs/${pack[nowhere]}"
mv "$store/packs/${pack[nowhere]}" "$scratch/nowhere-pack"
mount_store
for name in flipped cut gone; do cmp "$scratch/$name" "$mnt/set/$name" || fail "$name through the remote"; done
await_whole "${pack[flipped]}" "${pack[cut]}" "${pack[gone]}"
equal "$(figure mended_packs)" 3 "packs put back"
[ "$(grep -c "${pack[cut]#*/}.*read from a remote" "$scratch/log")" = 1 ] || fail "the log does not say once that a pack is read from a remote"
ls "$store/replica/quarantine/packs/" | grep -q "${pack[flipped]#*/}" || fail "the damaged pack is not in quarantine"
cat "$mnt/set/nowhere" >/dev/null 2>"$scratch/out" && fail "what is nowhere was read"
grep -q "Input/output error" "$scratch/out" || fail "what is nowhere: $(cat "$scratch/out")"
cp "$scratch/nowhere" "$mnt/set/nowhere"
varve snapshot "$mnt/set" healed-by-writing >/dev/null
unmount_store

say "the remote hangs"
rm "$store/packs/${pack[unknown]}" "$store/packs/${pack[other]}" "$store/packs/${pack[late]}"
kill -STOP "$sshfs"
mount_store
ends 60 "ls -l '$mnt/set'"
timeout 120 cat "$mnt/set/unknown" >/dev/null 2>"$scratch/out" && fail "what is not here was read from a remote that hangs"
grep -q "Input/output error" "$scratch/out" || fail "a read from a remote that hangs ends otherwise: $(cat "$scratch/out")"
for ((i = 0; i < 40; i++)); do timeout 120 cat "$mnt/set/other" >/dev/null 2>&1 & done
ends 60 "cmp '$scratch/known' '$mnt/set/known'"
ends 60 "cp '$scratch/known' '$mnt/set/new' && sync '$mnt/set/new' && cmp '$scratch/known' '$mnt/set/new'"
ends 60 "printf new | dd of='$mnt/set/late' bs=1 seek=1500000 conv=notrunc,fsync status=none"
ends 60 "varve snapshot '$mnt/set' meanwhile"
ends 60 "ls -lR '$mnt/set/.varve/snapshots/meanwhile'"
ends 60 "df '$mnt'"
ends 60 "cat '$mnt/.varve/status.json'"
ends 60 "cp '$scratch/late' '$mnt/set/late2' && sync '$mnt/set/late2'"

say "it comes back"
kill -CONT "$sshfs"
for ((i = 0; i < 300; i++)); do cmp "$scratch/unknown" "$mnt/set/unknown" >/dev/null 2>&1 && break; sleep 0.1; done
cmp "$scratch/unknown" "$mnt/set/unknown" || fail "the remote is back, and cannot be read"
cmp "$scratch/other" "$mnt/set/other" || fail "the remote is back, and cannot be read"
cp "$scratch/late" "$scratch/late-changed"
printf new | dd of="$scratch/late-changed" bs=1 seek=1500000 conv=notrunc status=none
cmp "$scratch/late-changed" "$mnt/set/late" || fail "new data beside old that was only at the remote"
cmp "$scratch/late" "$mnt/set/.varve/snapshots/late/late" || fail "a snapshot of what was only at the remote"
cmp "$scratch/late" "$mnt/set/late2" || fail "what was stored again"
await_whole "${pack[unknown]}" "${pack[other]}" "${pack[late]}"

say "a remote that was unmounted, and mounted again"
unmount_store
rm "$store/packs/${pack[unknown]}"
umount "$scratch/near" || fail "the remote is still in use"
wait "$sshfs" 2>/dev/null || true
mount_store
timeout 60 cat "$mnt/set/unknown" >/dev/null 2>"$scratch/out" && fail "read from a remote that is not mounted"
grep -q "nothing of the store is there; is it mounted" "$scratch/log" || fail "the log does not say that the remote is not mounted"
mount_sshfs
for ((i = 0; i < 300; i++)); do cmp "$scratch/unknown" "$mnt/set/unknown" >/dev/null 2>&1 && break; sleep 0.1; done
cmp "$scratch/unknown" "$mnt/set/unknown" || fail "the remote is mounted again, and cannot be read"
await_whole "${pack[unknown]}"

say "umount while it hangs"
unmount_store
rm "$store/packs/${pack[unknown]}"
mount_store
kill -STOP "$sshfs"
timeout 120 cat "$mnt/set/unknown" >/dev/null 2>&1 &
sleep 0.5
timeout 60 umount -i -l "$mnt" || fail "umount hangs with the remote"
timeout 60 flock "$store/local/lock" true || fail "the daemon does not end while the remote hangs"
wait "$daemon" || fail "mount.varve ended with status $?"
kill -CONT "$sshfs"
fsck.varve -n --passphrase-file "$pw" "$store" >"$scratch/out" 2>&1 && fail "fsck does not see that a pack is missing"
mount_store
cmp "$scratch/unknown" "$mnt/set/unknown"
await_whole "${pack[unknown]}"
unmount_store
mv "$scratch/nowhere-pack" "$store/packs/${pack[nowhere]}"
fsck.varve -n --read-data --passphrase-file "$pw" "$store" >"$scratch/out" 2>&1 || fail "fsck: $(cat "$scratch/out")"
umount "$scratch/near"
