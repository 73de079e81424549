"""Goal: user. attributes are for files and directories only (EPERM); trusted. ones for symlinks and devices, too."""
from behaviour import *

os.symlink("nowhere", "link")
os.mkfifo("fifo")
for name in ("link", "fifo"):
    refused(errno.EPERM, os.setxattr, name, "user.a", b"1", follow_symlinks=False)
    os.setxattr(name, "trusted.a", b"1", follow_symlinks=False)
    equal(os.getxattr(name, "trusted.a", follow_symlinks=False), b"1")
    equal(os.listxattr(name, follow_symlinks=False), ["trusted.a"])
