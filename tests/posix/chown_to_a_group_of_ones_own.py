"""Goal: An owner may give a file to a group that he is in, to no other, and to no other owner."""
from behaviour import *

put("file")
os.chown("file", OTHER, OTHER)
def user():
    refused(errno.EPERM, os.chown, "file", THIRD, -1)
    refused(errno.EPERM, os.chown, "file", -1, THIRD)
    os.chown("file", -1, 4711)
    os.chown("file", OTHER, OTHER)
as_user(user, groups=[4711])
for uid, gid in ((1, 2), (70000, 80000), (2**32 - 2, 2**32 - 2), (0, 0)):
    os.chown("file", uid, gid)
    info = os.stat("file")
    equal((info.st_uid, info.st_gid), (uid, gid))
