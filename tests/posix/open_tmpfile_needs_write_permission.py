"""Goal: O_TMPFILE is EACCES in a directory that the user may not write."""
from behaviour import *

os.mkdir("closed", 0o755)
os.mkdir("open")
os.chmod("open", EVERYONE)
def user():
    refused(errno.EACCES, os.open, "closed", os.O_RDWR | os.O_TMPFILE)
    with opened("open", os.O_RDWR | os.O_TMPFILE, 0o600) as fd:
        equal(os.fstat(fd).st_uid, OTHER)
        linkat(fd, "open/name")
as_user(user)
