"""Goal: An open descriptor goes on reading and writing after chmod and chown took the right away."""
from behaviour import *

os.chmod(".", EVERYONE)
def user():
    with opened("file", os.O_RDWR | os.O_CREAT, 0o600) as fd:
        os.chmod("file", 0)
        os.write(fd, b"text")
        equal(os.pread(fd, 4, 0), b"text")
as_user(user)
