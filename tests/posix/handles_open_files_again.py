"""Goal: open_by_handle_at opens by what name_to_handle_at gave, after renames too; a removed file's handle is ESTALE."""
from behaviour import *

put("file", b"text")
os.makedirs("d/e")
handle, below = file_handle("file"), file_handle("d/e")
os.rename("file", "d/moved")
with contextlib.closing(os.fdopen(open_handle(handle), "rb")) as file:
    equal(file.read(), b"text")
fd = open_handle(below, os.O_RDONLY | os.O_DIRECTORY)
equal(os.fstat(fd).st_ino, os.stat("d/e").st_ino)
equal(os.stat("..", dir_fd=fd).st_ino, os.stat("d").st_ino)
os.close(fd)
equal(file_handle("d/moved"), handle)
os.unlink("d/moved")
deadline = time.monotonic() + 30
while time.monotonic() < deadline:  # a close of before may still be on its way
    try:
        os.close(open_handle(handle))
    except OSError:
        break
    time.sleep(0.01)
refused(errno.ESTALE, open_handle, handle)
put("file", b"another")
refused(errno.ESTALE, open_handle, handle)
