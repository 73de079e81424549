"""Goal: A handle opens its file when the kernel remembers nothing of it, and finds the way up."""
from behaviour import *

os.makedirs("a/b/c")
put("a/b/c/file", b"text")
handle, directory = file_handle("a/b/c/file"), file_handle("a/b/c")
number = os.stat("a/b").st_ino
os.sync()
with open("/proc/sys/vm/drop_caches", "w") as drop:
    drop.write("2")
fd = open_handle(directory, os.O_RDONLY | os.O_DIRECTORY)
equal(os.stat("..", dir_fd=fd).st_ino, number)
equal(os.listdir(fd), ["file"])
os.close(fd)
with contextlib.closing(os.fdopen(open_handle(handle), "rb")) as file:
    equal(file.read(), b"text")
