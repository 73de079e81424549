"""Goal: O_NOATIME is EPERM for who neither owns the file nor is root, and changes no atime."""
from behaviour import *

put("file", mode=0o644)
os.utime("file", (1, 1))
def user():
    refused(errno.EPERM, os.open, "file", os.O_RDONLY | os.O_NOATIME)
    os.close(os.open("file", os.O_RDONLY))
as_user(user)
with opened("file", os.O_RDONLY | os.O_NOATIME) as fd:
    equal(times_changed("file", lambda: os.read(fd, 1)), set())
