"""Goal: Sizes and offsets go up to 2^63 - 1: sparse files of that size, reading and writing at the end, EFBIG behind it."""
from behaviour import *

last = 2**63 - 1
with opened("file", os.O_RDWR | os.O_CREAT) as fd:
    os.pwrite(fd, b"end", last - 3)
    equal(os.fstat(fd).st_size, last)
    equal(os.pread(fd, 3, last - 3), b"end")
    refused((errno.EFBIG, errno.EINVAL), os.pwrite, fd, b"xy", last)
    equal(os.lseek(fd, 0, os.SEEK_DATA) > last - (1 << 20), True)
    os.fsync(fd)
    equal(os.lseek(fd, 0, os.SEEK_DATA) > last - (1 << 20), True)
    equal(os.lseek(fd, 0, os.SEEK_HOLE), 0)
    assert os.fstat(fd).st_blocks < 1000
    os.ftruncate(fd, 10)
    os.ftruncate(fd, last)
    equal(os.pread(fd, 5, last - 5), bytes(5))
