"""Goal: Writes show in a mapping and mapped changes in reads, also where both touch one page."""
from behaviour import *

put("file", b"." * 8192)
with opened("file", os.O_RDWR) as fd, mmap.mmap(fd, 8192) as view:
    for i in range(50):
        os.pwrite(fd, b"w%03d" % i, i * 16)
        view[i * 16 + 8:i * 16 + 12] = b"m%03d" % i
    for i in range(50):
        equal(view[i * 16:i * 16 + 12], b"w%03d....m%03d" % (i, i))
        equal(os.pread(fd, 12, i * 16), b"w%03d....m%03d" % (i, i))
    view.flush()
    os.fsync(fd)
data = get("file")
for i in range(50):
    equal(data[i * 16:i * 16 + 12], b"w%03d....m%03d" % (i, i))
