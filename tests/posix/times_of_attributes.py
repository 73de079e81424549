"""Goal: chmod, chown, link, xattrs and ACLs change ctime alone; setting times changes ctime and what is set."""
from behaviour import *

put("file")
os.mkdir("directory")
for name in ("file", "directory"):
    equal(times_changed(name, lambda: os.chmod(name, 0o700)), {"ctime"}, "chmod")
    equal(times_changed(name, lambda: os.chown(name, OTHER, OTHER)), {"ctime"}, "chown")
    equal(times_changed(name, lambda: os.setxattr(name, "user.a", b"1")), {"ctime"}, "setxattr")
    equal(times_changed(name, lambda: os.removexattr(name, "user.a")), {"ctime"}, "removexattr")
    equal(times_changed(name, lambda: os.utime(name, (5, 6))), {"atime", "mtime", "ctime"}, "utime")
    value = acl(("user_obj", 7), ("user", 5, 7), ("group_obj", 5), ("mask", 5), ("other", 5))
    equal(times_changed(name, lambda: os.setxattr(name, ACCESS, value)), {"ctime"}, "ACL")
equal(times_changed("file", lambda: os.link("file", "second")), {"ctime"}, "link")
equal(times_changed("file", lambda: os.unlink("second")), {"ctime"}, "unlink of another name")
