"""Goal: sync_file_range, posix_fadvise and readahead succeed and change nothing."""
from behaviour import *

put("file", b"x" * 100_000)
with opened("file", os.O_RDWR) as fd:
    for advice in (os.POSIX_FADV_SEQUENTIAL, os.POSIX_FADV_RANDOM, os.POSIX_FADV_WILLNEED, os.POSIX_FADV_DONTNEED):
        os.posix_fadvise(fd, 0, 0, advice)
    call("sync_file_range", fd, ctypes.c_long(0), ctypes.c_long(0), 7)
    call("readahead", fd, ctypes.c_long(0), ctypes.c_long(100_000))
equal(get("file"), b"x" * 100_000)
