"""Goal: chmod, utimes to a given time and setting ACLs are EPERM for who does not own the file."""
from behaviour import *

put("file", mode=0o666)
os.chmod("file", 0o666)
def user():
    refused(errno.EPERM, os.chmod, "file", 0o777)
    refused(errno.EPERM, os.utime, "file", (1, 1))
    refused(errno.EPERM, os.setxattr, "file", ACCESS, acl(("user_obj", 7), ("group_obj", 7), ("other", 7)))
    refused(errno.EPERM, os.chown, "file", OTHER, OTHER)
as_user(user)
for mode in (0, 0o777, 0o7777, 0o4000, 0o1):
    os.chmod("file", mode)
    equal(oct(mode_of("file")), oct(mode))
