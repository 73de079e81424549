"""Goal: A file without a name is read, written, truncated and mapped by its descriptors until the last is closed."""
from behaviour import *

with opened("file", os.O_RDWR | os.O_CREAT) as fd:
    os.write(fd, b"x" * 100_000)
    os.unlink("file")
    put("file", b"another")
    equal(os.fstat(fd).st_nlink, 0)
    os.pwrite(fd, b"y", 200_000)
    os.fsync(fd)
    equal(os.fstat(fd).st_size, 200_001)
    os.fchmod(fd, 0o600)
    os.utime(fd, (5, 5))
    equal(os.fstat(fd).st_mtime, 5)
    with opened(f"/proc/self/fd/{fd}") as again:
        equal(os.pread(again, 2, 99_999), b"x\0")
    os.ftruncate(fd, 3)
    equal(os.pread(fd, 10, 0), b"xxx")
equal(get("file"), b"another")
