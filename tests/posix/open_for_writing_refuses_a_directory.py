"""Goal: A directory cannot be opened for writing, truncated or created over: EISDIR."""
from behaviour import *

os.mkdir("directory")
for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_CREAT, os.O_WRONLY | os.O_TRUNC, os.O_RDONLY | os.O_TRUNC):
    refused(errno.EISDIR, os.open, "directory", flags)
with opened("directory") as fd:
    refused(errno.EISDIR, os.read, fd, 10)
    refused(errno.EBADF, os.write, fd, b"x")
