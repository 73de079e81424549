"""Goal: With relatime the first read after a write changes atime, and listing a directory changes its own."""
from behaviour import *

put("file", b"text")
os.mkdir("d")
put("d/x")
tick()
equal(times_changed("file", lambda: get("file")), {"atime"})
equal(times_changed("d", lambda: os.listdir("d")), {"atime"})
