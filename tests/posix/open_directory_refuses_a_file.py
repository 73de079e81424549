"""Goal: O_DIRECTORY is ENOTDIR for anything but a directory."""
from behaviour import *

put("file")
os.mkdir("directory")
os.symlink("directory", "link")
refused(errno.ENOTDIR, os.open, "file", os.O_RDONLY | os.O_DIRECTORY)
os.close(os.open("directory", os.O_RDONLY | os.O_DIRECTORY))
os.close(os.open("link", os.O_RDONLY | os.O_DIRECTORY))
refused(errno.ENOTDIR, os.open, "link", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
