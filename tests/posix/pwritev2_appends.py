"""Goal: RWF_APPEND writes at the end of a file that was not opened for appending; RWF_SYNC and RWF_DSYNC succeed."""
from behaviour import *

put("file", b"text")
with opened("file", os.O_RDWR) as fd:
    equal(os.pwritev(fd, [b"!"], 0, RWF_APPEND), 1)
    equal(get("file"), b"text!")
    equal(os.pwritev(fd, [b"T"], 0, RWF_SYNC), 1)
    equal(os.pwritev(fd, [b"T"], 0, os.RWF_DSYNC), 1)
    with opened("file", os.O_WRONLY | os.O_APPEND) as other:
        os.write(other, b"more")
    equal(os.pwritev(fd, [b"?"], 0, RWF_APPEND), 1)
equal(get("file"), b"Text!more?")
