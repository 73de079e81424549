"""Goal: A thousand descriptors of one file see the same."""
from behaviour import *

put("file", b"text")
fds = [os.open("file", os.O_RDWR) for _ in range(500)]
os.pwrite(fds[0], b"TEXT", 0)
for fd in fds:
    equal(os.pread(fd, 4, 0), b"TEXT")
for fd in fds:
    os.close(fd)
