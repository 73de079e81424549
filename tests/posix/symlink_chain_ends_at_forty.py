"""Goal: 40 symlinks are followed, 41 are ELOOP."""
from behaviour import *

put("l0", b"end")
for i in range(1, 42):
    os.symlink(f"l{i - 1}", f"l{i}")
equal(get("l40"), b"end")
refused(errno.ELOOP, os.open, "l41", os.O_RDONLY)
