"""Goal: Numbers stay over dropped caches, and no two files that live at the same time share one."""
from behaviour import *

numbers = set()
for i in range(500):
    put(f"{i}")
    numbers.add(os.stat(f"{i}").st_ino)
equal(len(numbers), 500)
before = {name: os.stat(name).st_ino for name in os.listdir(".")}
os.sync()
with open("/proc/sys/vm/drop_caches", "w") as drop:
    drop.write("2")
equal({name: os.stat(name).st_ino for name in os.listdir(".")}, before)
with os.scandir(".") as entries:
    equal({entry.name: entry.inode() for entry in entries}, before)
