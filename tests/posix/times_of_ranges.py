"""Goal: fallocate, punching and copy_file_range change mtime and ctime of the file that they change alone."""
from behaviour import *

put("source", b"s" * 8192)
put("file", b"f" * 8192)
with opened("file", os.O_RDWR) as fd, opened("source") as source:
    equal(times_changed("file", lambda: fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 0, 4096)), {"mtime", "ctime"}, "punch")
    equal(times_changed("file", lambda: fallocate(fd, ZERO_RANGE, 0, 4096)), {"mtime", "ctime"}, "zero")
    equal(times_changed("file", lambda: fallocate(fd, 0, 0, 16384)), {"mtime", "ctime"}, "allocate")
    equal(times_changed("file", lambda: os.copy_file_range(source, fd, 4096, 0, 0)), {"mtime", "ctime"}, "copy")
    equal(times_changed("source", lambda: os.copy_file_range(source, fd, 4096, 0, 0)) - {"atime"}, set(), "source")
