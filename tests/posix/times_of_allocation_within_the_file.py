"""Goal: fallocate inside a file changes its mtime and ctime, though its bytes and size stay."""
from behaviour import *

put("file", b"f" * 8192)
with opened("file", os.O_RDWR) as fd:
    equal(times_changed("file", lambda: fallocate(fd, 0, 0, 4096)), {"mtime", "ctime"}, "within")
    equal(times_changed("file", lambda: fallocate(fd, KEEP_SIZE, 0, 65536)), {"mtime", "ctime"}, "beyond, size kept")
