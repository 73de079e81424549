"""Goal: Beyond RLIMIT_FSIZE a write is cut short, then EFBIG with SIGXFSZ, and so is truncation."""
from behaviour import *

def child():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
    with opened("file", os.O_RDWR | os.O_CREAT) as fd:
        equal(os.write(fd, b"x" * 12_000), 10_000)
        refused(errno.EFBIG, os.write, fd, b"x")
        refused(errno.EFBIG, os.ftruncate, fd, 10_001)
        refused(errno.EFBIG, fallocate, fd, 0, 0, 20_000)
        equal(os.pwrite(fd, b"y", 9_999), 1)
    with opened("file", os.O_WRONLY | os.O_APPEND) as fd:
        refused(errno.EFBIG, os.write, fd, b"x")
Child(child).result()
equal(os.stat("file").st_size, 10_000)
