"""Goal: What fallocate reserved counts in st_blocks."""
from behaviour import *

with opened("file", os.O_RDWR | os.O_CREAT) as fd:
    fallocate(fd, 0, 0, 1 << 20)
    assert os.fstat(fd).st_blocks * 512 >= 1 << 20
