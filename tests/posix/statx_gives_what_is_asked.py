"""Goal: statx of the basic fields agrees with stat, by descriptor and by name."""
from behaviour import *

put("file", b"x" * 1000)
info = os.stat("file")
equal(Statx("file").mtime_ns, info.st_mtime_ns)
equal(Statx("file").mask & Statx.BASIC, Statx.BASIC)
with opened("file") as fd:
    equal(Statx(f"/proc/self/fd/{fd}").mtime_ns, info.st_mtime_ns)
refused(errno.ENOENT, Statx, "missing")
