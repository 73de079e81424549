"""Goal: A mapping goes on after close and unlink; a private one never changes the file."""
from behaviour import *

put("file", b"x" * 4096)
fd = os.open("file", os.O_RDWR)
view, private = mmap.mmap(fd, 4096), mmap.mmap(fd, 4096, mmap.MAP_PRIVATE)
os.close(fd)
private[0] = ord("p")
view[1] = ord("s")
view.flush()
equal(get("file")[:3], b"xsx")
os.unlink("file")
view[2] = ord("z")
view.flush()
equal(view[:3], b"xsz")
equal(private[:1], b"p")
