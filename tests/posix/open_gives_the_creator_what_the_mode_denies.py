"""Goal: Who creates a file may write it by that descriptor, whatever the mode says; nobody else and not later."""
from behaviour import *

os.chmod(".", EVERYONE)
def user():
    with opened("file", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o000) as fd:
        os.write(fd, b"text")
        equal(os.pread(fd, 10, 0), b"text")
    refused(errno.EACCES, os.open, "file", os.O_RDONLY)
    refused(errno.EACCES, os.open, "file", os.O_WRONLY)
as_user(user)
equal(get("file"), b"text")
