"""Goal: O_TMPFILE inherits the group of a setgid directory, and what is linked later keeps it."""
from behaviour import *

os.mkdir("shared")
os.chown("shared", 0, 4711)
os.chmod("shared", 0o2777)
def user():
    with opened("shared", os.O_RDWR | os.O_TMPFILE, 0o664) as fd:
        info = os.fstat(fd)
        equal((info.st_uid, info.st_gid, oct(stat.S_IMODE(info.st_mode))), (OTHER, 4711, oct(0o644)))
        linkat(fd, "shared/name")
as_user(user)
info = os.stat("shared/name")
equal((info.st_uid, info.st_gid, info.st_nlink), (OTHER, 4711, 1))
