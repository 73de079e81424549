"""Goal: RENAME_NOREPLACE is EEXIST where the new name is taken, and changes nothing; else it renames."""
from behaviour import *

put("a", b"A")
put("b", b"B")
os.mkdir("d")
refused(errno.EEXIST, renameat2, "a", "b", RENAME_NOREPLACE)
refused(errno.EEXIST, renameat2, "a", "d", RENAME_NOREPLACE)
refused(errno.EEXIST, renameat2, "a", "a", RENAME_NOREPLACE)
equal((get("a"), get("b")), (b"A", b"B"))
renameat2("a", "c", RENAME_NOREPLACE)
equal(get("c"), b"A")
assert not os.path.exists("a")
