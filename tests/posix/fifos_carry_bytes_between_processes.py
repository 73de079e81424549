"""Goal: A fifo connects a writer and a reader; without a reader O_NONBLOCK for writing is ENXIO."""
from behaviour import *

os.mkfifo("fifo")
refused(errno.ENXIO, os.open, "fifo", os.O_WRONLY | os.O_NONBLOCK)
child = Child(lambda: put("fifo", b"through the pipe"))
with opened("fifo") as fd:
    equal(os.read(fd, 100), b"through the pipe")
child.result()
equal(os.stat("fifo").st_size, 0)
