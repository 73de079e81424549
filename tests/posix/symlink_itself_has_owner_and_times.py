"""Goal: lchown and utimensat with AT_SYMLINK_NOFOLLOW change the link, not its target; chmod of a link is EOPNOTSUPP."""
from behaviour import *

put("file")
os.utime("file", (7, 7))
os.symlink("file", "link")
os.lchown("link", OTHER, THIRD)
os.utime("link", ns=(1_000_000_001, 2_000_000_002), follow_symlinks=False)
info = os.lstat("link")
equal((info.st_uid, info.st_gid, info.st_atime_ns, info.st_mtime_ns), (OTHER, THIRD, 1_000_000_001, 2_000_000_002))
equal((os.stat("file").st_uid, os.stat("file").st_mtime), (0, 7))
refused((errno.EOPNOTSUPP, errno.ENOTSUP), call, "fchmodat", AT_FDCWD, b"link", 0o600, AT_SYMLINK_NOFOLLOW)
