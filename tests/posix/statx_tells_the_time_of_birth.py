"""Goal: statx has the birth time, which stays whatever happens to the file."""
from behaviour import *

put("file")
born = Statx("file")
assert born.mask & Statx.BTIME
assert abs(time.time() - born.btime_ns / 1e9) < 5
equal(born.btime_ns <= born.mtime_ns, True)
tick()
put("file", b"changed")
os.utime("file", (5, 5))
os.chmod("file", 0o600)
os.rename("file", "moved")
equal(Statx("moved").btime_ns, born.btime_ns)
os.mkdir("d")
os.symlink("x", "link")
for name in ("d", "link"):
    found = Statx(name, flags=AT_SYMLINK_NOFOLLOW)
    assert found.mask & Statx.BTIME
    assert found.btime_ns > born.btime_ns
