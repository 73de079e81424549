"""Goal: Permission bits count by owner, group, others, in this order, for files and directories, as the kernel checks them."""
from behaviour import *

os.chmod(".", 0o755)
def allowed(path):
    result = ""
    for letter, flags in (("r", os.O_RDONLY), ("w", os.O_WRONLY)):
        try:
            os.close(os.open(path, flags))
            result += letter
        except PermissionError:
            pass
    return result + ("x" if os.access(path, os.X_OK) else "")
for mode, owner, group, others in ((0o640, "rw", "r", ""), (0o604, "rw", "", "r"), (0o047, "", "r", "rwx"), (0o770, "rwx", "rwx", "")):
    put("file")
    os.chown("file", OTHER, 4711)
    os.chmod("file", mode)
    equal(as_user(lambda: allowed("file")), owner, oct(mode))
    equal(as_user(lambda: allowed("file"), THIRD, THIRD, groups=[4711]), group, oct(mode))
    equal(as_user(lambda: allowed("file"), THIRD, THIRD), others, oct(mode))
    os.unlink("file")
os.makedirs("d/below")
put("d/file", mode=0o644)
os.chmod("d", 0o711)
as_user(lambda: (refused(errno.EACCES, os.listdir, "d"), get("d/file"), refused(errno.EACCES, put, "d/new")))
os.chmod("d", 0o744)
as_user(lambda: (os.listdir("d"), refused(errno.EACCES, os.stat, "d/file"), refused(errno.EACCES, os.rmdir, "d/below")))
