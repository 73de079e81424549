"""Goal: A default ACL on a file is EACCES; removing it from a directory is fine, also when there is none."""
from behaviour import *

put("file")
os.mkdir("d")
value = acl(("user_obj", 7), ("group_obj", 5), ("other", 5))
refused(errno.EACCES, os.setxattr, "file", DEFAULT, value)
os.setxattr("d", DEFAULT, value)
equal(os.getxattr("d", DEFAULT), value)
with umask(0o777):
    put("d/file", mode=0o666)
equal(oct(mode_of("d/file")), oct(0o644))
os.removexattr("d", DEFAULT)
os.removexattr("d", DEFAULT)
refused(errno.ENODATA, os.getxattr, "d", DEFAULT)
os.symlink("file", "link")
refused((errno.EOPNOTSUPP, errno.EPERM), os.setxattr, "link", ACCESS, value, follow_symlinks=False)
