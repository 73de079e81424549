"""Goal: Bytes of the last page behind the end are zeros and are not written; a page behind the end is SIGBUS."""
from behaviour import *

put("file", b"x" * 100)
with opened("file", os.O_RDWR) as fd:
    view = mmap.mmap(fd, 100)
    libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
    address = ctypes.addressof(ctypes.c_char.from_buffer(view))
    libc.memset(address + 100, 7, 50)
    view[0] = ord("y")
    os.fsync(fd)
    os.ftruncate(fd, 200)
    equal(os.pread(fd, 200, 0), b"y" + b"x" * 99 + bytes(100))
    long = mmap.mmap(fd, 200)
    os.ftruncate(fd, 0)
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGBUS, signal.SIG_DFL)
        long[0]
        os._exit(0)
    equal(os.WTERMSIG(os.waitpid(pid, 0)[1]), signal.SIGBUS)
