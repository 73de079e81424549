"""Goal: A user may make fifos and sockets but no devices: EPERM."""
from behaviour import *

os.chmod(".", EVERYONE)
def user():
    os.mknod("fifo", stat.S_IFIFO | 0o600)
    os.mknod("socket", stat.S_IFSOCK | 0o600)
    refused(errno.EPERM, os.mknod, "char", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    refused(errno.EPERM, os.mknod, "block", stat.S_IFBLK | 0o600, os.makedev(7, 0))
as_user(user)
