"""Goal: New files in a setgid directory get its group, new directories setgid as well; elsewhere the creator's group."""
from behaviour import *

os.mkdir("shared")
os.chown("shared", 0, 4711)
os.chmod("shared", 0o2777)
os.mkdir("plain")
os.chmod("plain", EVERYONE)
def user():
    for name in ("shared", "plain"):
        put(f"{name}/file")
        os.mkdir(f"{name}/directory")
        os.symlink("x", f"{name}/link")
        os.mkfifo(f"{name}/fifo")
as_user(user)
for name in ("file", "directory", "link", "fifo"):
    equal(os.lstat(f"shared/{name}").st_gid, 4711, name)
    equal(os.lstat(f"plain/{name}").st_gid, OTHER, name)
equal(oct(mode_of("shared/directory")), oct(0o2755))
equal(oct(mode_of("plain/directory")), oct(0o755))
os.mkdir("shared/directory/deeper")
equal(os.stat("shared/directory/deeper").st_gid, 4711)
