"""Goal: Writing and truncating change mtime and ctime, a write of nothing and a failed one do not."""
from behaviour import *

with opened("file", os.O_RDWR | os.O_CREAT) as fd:
    equal(times_changed("file", lambda: os.write(fd, b"text")), {"mtime", "ctime"}, "write")
    equal(times_changed("file", lambda: os.write(fd, b"")), set(), "empty write")
    equal(times_changed("file", lambda: os.ftruncate(fd, 100)), {"mtime", "ctime"}, "longer")
    equal(times_changed("file", lambda: os.ftruncate(fd, 2)), {"mtime", "ctime"}, "shorter")
    equal(times_changed("file", lambda: os.ftruncate(fd, 2)), {"mtime", "ctime"}, "ftruncate to its size")
    equal(times_changed("file", lambda: os.truncate("file", 2)), {"mtime", "ctime"}, "truncate to its size")
    equal(times_changed("file", lambda: refused(errno.EINVAL, os.ftruncate, fd, -1)), set(), "failed")
    equal(times_changed("file", lambda: os.fsync(fd)), set(), "fsync")
equal(times_changed("file", lambda: get("file")) - {"atime"}, set(), "read")
