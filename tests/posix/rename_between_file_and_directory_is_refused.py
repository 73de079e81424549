"""Goal: A file does not replace a directory (EISDIR), nor a directory a file (ENOTDIR)."""
from behaviour import *

put("file")
os.mkdir("directory")
refused(errno.EISDIR, os.rename, "file", "directory")
refused(errno.ENOTDIR, os.rename, "directory", "file")
os.symlink("directory", "link")
os.rename("file", "link")
equal(get("link"), b"x")
assert not os.path.islink("link")
