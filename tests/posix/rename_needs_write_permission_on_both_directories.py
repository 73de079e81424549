"""Goal: Renaming needs write permission on both directories, and on a directory that gets another parent."""
from behaviour import *

for name in ("mine", "closed"):
    os.mkdir(name)
os.chmod("mine", EVERYONE)
put("closed/file")
os.mkdir("mine/rooted", 0o755)
os.mkdir("mine/sub")
os.chmod("mine/sub", EVERYONE)
def user():
    put("mine/file")
    refused(errno.EACCES, os.rename, "mine/file", "closed/new")
    refused(errno.EACCES, os.rename, "closed/file", "mine/new")
    refused(errno.EACCES, os.rename, "mine/rooted", "mine/sub/rooted")
    os.rename("mine/rooted", "mine/renamed")
as_user(user)
