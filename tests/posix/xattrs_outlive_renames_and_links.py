"""Goal: Attributes belong to the file: they follow it through renames and hard links, and go with it."""
from behaviour import *

put("file")
os.setxattr("file", "user.a", b"1")
os.rename("file", "moved")
os.link("moved", "second")
os.setxattr("second", "user.b", b"2")
equal(sorted(os.listxattr("moved")), ["user.a", "user.b"])
put("other")
os.rename("other", "moved")
equal(os.listxattr("moved"), [])
with opened("second") as fd:
    os.unlink("second")
    equal(os.getxattr(fd, "user.b"), b"2")
    os.setxattr(fd, "user.c", b"3")
    equal(os.getxattr(fd, "user.c"), b"3")
