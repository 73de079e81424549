"""Goal: A file that had a name and lost it stays without one: linkat is ENOENT."""
from behaviour import *

with opened("file", os.O_RDWR | os.O_CREAT) as fd:
    os.unlink("file")
    refused(errno.ENOENT, linkat, fd, "again")
