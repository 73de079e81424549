"""Goal: O_CREAT with O_EXCL is EEXIST for a file, a directory and a dangling symlink, and makes a file otherwise."""
from behaviour import *

flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
put("file")
os.mkdir("directory")
os.symlink("nowhere", "link")
for name in ("file", "directory", "link"):
    refused(errno.EEXIST, os.open, name, flags)
os.close(os.open("new", flags, 0o640))
equal(mode_of("new"), 0o640)
assert not os.path.exists("nowhere")
