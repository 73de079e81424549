"""Goal: user. attributes follow the mode; trusted. are for root alone and hidden from others' lists; who does not own a file sets no security. ones."""
from behaviour import *

put("file", mode=0o644)
os.setxattr("file", "user.a", b"1")
os.setxattr("file", "trusted.t", b"2")
os.chmod(".", EVERYONE)
def user():
    equal(os.listxattr("file"), ["user.a"])
    equal(os.getxattr("file", "user.a"), b"1")
    refused(errno.EACCES, os.setxattr, "file", "user.a", b"3")
    refused(errno.EACCES, os.removexattr, "file", "user.a")
    refused(errno.ENODATA, os.getxattr, "file", "trusted.t")
    refused(errno.EPERM, os.setxattr, "file", "trusted.t", b"3")
    put("mine", mode=0o600)
    os.setxattr("mine", "user.b", b"4")
as_user(user)
os.chmod("file", 0o600)
as_user(lambda: refused(errno.EACCES, os.getxattr, "file", "user.a"))
equal(sorted(os.listxattr("file")), ["trusted.t", "user.a"])
