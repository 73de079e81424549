"""Goal: Times keep their nanoseconds, before 1970 and after 2038 and 2106, also over a flush and by directory listings."""
from behaviour import *

put("file")
os.mkdir("directory")
for seconds in (0, 1, -1, -2, -1_000_000_000, -(2**31) + 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**32 + 5, 9_000_000_000):
    for nanoseconds in (0, 1, 999_999_999, 123_456_789):
        for name in ("file", "directory"):
            utimens(name, (seconds, nanoseconds), (seconds, nanoseconds))
            info = os.stat(name)
            equal((info.st_atime_ns, info.st_mtime_ns), (seconds * 10**9 + nanoseconds,) * 2)
