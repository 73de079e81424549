"""Goal: In a sticky directory only a file's owner, the directory's or root may remove, rename or replace it."""
from behaviour import *

os.mkdir("tmp")
os.chmod("tmp", 0o1777)
put("tmp/root", mode=0o666)
def user():
    put("tmp/mine")
    refused(errno.EPERM, os.unlink, "tmp/root")
    refused(errno.EPERM, os.rename, "tmp/root", "tmp/taken")
    refused(errno.EPERM, os.rename, "tmp/mine", "tmp/root")
    refused(errno.EPERM, renameat2, "tmp/mine", "tmp/root", RENAME_EXCHANGE)
    os.rename("tmp/mine", "tmp/my")
    os.mkdir("tmp/directory")
as_user(user)
def third():
    refused(errno.EPERM, os.unlink, "tmp/my")
    refused(errno.EPERM, os.rmdir, "tmp/directory")
as_user(third, THIRD)
as_user(lambda: (os.unlink("tmp/my"), os.rmdir("tmp/directory")))
os.mkdir("users")
os.chown("users", OTHER, OTHER)
os.chmod("users", 0o1777)
put("users/root")
as_user(lambda: os.unlink("users/root"))
