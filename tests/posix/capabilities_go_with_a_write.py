"""Goal: security.capability is gone after a write, a truncation or a change of owner."""
from behaviour import *

capability = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)
def fresh():
    put("file", b"text")
    os.setxattr("file", "security.capability", capability)
    equal(os.getxattr("file", "security.capability"), capability)
def gone():
    refused(errno.ENODATA, os.getxattr, "file", "security.capability")
for action in (lambda: os.truncate("file", 1), lambda: os.chown("file", OTHER, OTHER)):
    fresh()
    action()
    gone()
fresh()
with opened("file", os.O_WRONLY) as fd:
    os.write(fd, b"x")
gone()
