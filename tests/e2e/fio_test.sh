#!/usr/bin/env bash
# Goal: fio reads back what it wrote: random and sequential writes, mappings, O_DIRECT, several jobs at once; also after a remount.
source "$(dirname "$0")/lib.sh"

make_store
mount_store
mkdir "$mnt/set"
size=24m
full && size=1g

# Every job verifies what it wrote; states of random jobs tell a later run what must be there.
fio_run() {  # fio_run NAME OPTION...
  local name=$1
  shift
  (cd "$scratch" && fio --name="$name" --directory="$mnt/set" --size="$size" --randseed="$seed" --verify=crc32c --verify_fatal=1 \
    --verify_dump=0 --minimal "$@") >"$scratch/fio" 2>&1 || { tail -20 "$scratch/fio"; fail "fio $name (VARVE_SEED=$seed)"; }
}

jobs=(
  "sequential --rw=write --bs=128k --ioengine=psync --end_fsync=1"
  "random --rw=randwrite --bs=4k --ioengine=psync --fdatasync=512"
  "odd --rw=randwrite --bsrange=512-40k --bs_unaligned --ioengine=psync"
  "mixed --rw=randrw --bs=16k --ioengine=libaio --iodepth=8 --verify_backlog=64"
  "direct --rw=randwrite --bs=8k --direct=1 --ioengine=libaio --iodepth=16"
  "mapped --rw=randwrite --bs=4k --ioengine=mmap"
)
for job in "${jobs[@]}"; do
  say "$job"
  # shellcheck disable=SC2086
  fio_run $job
done
say "four jobs at once, each its own file"
fio_run several --numjobs=4 --size=6m --rw=randwrite --bs=4k --ioengine=psync --group_reporting

unmount_store
mount_store
say "what was written is there after a remount"
for job in "${jobs[@]}"; do
  case $job in
    mixed*) continue ;; # its reads are not written, so that not every place has a header
  esac
  # shellcheck disable=SC2086
  fio_run ${job/--fdatasync=512/} --verify_only
done
unmount_store
if grep -iE 'input/output error|not answered' "$scratch/log"; then fail "the daemon's log tells of errors"; fi
