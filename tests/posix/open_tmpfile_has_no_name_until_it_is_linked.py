"""Goal: O_TMPFILE makes a file without a name, with mode, owner and content, that linkat gives a name to."""
from behaviour import *

os.mkdir("directory")
with umask(0o027), opened("directory", os.O_RDWR | os.O_TMPFILE, 0o666) as fd:
    equal(os.fstat(fd).st_nlink, 0)
    equal(stat.S_IMODE(os.fstat(fd).st_mode), 0o640)
    os.write(fd, b"text")
    equal(os.listdir("directory"), [])
    put("taken")
    refused(errno.EEXIST, linkat, fd, "taken")
    linkat(fd, "directory/name")
    equal(os.fstat(fd).st_nlink, 1)
    os.write(fd, b" and more")
    linkat(fd, "second")
equal(get("directory/name"), b"text and more")
equal(os.stat("second").st_nlink, 2)
os.unlink("directory/name")
os.rmdir("directory")
