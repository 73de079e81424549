"""Goal: A removed directory that is open lists nothing, takes no new names, and has no links."""
from behaviour import *

os.mkdir("d")
with opened("d", os.O_RDONLY | os.O_DIRECTORY) as fd:
    os.rmdir("d")
    equal(os.fstat(fd).st_nlink, 0)
    refused(errno.ENOENT, os.open, "new", os.O_WRONLY | os.O_CREAT, dir_fd=fd)
    refused(errno.ENOENT, os.mkdir, "new", dir_fd=fd)
    refused(errno.ENOENT, os.stat, "new", dir_fd=fd)
    try:
        equal(os.listdir(fd), [])
    except FileNotFoundError:
        pass
