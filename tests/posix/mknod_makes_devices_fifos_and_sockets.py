"""Goal: mknod keeps type, numbers and mode of devices, also large ones, fifos, sockets and plain files."""
from behaviour import *

for name, kind, device in [("char", stat.S_IFCHR, os.makedev(1, 3)), ("block", stat.S_IFBLK, os.makedev(7, 300)),
                           ("large", stat.S_IFCHR, os.makedev(4095, 1048575)), ("zero", stat.S_IFCHR, 0),
                           ("fifo", stat.S_IFIFO, 0), ("socket", stat.S_IFSOCK, 0), ("file", stat.S_IFREG, 0)]:
    os.mknod(name, kind | 0o640, device)
    info = os.lstat(name)
    equal((stat.S_IFMT(info.st_mode), stat.S_IMODE(info.st_mode), info.st_rdev), (kind, 0o640, device), name)
    refused(errno.EEXIST, os.mknod, name, kind | 0o640, device)
