"""Goal: rm -r's way works: all names that a listing gives are removed while it goes on, and then the directory is empty."""
from behaviour import *

os.mkdir("d")
for i in range(2000):
    put(f"d/{i}", b"")
with os.scandir("d") as entries:
    for entry in entries:
        os.unlink(entry.path)
equal(os.listdir("d"), [])
os.rmdir("d")
