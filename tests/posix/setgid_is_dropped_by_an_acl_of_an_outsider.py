"""Goal: Setting an access ACL by an owner who is not in the file's group drops setgid, as chmod does."""
from behaviour import *

put("file")
os.chown("file", OTHER, 4711)
os.chmod("file", 0o2755)
value = acl(("user_obj", 7), ("user", 5, THIRD), ("group_obj", 5), ("mask", 5), ("other", 5))
as_user(lambda: os.setxattr("file", ACCESS, value))
equal(oct(mode_of("file")), oct(0o755))
os.chmod("file", 0o2755)
as_user(lambda: os.setxattr("file", ACCESS, value), groups=[4711])
equal(oct(mode_of("file")), oct(0o2755))
