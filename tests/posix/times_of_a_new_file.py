"""Goal: A new file has all times of its creation; another time of creation than that of the directory."""
from behaviour import *

tick()
put("file")
info = os.stat("file")
assert info.st_atime_ns == info.st_ctime_ns or info.st_mtime_ns >= info.st_atime_ns
assert abs(time.time() - info.st_mtime) < 5
os.mkdir("d")
info = os.stat("d")
equal(info.st_mtime_ns, info.st_ctime_ns)
