"""Goal: What is written through a shared mapping has changed mtime and ctime after msync."""
from behaviour import *

put("file", b"x" * 8192)
with opened("file", os.O_RDWR) as fd, mmap.mmap(fd, 8192) as view:
    def change():
        view[0:4] = b"text"
        view.flush()
    equal(times_changed("file", change), {"mtime", "ctime"})
