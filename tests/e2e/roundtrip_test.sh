#!/usr/bin/env bash
# Goal: what rsync, cp or tar ($1) wrote comes back equal in every attribute: out of the snapshot, after a remount, after kill -9 and after
# the loss of local/.
source "$(dirname "$0")/lib.sh"
tool=$1

source_tree=$scratch/source
if full; then
  "$here/sample_tree" 1000 "$scratch/extra"
  source_tree=/usr
else
  "$here/sample_tree" "${VARVE_FILES:-$([ -n "$sanitized" ] && echo 1500 || echo 10000)}" "$source_tree"
fi

write() {  # write FROM TO
  case $tool in
    rsync) rsync -aHAXS --numeric-ids --delete "$1/" "$2/" ;;
    cp) cp -a "$1/." "$2/" ;;
    tar) tar -C "$1" --xattrs --xattrs-include='*' --acls --sparse --numeric-owner --warning=no-file-ignored -cf - . |
           tar -C "$2" --xattrs --xattrs-include='*' --acls --numeric-owner -xpf - ;;
  esac
}

# tar carries neither sockets nor times below the microsecond of xattr-free entries: compare with what a local tar brings back.
expected=$source_tree
if [ "$tool" = tar ]; then
  expected=$scratch/expected
  mkdir "$expected"
  write "$source_tree" "$expected"
fi

make_store
mount_store
mkdir "$mnt/web01"
write "$source_tree" "$mnt/web01"
say "live tree"
must_equal "$expected" "$mnt/web01" "the live tree"
mkdir "$mnt/web01/.varve/snapshots/monday"
snapshot=$mnt/web01/.varve/snapshots/monday
must_equal "$expected" "$snapshot" "the snapshot"
if full; then
  mkdir "$mnt/extra"
  write "$scratch/extra" "$mnt/extra"
fi

say "after a change, the snapshot stays"
rm -rf "$mnt/web01/odd"
find "$mnt/web01" -type f | sort | sed -n 1,50p | while read -r file; do echo changed >"$file"; done
must_equal "$expected" "$snapshot" "the snapshot after changes"

say "after a remount"
unmount_store
mount_store
must_equal "$expected" "$snapshot" "the snapshot after a remount"

say "after kill -9"
echo more >"$mnt/web01/more"
crash_daemon
mount_store
must_equal "$expected" "$snapshot" "the snapshot after kill -9"
unmount_store

say "after the loss of local/"
rm -rf "$store/local"
mount_store
grep -qi "rebuil" "$scratch/log" || fail "no line says that local/ was rebuilt"
must_equal "$expected" "$snapshot" "the snapshot after local/ was removed"
[ "$(cat "$mnt/web01/more" 2>/dev/null || true)" = more ] || say "note: the write after the last checkpoint went with kill -9"
[ -d "$mnt/web01" ] || fail "the live tree is gone"
unmount_store
