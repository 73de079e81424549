"""Goal: FS_IOC_FIEMAP tells where a file's data lies."""
from behaviour import *

put("file", b"x" * 8192)
with opened("file") as fd:
    request = bytearray(struct.pack("QQIIII", 0, 2**64 - 1, 1, 0, 10, 0) + bytes(560))
    fcntl.ioctl(fd, 0xC020660B, request)
    assert struct.unpack_from("I", request, 20)[0] > 0
