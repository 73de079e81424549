"""Goal: RENAME_WHITEOUT leaves a character device 0/0 under the old name, as overlayfs asks for."""
from behaviour import *

put("a", b"text")
renameat2("a", "b", RENAME_WHITEOUT)
equal(get("b"), b"text")
info = os.stat("a")
assert stat.S_ISCHR(info.st_mode)
equal(info.st_rdev, 0)
