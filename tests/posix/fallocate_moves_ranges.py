"""Goal: COLLAPSE_RANGE and INSERT_RANGE cut out and push apart."""
from behaviour import *

put("file", b"a" * 4096 + b"b" * 4096 + b"c" * 4096)
with opened("file", os.O_RDWR) as fd:
    fallocate(fd, COLLAPSE_RANGE, 4096, 4096)
    equal(get("file"), b"a" * 4096 + b"c" * 4096)
    fallocate(fd, INSERT_RANGE, 4096, 4096)
    equal(get("file"), b"a" * 4096 + bytes(4096) + b"c" * 4096)
