"""Goal: A file may have a thousand names; each unlink counts down."""
from behaviour import *

put("file")
os.mkdir("d")
for i in range(1000):
    os.link("file", f"d/{i}")
equal(os.stat("file").st_nlink, 1001)
for i in range(0, 1000, 2):
    os.unlink(f"d/{i}")
equal(os.stat("file").st_nlink, 501)
equal(len(os.listdir("d")), 500)
