"""Goal: Names outside the known namespaces are EOPNOTSUPP to set, read and remove; a namespace alone is EINVAL."""
from behaviour import *

put("file")
for name in ("unknown.a", "plain", "system.unknown", "users.a"):
    refused(errno.EOPNOTSUPP, os.setxattr, "file", name, b"1")
    refused(errno.EOPNOTSUPP, os.getxattr, "file", name)
    refused(errno.EOPNOTSUPP, os.removexattr, "file", name)
for name in ("user.", "trusted."):
    refused(errno.EINVAL, os.setxattr, "file", name, b"1")
    refused(errno.EINVAL, os.getxattr, "file", name)
equal(os.listxattr("file"), [])
