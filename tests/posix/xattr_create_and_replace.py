"""Goal: XATTR_CREATE is EEXIST where the name is there, XATTR_REPLACE ENODATA where it is not."""
from behaviour import *

put("file")
refused(errno.ENODATA, os.setxattr, "file", "user.a", b"1", os.XATTR_REPLACE)
os.setxattr("file", "user.a", b"1", os.XATTR_CREATE)
refused(errno.EEXIST, os.setxattr, "file", "user.a", b"2", os.XATTR_CREATE)
os.setxattr("file", "user.a", b"3", os.XATTR_REPLACE)
equal(os.getxattr("file", "user.a"), b"3")
refused(errno.EINVAL, os.setxattr, "file", "user.a", b"4", 1 << 5)
