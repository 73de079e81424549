"""Goal: Values of 0 and of 65,536 bytes are kept; more is E2BIG, a name of 256 bytes ERANGE."""
from behaviour import *

put("file")
for size in (0, 1, 255, 256, 4096, 65535, 65536):
    value = bytes(i * 7 % 256 for i in range(size))
    os.setxattr("file", "user.v", value)
    equal(os.getxattr("file", "user.v"), value)
refused(errno.E2BIG, os.setxattr, "file", "user.v", bytes(65537))
refused((errno.ERANGE, errno.EOPNOTSUPP), os.setxattr, "file", "user." + "n" * 251, b"")
refused(errno.EOPNOTSUPP, os.setxattr, "file", "unknown.a", b"")
refused(errno.EOPNOTSUPP, os.setxattr, "file", "plain", b"")
refused(errno.ENODATA, os.getxattr, "file", "user.other")
refused(errno.ENODATA, os.removexattr, "file", "user.other")
