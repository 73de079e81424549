"""Goal: link(2) is EPERM for a directory, EEXIST for a taken name, ENOENT for a missing one."""
from behaviour import *

put("a")
put("b")
os.mkdir("d")
refused(errno.EPERM, os.link, "d", "e")
refused(errno.EEXIST, os.link, "a", "b")
refused(errno.EEXIST, os.link, "a", "a")
refused(errno.EEXIST, os.link, "a", "d")
refused(errno.ENOENT, os.link, "missing", "c")
refused(errno.ENOENT, os.link, "a", "missing/c")
refused(errno.ENAMETOOLONG, os.link, "a", "n" * 256)
