"""Goal: O_SYNC and O_DSYNC write, append and extend as without them."""
from behaviour import *

for flag in (os.O_SYNC, os.O_DSYNC):
    with opened("file", os.O_RDWR | os.O_CREAT | os.O_TRUNC | flag) as fd:
        os.write(fd, b"a" * 5000)
        os.pwrite(fd, b"b", 7000)
        equal(os.pread(fd, 8000, 0), b"a" * 5000 + bytes(2000) + b"b")
