"""Goal: Times that are set on an open file after writing to it stay, over close, fsync and reading."""
from behaviour import *

with opened("file", os.O_RDWR | os.O_CREAT) as fd:
    os.write(fd, b"x" * 100_000)
    os.utime(fd, ns=(1_000_000_001, 2_000_000_002))
equal(os.stat("file").st_mtime_ns, 2_000_000_002)
with opened("file", os.O_RDWR) as fd:
    os.fsync(fd)
    os.read(fd, 10)
equal(os.stat("file").st_mtime_ns, 2_000_000_002)
