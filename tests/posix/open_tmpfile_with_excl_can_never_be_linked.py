"""Goal: O_TMPFILE with O_EXCL gives a file that linkat refuses with ENOENT."""
from behaviour import *

with opened(".", os.O_RDWR | os.O_TMPFILE | os.O_EXCL, 0o600) as fd:
    refused(errno.ENOENT, linkat, fd, "name")
refused(errno.EINVAL, os.open, ".", os.O_RDONLY | os.O_TMPFILE)
put("file")
refused(errno.ENOTDIR, os.open, "file", os.O_RDWR | os.O_TMPFILE)
