"""Goal: inotify reports creation, writing, renaming and removal."""
from behaviour import *

libc.inotify_init1.restype = ctypes.c_int
watcher = call("inotify_init1", os.O_NONBLOCK)
call("inotify_add_watch", watcher, b".", 0x100 | 0x2 | 0x40 | 0x80 | 0x200)
put("file")
os.rename("file", "moved")
os.unlink("moved")
data, masks = os.read(watcher, 4096), []
while data:
    _, mask, _, size = struct.unpack_from("iIII", data)
    masks.append(mask & 0xFFF)
    data = data[16 + size:]
equal(masks, [0x100, 0x2, 0x40, 0x80, 0x200])
