"""Goal: "file/" is ENOTDIR, and nothing can be created by a name with a slash behind it: EISDIR."""
from behaviour import *

put("file")
os.mkdir("directory")
refused(errno.ENOTDIR, os.open, "file/", os.O_RDONLY)
refused(errno.EISDIR, os.open, "new/", os.O_WRONLY | os.O_CREAT)
refused(errno.ENOENT, os.open, "new/", os.O_RDONLY)
os.close(os.open("directory/", os.O_RDONLY))
refused(errno.ENOTDIR, os.unlink, "file/")
os.mkdir("other/")
os.rmdir("other/")
