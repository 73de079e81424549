"""Goal: A hard link is the same file: number, count, content; it outlives the first name."""
from behaviour import *

put("a", b"text")
os.mkdir("d")
os.link("a", "d/b")
equal(os.stat("a").st_ino, os.stat("d/b").st_ino)
equal(os.stat("a").st_nlink, 2)
with opened("d/b", os.O_WRONLY | os.O_APPEND) as fd:
    os.write(fd, b"!")
equal(get("a"), b"text!")
os.unlink("a")
equal((get("d/b"), os.stat("d/b").st_nlink), (b"text!", 1))
