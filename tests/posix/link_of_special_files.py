"""Goal: Fifos, devices and sockets may have several names."""
from behaviour import *

os.mkfifo("fifo")
os.mknod("device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
for name in ("fifo", "device"):
    os.link(name, name + "2")
    equal(os.stat(name + "2").st_ino, os.stat(name).st_ino)
    equal(os.stat(name).st_nlink, 2)
