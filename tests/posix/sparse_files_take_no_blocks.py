"""Goal: A hole counts in st_size and not in st_blocks, data does; truncating gives blocks back."""
from behaviour import *

with opened("file", os.O_RDWR | os.O_CREAT) as fd:
    os.ftruncate(fd, 1 << 34)
    equal((os.fstat(fd).st_size, os.fstat(fd).st_blocks), (1 << 34, 0))
    os.pwrite(fd, b"x" * (1 << 20), 1 << 33)
    os.fsync(fd)
    blocks = os.fstat(fd).st_blocks * 512
    assert 1 << 20 <= blocks <= (1 << 20) + 65536, blocks
    equal(os.pread(fd, 4096, 1 << 32), bytes(4096))
    os.ftruncate(fd, 0)
    equal(os.fstat(fd).st_blocks, 0)
put("small", b"x")
with opened("small") as fd:
    os.fsync(fd)
    assert 0 < os.fstat(fd).st_blocks <= 8
