"""Goal: fcntl locks hold between processes by ranges, tell their holder, and go when the process closes any descriptor of the file."""
from behaviour import *

put("file", bytes(100))
fd, other = os.open("file", os.O_RDWR), os.open("file", os.O_RDWR)
lock(fd, fcntl.F_WRLCK, 10, 10)
holder = os.getpid()
def child():
    with opened("file", os.O_RDWR) as mine:
        equal(lock(mine, fcntl.F_WRLCK, 0, 0, fcntl.F_GETLK), (fcntl.F_WRLCK, holder))
        equal(lock(mine, fcntl.F_WRLCK, 20, 5, fcntl.F_GETLK)[0], fcntl.F_UNLCK)
        refused((errno.EAGAIN, errno.EACCES), lock, mine, fcntl.F_RDLCK, 15, 1)
        lock(mine, fcntl.F_WRLCK, 20, 5)
Child(child).result()
lock(fd, fcntl.F_RDLCK, 12, 2)
def reader():
    with opened("file") as mine:
        lock(mine, fcntl.F_RDLCK, 12, 2)
        refused((errno.EAGAIN, errno.EACCES), lock, mine, fcntl.F_RDLCK, 10, 1)
Child(reader).result()
os.close(other)
def after():
    with opened("file", os.O_RDWR) as mine:
        lock(mine, fcntl.F_WRLCK, 0, 0)
Child(after).result()
with opened("file") as reading:
    refused(errno.EBADF, lock, reading, fcntl.F_WRLCK, 0, 1)
