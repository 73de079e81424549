"""Goal: truncate by path shortens and lengthens an open file; what comes back is zeros."""
from behaviour import *

put("file", b"x" * 10_000)
with opened("file", os.O_RDWR) as fd:
    os.truncate("file", 5_001)
    equal(os.fstat(fd).st_size, 5_001)
    os.truncate("file", 9_000)
    equal(os.pread(fd, 10_000, 0), b"x" * 5_001 + bytes(3_999))
    os.lseek(fd, 20_000, os.SEEK_SET)
    os.write(fd, b"end")
    equal(get("file"), b"x" * 5_001 + bytes(14_999) + b"end")
put("closed", mode=0o444)
os.chmod("closed", 0o444)
def user():
    refused(errno.EACCES, os.truncate, "closed", 0)
as_user(user)
refused(errno.ENOENT, os.truncate, "missing", 0)
with opened("file") as fd:
    refused(errno.EINVAL, os.ftruncate, fd, 0)
