"""Goal: SEEK_DATA and SEEK_HOLE find what was written, a hole at the end of the file, and ENXIO behind it."""
from behaviour import *

step = 1 << 16
with opened("file", os.O_RDWR | os.O_CREAT) as fd:
    os.pwrite(fd, b"a" * step, 4 * step)
    os.pwrite(fd, b"b" * step, 8 * step)
    os.ftruncate(fd, 16 * step)
    for synced in (False, True):
        equal(os.lseek(fd, 0, os.SEEK_DATA), 4 * step)
        equal(os.lseek(fd, 0, os.SEEK_HOLE), 0)
        equal(os.lseek(fd, 4 * step + 5, os.SEEK_DATA), 4 * step + 5)
        equal(os.lseek(fd, 4 * step, os.SEEK_HOLE), 5 * step)
        equal(os.lseek(fd, 5 * step, os.SEEK_DATA), 8 * step)
        equal(os.lseek(fd, 8 * step, os.SEEK_HOLE), 9 * step)
        refused(errno.ENXIO, os.lseek, fd, 9 * step, os.SEEK_DATA)
        equal(os.lseek(fd, 9 * step + 1, os.SEEK_HOLE), 9 * step + 1)
        refused(errno.ENXIO, os.lseek, fd, 16 * step, os.SEEK_HOLE)
        refused(errno.ENXIO, os.lseek, fd, 16 * step, os.SEEK_DATA)
        refused(errno.ENXIO, os.lseek, fd, -1, os.SEEK_DATA)
        os.fsync(fd)
put("full", b"x" * step)
with opened("full") as fd:
    equal(os.lseek(fd, 0, os.SEEK_HOLE), step)
    equal(os.lseek(fd, 10, os.SEEK_DATA), 10)
    equal(os.lseek(fd, 5, os.SEEK_END), step + 5)
    refused(errno.EINVAL, os.lseek, fd, -1, os.SEEK_SET)
