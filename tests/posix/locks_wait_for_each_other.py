"""Goal: A lock that waits gets its turn when the other lets go; two that wait for each other are EDEADLK."""
from behaviour import *

put("file", bytes(100))
fd = os.open("file", os.O_RDWR)
lock(fd, fcntl.F_WRLCK, 0, 1)
ready, tell = os.pipe()
def child():
    with opened("file", os.O_RDWR) as mine:
        lock(mine, fcntl.F_WRLCK, 1, 1)
        os.write(tell, b"x")
        lock(mine, fcntl.F_WRLCK, 0, 1, fcntl.F_SETLKW)
        return "got it"
waiting = Child(child)
os.read(ready, 1)
deadline = time.monotonic() + 30
while "WAITING" not in "".join(line for line in ["WAITING" if " -> " in entry and str(waiting.pid) in entry else "" for entry in open("/proc/locks")]):
    assert time.monotonic() < deadline
    time.sleep(0.01)
refused(errno.EDEADLK, lock, fd, fcntl.F_WRLCK, 1, 1, fcntl.F_SETLKW)
lock(fd, fcntl.F_UNLCK, 0, 1)
equal(waiting.result(), "got it")
