"""Goal: seekdir to what telldir gave goes on with the same name, also after others were removed; rewinddir sees new ones."""
from behaviour import *

os.mkdir("d")
for i in range(300):
    put(f"d/{i}", b"")
libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
libc.telldir.restype = ctypes.c_long
for name in ("readdir", "telldir", "rewinddir", "closedir"):
    getattr(libc, name).argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
def read(stream):
    entry = libc.readdir(stream)
    return ctypes.string_at(entry + 19).decode() if entry else None
stream = libc.opendir(b"d")
order = []
while True:
    place = libc.telldir(stream)
    name = read(stream)
    if name is None:
        break
    order.append((place, name))
equal(len(order), 302)
for place, name in order[::-7]:
    libc.seekdir(stream, place)
    equal(read(stream), name)
place, name = order[200]
for _, other in order[100:150]:
    if other not in (".", ".."):
        os.unlink(f"d/{other}")
libc.seekdir(stream, place)
equal(read(stream), name)
put("d/new")
libc.rewinddir(stream)
names = set()
while name := read(stream):
    names.add(name)
assert "new" in names
libc.closedir(stream)
