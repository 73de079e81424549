#!/usr/bin/env bash
# Goal: a store that lost files and got others damaged is mended from its remote while it is mounted, and the remote from the store; what was
# removed here stays away.
source "$(dirname "$0")/lib.sh"

of() { find "$1/$2" -type f -size +20k | sort | sed -n "${3:-1}p"; }
flip() { printf '\xff\xff\xff\xff' | dd of="$1" bs=1 seek=9000 conv=notrunc status=none; }
all_of() { (cd "$1" && find packs catalog lists snapshots records keys -type f | sort | xargs sha256sum); }

make_store
mount_store
mkdir "$mnt/set"
"$here/make_data" mixed "$seed" $((24 << 20)) "$mnt/set/data"
cp -a "$mnt/set" "$scratch/original"
varve snapshot "$mnt/set" one >/dev/null
"$here/make_data" random "$((seed + 1))" $((8 << 20)) "$mnt/set/more"
varve snapshot "$mnt/set" two >/dev/null
unmount_store
remote=$scratch/remote
mkdir "$remote"
varve remote add "$store" remote "$remote" --same-disk >/dev/null
varve replicate "$store" --remote remote >/dev/null 2>&1
all_of "$store" >"$scratch/before"
all_of "$remote" >"$scratch/remote-before"

say "the site, while it is mounted"
flip "$(of "$store" packs 1)"
truncate -s 1000 "$(of "$store" packs 2)"
rm "$(of "$store" catalog)"
rm "$(find "$store/lists" -type f | head -1)"
mount_store ro
cat "$mnt/set/.varve/snapshots/one/data" >/dev/null 2>&1 && fail "a damaged file was read"
varve heal "$store" --from remote >"$scratch/out" 2>&1 || fail "heal: $(cat "$scratch/out")"
grep -q "2 damaged, 2 missing, 4 healed" "$scratch/out" || fail "heal says: $(cat "$scratch/out")"
for ((i = 0; i < 300; i++)); do cmp "$scratch/original/data" "$mnt/set/.varve/snapshots/one/data" >/dev/null 2>&1 && break; sleep 0.1; done
must_equal "$scratch/original" "$mnt/set/.varve/snapshots/one" "a snapshot after healing, without a new mount"
unmount_store
all_of "$store" >"$scratch/after"
diff "$scratch/before" "$scratch/after" || fail "the store is not what it was"
varve verify --no-key "$store" >/dev/null || fail "verify after healing"

say "the remote, from the site; nothing else is brought"
mount_store
varve snapshot "$mnt/set" three >/dev/null
unmount_store
flip "$(of "$remote" packs 1)"
rm "$(of "$remote" packs 2)"
varve heal "$remote" --from "$store" --json >"$scratch/json" || fail "heal: $(cat "$scratch/json")"
all_of "$remote" >"$scratch/after"
diff "$scratch/remote-before" "$scratch/after" || fail "healing the remote brought something else, or not all"

say "what is nowhere whole is told"
victim=$(of "$remote" packs 1)
flip "$victim"
flip "$store/${victim#"$remote"/}"
status=0
varve heal "$store" --from "$remote/" >"$scratch/out" 2>&1 || status=$?
equal "$status" 5 "heal with nothing to heal from ($(cat "$scratch/out"))"
grep -q "no whole copy" "$scratch/out" || fail "heal says: $(cat "$scratch/out")"
make_store "$scratch/other"
status=0
varve heal "$store" --from "$scratch/other" >"$scratch/out" 2>&1 || status=$?
equal "$status" 5 "heal from another store ($(cat "$scratch/out"))"
