"""Goal: ENOENT for what is missing, ENOTDIR below a file, ELOOP in a circle of symlinks, ENAMETOOLONG for a name of 256 bytes."""
from behaviour import *

put("file")
os.symlink("b", "a")
os.symlink("a", "b")
refused(errno.ENOENT, os.open, "missing", os.O_RDONLY)
refused(errno.ENOENT, os.open, "missing/below", os.O_RDONLY | os.O_CREAT)
refused(errno.ENOTDIR, os.open, "file/below", os.O_RDONLY)
refused(errno.ELOOP, os.open, "a", os.O_RDONLY)
refused(errno.ENAMETOOLONG, os.open, "n" * 256, os.O_RDONLY)
refused(errno.ENAMETOOLONG, os.open, "n" * 256, os.O_WRONLY | os.O_CREAT)
refused(errno.ENOENT, os.open, "", os.O_RDONLY)
