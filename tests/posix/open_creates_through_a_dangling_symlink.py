"""Goal: O_CREAT without O_EXCL makes the file that a dangling symlink names."""
from behaviour import *

os.symlink("target", "link")
put("link", b"text")
equal(get("target"), b"text")
assert os.path.islink("link")
