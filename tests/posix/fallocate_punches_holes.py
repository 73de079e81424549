"""Goal: PUNCH_HOLE makes zeros and gives blocks back, also across the end, and never changes the size."""
from behaviour import *

step = 1 << 16
put("file", b"x" * 8 * step)
with opened("file", os.O_RDWR) as fd:
    os.fsync(fd)
    before = os.fstat(fd).st_blocks
    fallocate(fd, PUNCH_HOLE | KEEP_SIZE, step, 2 * step)
    fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 6 * step + 5, 10)
    fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 7 * step, 100 * step)
    wanted = bytearray(b"x" * step + bytes(2 * step) + b"x" * 4 * step + bytes(step))
    wanted[6 * step + 5:6 * step + 15] = bytes(10)
    equal(get("file") == bytes(wanted), True)
    os.fsync(fd)
    assert os.fstat(fd).st_blocks <= before - 3 * step // 512
    equal(os.lseek(fd, 0, os.SEEK_HOLE), step)
    refused(errno.EOPNOTSUPP, fallocate, fd, PUNCH_HOLE, 0, 10)
