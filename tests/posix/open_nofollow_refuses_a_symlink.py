"""Goal: O_NOFOLLOW is ELOOP for a symlink, but with O_PATH it opens the link itself."""
from behaviour import *

put("file")
os.symlink("file", "link")
refused(errno.ELOOP, os.open, "link", os.O_RDONLY | os.O_NOFOLLOW)
with opened("link", os.O_PATH | os.O_NOFOLLOW) as fd:
    assert stat.S_ISLNK(os.fstat(fd).st_mode)
    equal(os.readlink("", dir_fd=fd), "file")
with opened("file", os.O_RDONLY | os.O_NOFOLLOW) as fd:
    equal(os.read(fd, 10), b"x")
