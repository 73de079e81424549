"""Goal: flock holds between processes and descriptors, shared with shared, and goes with the last descriptor."""
from behaviour import *

put("file")
with opened("file", os.O_RDWR) as one, opened("file", os.O_RDWR) as two:
    fcntl.flock(one, fcntl.LOCK_EX)
    refused(errno.EWOULDBLOCK, fcntl.flock, two, fcntl.LOCK_EX | fcntl.LOCK_NB)
    def child():
        with opened("file") as fd:
            refused(errno.EWOULDBLOCK, fcntl.flock, fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    Child(child).result()
    fcntl.flock(one, fcntl.LOCK_SH)
    fcntl.flock(two, fcntl.LOCK_SH | fcntl.LOCK_NB)
    refused(errno.EWOULDBLOCK, fcntl.flock, one, fcntl.LOCK_EX | fcntl.LOCK_NB)
with opened("file") as fd:
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
