"""Goal: A listing has every name once, "." and ".." too, with right types and numbers, in small and large directories."""
from behaviour import *

kinds = {}
os.mkdir("d")
for i in range(1500):
    name = f"d/{i:04}-{'n' * (i % 200)}"
    kind = i % 4
    if kind == 0:
        put(name, b"")
    elif kind == 1:
        os.mkdir(name)
    elif kind == 2:
        os.symlink("x", name)
    else:
        os.mkfifo(name)
    kinds[os.path.basename(name)] = (kind, os.lstat(name).st_ino)
with os.scandir("d") as entries:
    found = {}
    for entry in entries:
        assert entry.name not in found
        link, directory, file = entry.is_symlink(), entry.is_dir(follow_symlinks=False), entry.is_file(follow_symlinks=False)
        found[entry.name] = (0 if file else 1 if directory else 2 if link else 3, entry.inode())
equal(found, kinds)
