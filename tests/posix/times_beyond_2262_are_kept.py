"""Goal: Times between 2262 and 2446 are kept."""
from behaviour import *

put("file")
seconds = 15_032_385_535 - 1
utimens("file", (seconds, 5), (seconds, 5))
info = os.stat("file")
equal((info.st_atime_ns, info.st_mtime_ns), (seconds * 10**9 + 5,) * 2)
