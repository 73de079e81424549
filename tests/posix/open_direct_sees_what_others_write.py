"""Goal: O_DIRECT reads what was written through the page cache, and the other way round."""
from behaviour import *

block = 4096
buffer = mmap.mmap(-1, 4 * block)
put("file", b"a" * 8 * block)
with opened("file", os.O_RDWR | os.O_DIRECT) as fd:
    equal(os.preadv(fd, [buffer], 0), 4 * block)
    equal(buffer[:], b"a" * 4 * block)
    buffer[:] = b"b" * 4 * block
    equal(os.pwritev(fd, [buffer], 4 * block), 4 * block)
    equal(get("file"), b"a" * 4 * block + b"b" * 4 * block)
    with opened("file", os.O_RDWR) as other:
        os.pwrite(other, b"c" * block, 0)
    os.preadv(fd, [buffer], 0)
    equal(buffer[:2 * block], b"c" * block + b"a" * block)
    equal(os.pwritev(fd, [buffer], 8 * block), 4 * block)
equal(os.stat("file").st_size, 12 * block)
