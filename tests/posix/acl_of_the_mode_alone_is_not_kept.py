"""Goal: An ACL that says no more than a mode sets the mode and is no ACL afterwards; an empty one removes it."""
from behaviour import *

put("file")
os.setxattr("file", ACCESS, acl(("user_obj", 7), ("group_obj", 5), ("other", 1)))
equal(oct(mode_of("file")), oct(0o751))
refused(errno.ENODATA, os.getxattr, "file", ACCESS)
equal(os.listxattr("file"), [])
os.setxattr("file", ACCESS, acl(("user_obj", 7), ("user", 7, OTHER), ("group_obj", 5), ("mask", 7), ("other", 1)))
equal(os.listxattr("file"), [ACCESS])
equal(oct(mode_of("file")), oct(0o771))
os.removexattr("file", ACCESS)
equal(os.listxattr("file"), [])
os.removexattr("file", ACCESS)
equal(oct(mode_of("file")), oct(0o771))
