"""Goal: Vectored reads and writes fill their buffers in order, at the offset and at the file position."""
from behaviour import *

with opened("file", os.O_RDWR | os.O_CREAT) as fd:
    equal(os.writev(fd, [b"one", b"", b"two", b"three" * 1000]), 5006)
    equal(os.pwritev(fd, [b"AB", b"CD"], 1), 4)
    parts = [bytearray(3), bytearray(4), bytearray(6000)]
    equal(os.preadv(fd, parts, 0), 5006)
    equal(bytes(parts[0]) + bytes(parts[1]), b"oABCDot"[:7])
    equal(os.lseek(fd, 0, os.SEEK_CUR), 5006)
