"""Goal: Writing or truncating beyond the largest size that the filesystem has is EFBIG or EINVAL, and changes nothing."""
from behaviour import *

with opened("file", os.O_RDWR | os.O_CREAT) as fd:
    refused((errno.EFBIG, errno.EINVAL), os.pwrite, fd, b"x", 2**63 - 1)
    refused(errno.EINVAL, os.pwrite, fd, b"x", -1)
    refused(errno.EINVAL, os.ftruncate, fd, -5)
    equal(os.fstat(fd).st_size, 0)
