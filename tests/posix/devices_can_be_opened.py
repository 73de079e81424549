"""Goal: A device node leads to its device."""
from behaviour import *

os.mknod("zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
os.mknod("null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
with opened("zero") as fd:
    equal(os.read(fd, 100), bytes(100))
put("null", b"gone")
