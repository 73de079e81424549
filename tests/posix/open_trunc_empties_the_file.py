"""Goal: O_TRUNC empties the file for every reader and changes mtime and ctime, also of an empty file."""
from behaviour import *

put("file", b"12345")
with opened("file") as reader:
    equal(times_changed("file", lambda: os.close(os.open("file", os.O_WRONLY | os.O_TRUNC))), {"mtime", "ctime"})
    equal(os.fstat(reader).st_size, 0)
    equal(os.read(reader, 10), b"")
equal(os.stat("file").st_blocks, 0)
equal(times_changed("file", lambda: os.close(os.open("file", os.O_WRONLY | os.O_TRUNC))), {"mtime", "ctime"})
