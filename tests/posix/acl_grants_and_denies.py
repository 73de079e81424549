"""Goal: A named user and group in an ACL get what it says, limited by the mask, as the kernel checks it."""
from behaviour import *

put("file", b"text")
value = acl(("user_obj", 6), ("user", 6, OTHER), ("user", 0, 4712), ("group_obj", 0), ("group", 4, 4711), ("mask", 6), ("other", 0))
os.setxattr("file", ACCESS, value)
equal(oct(mode_of("file")), oct(0o660))
equal(os.getxattr("file", ACCESS), value)
as_user(lambda: put("file", b"by user"))
as_user(lambda: (get("file"), refused(errno.EACCES, put, "file")), THIRD, THIRD, groups=[4711])
as_user(lambda: refused(errno.EACCES, get, "file"), 4712, 4711)
as_user(lambda: refused(errno.EACCES, get, "file"), THIRD, THIRD)
os.chmod("file", 0o640)
as_user(lambda: (get("file"), refused(errno.EACCES, put, "file")))
