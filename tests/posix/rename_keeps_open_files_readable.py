"""Goal: A file that was renamed, and one that was replaced, go on living by their descriptors."""
from behaviour import *

put("old", b"old")
put("new", b"new")
with opened("old", os.O_RDWR) as old, opened("new", os.O_RDWR) as new:
    os.rename("new", "old")
    equal(os.fstat(old).st_nlink, 0)
    equal(os.fstat(new).st_nlink, 1)
    os.write(new, b"NEW!")
    os.pwrite(old, b"OLD", 0)
    equal(os.pread(old, 10, 0), b"OLD")
equal(get("old"), b"NEW!")
