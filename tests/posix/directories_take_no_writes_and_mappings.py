"""Goal: Directories take no writes, fallocate, ftruncate or mappings by their descriptors."""
from behaviour import *

os.mkdir("d")
with opened("d") as fd:
    refused(errno.EBADF, os.write, fd, b"x")
    refused((errno.EBADF, errno.EINVAL), os.ftruncate, fd, 0)
    refused((errno.EBADF, errno.ENODEV), fallocate, fd, 0, 0, 10)
    refused(errno.ENODEV, mmap.mmap, fd, 4096, mmap.MAP_SHARED, mmap.PROT_READ)
