"""Goal: What one process changes another sees at once: size, mode, times, xattrs, content."""
from behaviour import *

put("file", b"before")
request, answer = os.pipe(), os.pipe()
def child():
    with opened("file", os.O_RDWR) as fd:
        os.fstat(fd)
        os.write(answer[1], b"r")
        os.read(request[0], 1)
        info = os.fstat(fd)
        return info.st_size, stat.S_IMODE(info.st_mode), info.st_mtime_ns, os.getxattr(fd, "user.a"), os.pread(fd, 100, 0)
other = Child(child)
os.read(answer[0], 1)
put("file", b"after all")
os.chmod("file", 0o600)
os.setxattr("file", "user.a", b"1")
os.utime("file", ns=(5, 7))
os.write(request[1], b"g")
equal(other.result(), (9, 0o600, 7, b"1", b"after all"))
