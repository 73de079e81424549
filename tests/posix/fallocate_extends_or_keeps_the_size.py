"""Goal: fallocate with mode 0 makes a file longer by zeros and never shorter; KEEP_SIZE leaves the size."""
from behaviour import *

put("file", b"text")
with opened("file", os.O_RDWR) as fd:
    fallocate(fd, 0, 0, 100_000)
    equal(get("file"), b"text" + bytes(99_996))
    fallocate(fd, 0, 0, 10)
    equal(os.fstat(fd).st_size, 100_000)
    fallocate(fd, KEEP_SIZE, 0, 200_000)
    equal(os.fstat(fd).st_size, 100_000)
    refused(errno.EINVAL, fallocate, fd, 0, 0, 0)
    refused(errno.EINVAL, fallocate, fd, 0, -1, 10)
    refused(errno.EINVAL, fallocate, fd, 0, 0, -1)
    refused(errno.EFBIG, fallocate, fd, 0, 2**63 - 10, 10)
    os.posix_fallocate(fd, 0, 150_000)
    equal(os.fstat(fd).st_size, 150_000)
with opened("file") as fd:
    refused(errno.EBADF, fallocate, fd, 0, 0, 10)
