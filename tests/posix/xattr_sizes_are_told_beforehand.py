"""Goal: A size of 0 asks how much room is needed; too little room is ERANGE."""
from behaviour import *

put("file")
os.setxattr("file", "user.a", b"12345")
os.setxattr("file", "user.b", b"")
room = ctypes.create_string_buffer(100)
equal(call("getxattr", b"file", b"user.a", None, 0), 5)
equal(call("getxattr", b"file", b"user.a", room, 5), 5)
refused(errno.ERANGE, call, "getxattr", b"file", b"user.a", room, 4)
equal(call("listxattr", b"file", None, 0), 14)
equal(call("listxattr", b"file", room, 14), 14)
equal(sorted(room.raw[:14].split(b"\0")[:2]), [b"user.a", b"user.b"])
refused(errno.ERANGE, call, "listxattr", b"file", room, 13)
