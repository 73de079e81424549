"""Goal: OFD locks belong to the open file, hold within a process too, and stay when another descriptor closes."""
from behaviour import *

put("file", bytes(100))
one, two = os.open("file", os.O_RDWR), os.open("file", os.O_RDWR)
lock(one, fcntl.F_WRLCK, 0, 10, OFD_SETLK)
refused(errno.EAGAIN, lock, two, fcntl.F_WRLCK, 5, 1, OFD_SETLK)
equal(lock(two, fcntl.F_WRLCK, 5, 1, OFD_GETLK), (fcntl.F_WRLCK, -1))
os.close(os.open("file", os.O_RDWR))
refused(errno.EAGAIN, lock, two, fcntl.F_WRLCK, 5, 1, OFD_SETLK)
os.close(one)
lock(two, fcntl.F_WRLCK, 5, 1, OFD_SETLK)
