"""Goal: A name that comes or goes changes mtime and ctime of its directory, and of no other."""
from behaviour import *

os.makedirs("d/e")
def both(action, path="d"):
    equal(times_changed(path, action), {"mtime", "ctime"})
both(lambda: put("d/file"))
both(lambda: os.link("d/file", "d/second"))
both(lambda: os.unlink("d/second"))
both(lambda: os.symlink("x", "d/link"))
both(lambda: os.mkfifo("d/fifo"))
both(lambda: os.mkdir("d/sub"))
both(lambda: os.rename("d/file", "d/renamed"))
both(lambda: os.rename("d/renamed", "d/link"))
both(lambda: os.rename("d/link", "d/e/moved"))
both(lambda: os.rename("d/e/moved", "d/back"), "d/e")
both(lambda: renameat2("d/back", "d/fifo", RENAME_EXCHANGE))
os.rename("d/fifo", "d/back")
both(lambda: os.rmdir("d/sub"))
equal(times_changed("d", lambda: put("d/back", b"other content")), set())
equal(times_changed("d", lambda: put("d/e/below")), set())
equal(times_changed("d", lambda: os.listdir("d")) - {"atime"}, set())
