"""Goal: A shared mapping is seen by other processes at once, and by read and the file after msync."""
from behaviour import *

put("file", bytes(3 * 4096))
with opened("file", os.O_RDWR) as fd:
    view = mmap.mmap(fd, 3 * 4096)
def child():
    with opened("file", os.O_RDWR) as fd, mmap.mmap(fd, 3 * 4096) as mine:
        mine[4090:4102] = b"across pages"
Child(child).result()
equal(view[4090:4102], b"across pages")
equal(get("file")[4090:4102], b"across pages")
view[0:3] = b"abc"
equal(get("file")[:3], b"abc")
view.flush()
view.close()
equal(get("file")[:3], b"abc")
