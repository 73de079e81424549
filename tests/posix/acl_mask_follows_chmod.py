"""Goal: chmod of a file with an ACL changes the mask, owner and others, and leaves named entries and the group's."""
from behaviour import *

put("file")
os.setxattr("file", ACCESS, acl(("user_obj", 7), ("user", 7, OTHER), ("group_obj", 5), ("mask", 7), ("other", 0)))
os.chmod("file", 0o614)
equal(os.getxattr("file", ACCESS), acl(("user_obj", 6), ("user", 7, OTHER), ("group_obj", 5), ("mask", 1), ("other", 4)))
equal(oct(mode_of("file")), oct(0o614))
