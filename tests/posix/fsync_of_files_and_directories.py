"""Goal: fsync and fdatasync succeed on files, read-only descriptors, directories and unlinked files; syncfs and sync succeed."""
from behaviour import *

put("file")
os.mkdir("d")
with opened("file") as fd:
    os.fsync(fd)
    os.fdatasync(fd)
    call("syncfs", fd)
    os.unlink("file")
    os.fsync(fd)
with opened("d") as fd:
    os.fsync(fd)
    os.fdatasync(fd)
    os.rmdir("d")
    os.fsync(fd)
os.mkfifo("fifo")
with opened("fifo", os.O_RDWR) as fd:
    refused((errno.EINVAL, errno.EROFS), os.fsync, fd)
with opened(".", os.O_PATH) as fd:
    refused(errno.EBADF, os.fsync, fd)
