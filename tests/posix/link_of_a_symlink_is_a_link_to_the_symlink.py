"""Goal: link(2) does not follow symlinks: a symlink can have several names."""
from behaviour import *

put("file")
os.symlink("file", "link")
os.link("link", "second", follow_symlinks=False)
equal(os.readlink("second"), "file")
equal(os.lstat("link").st_nlink, 2)
equal(os.lstat("link").st_ino, os.lstat("second").st_ino)
call("linkat", AT_FDCWD, b"link", AT_FDCWD, b"hard", AT_SYMLINK_FOLLOW)
assert not os.path.islink("hard")
