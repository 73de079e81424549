"""Goal: UTIME_NOW sets the time of the call, UTIME_OMIT leaves a time as it is; both omitted change nothing."""
from behaviour import *

put("file")
os.utime("file", ns=(1_111_111_111, 2_222_222_222))
utimens("file", (0, UTIME_OMIT), (5, 6))
info = os.stat("file")
equal((info.st_atime_ns, info.st_mtime_ns), (1_111_111_111, 5_000_000_006))
before = time.time()
utimens("file", (0, UTIME_NOW), (0, UTIME_OMIT))
info = os.stat("file")
assert before - 1 <= info.st_atime <= time.time() + 1
equal(info.st_mtime_ns, 5_000_000_006)
equal(times_changed("file", lambda: utimens("file", (0, UTIME_OMIT), (0, UTIME_OMIT))), set())
utimens("file", (0, UTIME_NOW), (0, UTIME_NOW))
info = os.stat("file")
equal(info.st_atime_ns, info.st_mtime_ns)
refused(errno.EINVAL, utimens, "file", (0, 1_000_000_000), (0, 0))
refused(errno.EINVAL, utimens, "file", (0, 0), (0, -1))
