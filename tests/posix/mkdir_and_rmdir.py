"""Goal: mkdir makes an empty directory with two links and counts in its parent; rmdir is ENOTEMPTY, ENOTDIR, ENOENT, EINVAL, EBUSY as due."""
from behaviour import *

links = os.stat(".").st_nlink
os.mkdir("d", 0o750)
info = os.stat("d")
equal((oct(stat.S_IMODE(info.st_mode)), info.st_nlink, os.stat(".").st_nlink), (oct(0o750), 2, links + 1))
refused(errno.EEXIST, os.mkdir, "d")
put("d/file")
refused(errno.ENOTEMPTY, os.rmdir, "d")
refused(errno.ENOTDIR, os.rmdir, "d/file")
refused(errno.ENOENT, os.rmdir, "missing")
refused(errno.EINVAL, os.rmdir, "d/.")
refused(errno.ENOTEMPTY, os.rmdir, "d/..")
refused(errno.EISDIR, os.unlink, "d")
os.unlink("d/file")
os.rmdir("d")
equal(os.stat(".").st_nlink, links)
os.symlink("nowhere", "link")
refused(errno.EEXIST, os.mkdir, "link")
refused(errno.ENOTDIR, os.rmdir, "link")
refused(errno.EEXIST, os.mkdir, ".")
refused(errno.ENAMETOOLONG, os.mkdir, "n" * 256)
