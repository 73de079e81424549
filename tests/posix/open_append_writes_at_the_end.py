"""Goal: O_APPEND writes at the end whatever the offset is, also after others wrote, truncated, and by pwrite."""
from behaviour import *

put("file", b"abc")
with opened("file", os.O_RDWR | os.O_APPEND) as fd:
    os.lseek(fd, 0, os.SEEK_SET)
    os.write(fd, b"def")
    equal(os.lseek(fd, 0, os.SEEK_CUR), 6)
    os.pwrite(fd, b"g", 0)
    equal(get("file"), b"abcdefg")
    with opened("file", os.O_WRONLY) as other:
        os.pwrite(other, b"h", 7)
    os.write(fd, b"i")
    equal(get("file"), b"abcdefghi")
    os.truncate("file", 2)
    os.write(fd, b"Z")
    equal(get("file"), b"abZ")
    fcntl.fcntl(fd, fcntl.F_SETFL, 0)
    os.pwrite(fd, b"Y", 0)
    equal(get("file"), b"YbZ")
