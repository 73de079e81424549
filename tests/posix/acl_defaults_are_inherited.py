"""Goal: A directory's default ACL becomes new files' access ACL, limited by their mode and not by the umask, and new directories' default."""
from behaviour import *

os.mkdir("d")
default = acl(("user_obj", 7), ("user", 7, OTHER), ("group_obj", 5), ("mask", 7), ("other", 5))
os.setxattr("d", DEFAULT, default)
equal(os.listxattr("d"), [DEFAULT])
with umask(0o077):
    put("d/file", mode=0o666)
    os.mkdir("d/sub", 0o770)
    os.mkfifo("d/fifo", 0o600)
    os.symlink("x", "d/link")
    with opened("d", os.O_RDWR | os.O_TMPFILE, 0o666) as fd:
        equal(oct(stat.S_IMODE(os.fstat(fd).st_mode)), oct(0o664))
        equal(os.getxattr(fd, ACCESS)[-8:], os.getxattr("d/file", ACCESS)[-8:])
equal(oct(mode_of("d/file")), oct(0o664))
equal(os.getxattr("d/file", ACCESS), acl(("user_obj", 6), ("user", 7, OTHER), ("group_obj", 5), ("mask", 6), ("other", 4)))
equal(oct(mode_of("d/sub")), oct(0o770))
equal(os.getxattr("d/sub", DEFAULT), default)
equal(os.getxattr("d/sub", ACCESS), acl(("user_obj", 7), ("user", 7, OTHER), ("group_obj", 5), ("mask", 7), ("other", 0)))
equal(oct(mode_of("d/fifo")), oct(0o600))
refused(errno.ENODATA, os.getxattr, "d/file", DEFAULT)
equal(os.listxattr("d/link", follow_symlinks=False), [])
as_user(lambda: put("d/file", b"allowed"))
