"""Goal: SEEK_DATA finds data behind a hole of terabytes, and SEEK_HOLE the end of it, without delay."""
from behaviour import *

far = 1 << 43
with opened("file", os.O_RDWR | os.O_CREAT) as fd:
    os.pwrite(fd, b"x" * 4096, far)
    os.ftruncate(fd, far + (1 << 42))
    for synced in (False, True):
        equal(os.lseek(fd, 0, os.SEEK_DATA), far)
        equal(os.lseek(fd, far, os.SEEK_HOLE), far + 4096)
        refused(errno.ENXIO, os.lseek, fd, far + 4096, os.SEEK_DATA)
        os.fsync(fd)
