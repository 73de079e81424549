"""Goal: Writing beyond the end fills the gap with zeros; reading at or behind the end gives nothing."""
from behaviour import *

with opened("file", os.O_RDWR | os.O_CREAT) as fd:
    os.pwrite(fd, b"b", 70_000)
    equal(os.pread(fd, 80_000, 0), bytes(70_000) + b"b")
    equal(os.pread(fd, 10, 70_001), b"")
    equal(os.pread(fd, 10, 1 << 40), b"")
    os.pwrite(fd, b"a", 10)
    equal(os.pread(fd, 12, 0), bytes(10) + b"a\0")
