"""Goal: A write lease tells its holder when another process opens the file."""
from behaviour import *

put("file")
fd = os.open("file", os.O_RDWR)
told = []
signal.signal(signal.SIGIO, lambda *_: (told.append(1), fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)))
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
child = Child(lambda: get("file"))
equal(child.result(), b"x")
assert told
