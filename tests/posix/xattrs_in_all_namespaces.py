"""Goal: user., trusted. and security. attributes are kept to the byte on files and directories, and listed."""
from behaviour import *

put("file")
os.mkdir("directory")
names = ["user.a", "user." + "n" * 250, "trusted.t", "security.s", "user.with space\n"]
for path in ("file", "directory"):
    for number, name in enumerate(names):
        value = bytes(range(256)) * number
        os.setxattr(path, name, value)
        equal(os.getxattr(path, name), value)
    equal(sorted(os.listxattr(path)), sorted(names))
    for name in names:
        os.removexattr(path, name)
    equal(os.listxattr(path), [])
