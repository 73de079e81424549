"""Goal: FS_IOC_GETFLAGS tells the flags of chattr, and immutable files can be had."""
from behaviour import *

put("file")
with opened("file") as fd:
    flags = fcntl.ioctl(fd, 0x80086601, bytes(8))
    fcntl.ioctl(fd, 0x40086602, struct.pack("q", struct.unpack("q", flags)[0] | 0x10))
    refused(errno.EPERM, os.unlink, "file")
    fcntl.ioctl(fd, 0x40086602, flags)
