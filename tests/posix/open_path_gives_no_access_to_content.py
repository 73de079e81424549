"""Goal: O_PATH needs no permission on the file, answers fstat and fchdir, and EBADF to reading, writing and fchmod."""
from behaviour import *

put("file", mode=0o000)
os.mkdir("directory")
def user():
    with opened("file", os.O_PATH) as fd:
        equal(os.fstat(fd).st_size, 1)
        refused(errno.EBADF, os.read, fd, 1)
        refused(errno.EBADF, os.write, fd, b"x")
        refused(errno.EBADF, os.fchmod, fd, 0o777)
        refused(errno.EACCES, os.open, f"/proc/self/fd/{fd}", os.O_RDONLY)
    with opened("directory", os.O_PATH) as fd:
        os.fchdir(fd)
as_user(user)
