"""Goal: Shortening to a place inside a page, then lengthening, shows zeros to reads and mappings."""
from behaviour import *

put("file", b"x" * 8192)
with opened("file", os.O_RDWR) as fd, mmap.mmap(fd, 8192) as view:
    equal(view[5000:5004], b"xxxx")
    os.ftruncate(fd, 5002)
    os.ftruncate(fd, 8192)
    equal(view[5000:5004], b"xx\0\0")
    equal(os.pread(fd, 4, 5000), b"xx\0\0")
    fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 10, 20)
    equal(view[8:12], b"xx\0\0")
