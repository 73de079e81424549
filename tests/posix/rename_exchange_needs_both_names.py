"""Goal: RENAME_EXCHANGE is ENOENT where one name is missing, EINVAL between a directory and what is below it or with NOREPLACE."""
from behaviour import *

os.makedirs("d/e")
put("a")
refused(errno.ENOENT, renameat2, "a", "missing", RENAME_EXCHANGE)
refused(errno.ENOENT, renameat2, "missing", "a", RENAME_EXCHANGE)
refused(errno.EINVAL, renameat2, "d", "d/e", RENAME_EXCHANGE)
refused(errno.EINVAL, renameat2, "d/e", "d", RENAME_EXCHANGE)
refused(errno.EINVAL, renameat2, "a", "d", RENAME_EXCHANGE | RENAME_NOREPLACE)
refused(errno.EINVAL, renameat2, "a", "d", 1 << 10)
renameat2("a", "a", RENAME_EXCHANGE)
equal(get("a"), b"x")
