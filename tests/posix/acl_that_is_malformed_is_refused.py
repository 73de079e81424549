"""Goal: Lists that are out of order, incomplete, without a mask, or of another version are EINVAL or EOPNOTSUPP."""
from behaviour import *

put("file")
bad = [acl(("user_obj", 7)), acl(("user_obj", 7), ("group_obj", 7)), acl(("group_obj", 7), ("user_obj", 7), ("other", 7)),
       acl(("user_obj", 7), ("user", 7, 5), ("group_obj", 7), ("other", 7)), acl(("user_obj", 8), ("group_obj", 7), ("other", 7)),
       acl(("user_obj", 7), ("group_obj", 7), ("other", 7)) + b"x"]
for value in bad:
    refused((errno.EINVAL, errno.ERANGE), os.setxattr, "file", ACCESS, value)
refused(errno.EOPNOTSUPP, os.setxattr, "file", ACCESS, struct.pack("<I", 1))
equal(oct(mode_of("file")), oct(0o644))
