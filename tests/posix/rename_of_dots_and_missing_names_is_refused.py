"""Goal: "." and ".." cannot be renamed (EBUSY), and what is missing is ENOENT."""
from behaviour import *

os.mkdir("d")
refused((errno.EBUSY, errno.EINVAL), os.rename, "d/.", "e")
refused((errno.EBUSY, errno.EINVAL), os.rename, "d/..", "e")
refused(errno.ENOENT, os.rename, "missing", "e")
refused(errno.ENOENT, os.rename, "d", "missing/e")
put("file")
refused(errno.ENOTDIR, os.rename, "d", "file/e")
refused(errno.ENOTDIR, os.rename, "file", "new/")
refused(errno.ENAMETOOLONG, os.rename, "file", "n" * 256)
