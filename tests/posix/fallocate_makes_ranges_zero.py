"""Goal: ZERO_RANGE makes zeros, and the file longer unless KEEP_SIZE is given."""
from behaviour import *

put("file", b"x" * 10_000)
with opened("file", os.O_RDWR) as fd:
    fallocate(fd, ZERO_RANGE, 1000, 2000)
    equal(get("file"), b"x" * 1000 + bytes(2000) + b"x" * 7000)
    fallocate(fd, ZERO_RANGE | KEEP_SIZE, 9000, 5000)
    equal(get("file")[8000:], b"x" * 1000 + bytes(1000))
    fallocate(fd, ZERO_RANGE, 9000, 5000)
    equal(os.fstat(fd).st_size, 14_000)
