"""Goal: Where several things are wrong at once, the error is the one that Linux gives."""
from behaviour import *

put("file")
os.mkdir("d")
put("d/x")
refused(errno.ENOTDIR, os.unlink, "file/x")
refused(errno.ENOTDIR, os.mkdir, "file/x")
refused(errno.EISDIR, os.rename, "file", "d")
refused(errno.ENOTDIR, os.rename, "d", "file")
refused(errno.EISDIR, os.truncate, "d", 0)
refused(errno.EINVAL, os.truncate, "d", -1)
refused(errno.ENOENT, os.rename, "missing", "d")
refused(errno.ENOTDIR, os.link, "file/x", "new")
refused(errno.ENOENT, os.unlink, "")
refused(errno.EISDIR, os.unlink, "d")
refused(errno.ENOTDIR, os.listdir, "file")
refused(errno.EINVAL, os.readlink, "file")
refused(errno.ENOTDIR, os.chdir, "file")
