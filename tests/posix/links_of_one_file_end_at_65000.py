"""Goal: A file has at most 65,000 names: one more is EMLINK, and removing one makes room."""
from behaviour import *

put("file")
os.mkdir("d")
for i in range(64_999):
    os.link("file", f"d/{i}")
refused(errno.EMLINK, os.link, "file", "one more")
os.unlink("d/7")
os.link("file", "one more")
equal(os.stat("file").st_nlink, 65_000)
