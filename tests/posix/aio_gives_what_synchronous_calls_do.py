"""Goal: Asynchronous reads and writes by io_submit give what synchronous ones do."""
from behaviour import *

context = ctypes.c_ulong(0)
syscall = libc.syscall
syscall.restype = ctypes.c_long
equal(syscall(206, 8, ctypes.byref(context)), 0)
buffer = mmap.mmap(-1, 8192)
buffer[:] = b"a" * 4096 + b"b" * 4096
address = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
with opened("file", os.O_RDWR | os.O_CREAT | os.O_DIRECT) as fd:
    for opcode in (1, 0):
        request = ctypes.create_string_buffer(struct.pack("QIIHhIQQqQII", 7, 0, 0, opcode, 0, fd, address, 8192, 4096, 0, 0, 0), 64)
        pointers = (ctypes.c_void_p * 1)(ctypes.addressof(request))
        equal(syscall(209, context, 1, pointers), 1)
        events = ctypes.create_string_buffer(32)
        equal(syscall(208, context, 1, 1, events, None), 1)
        equal(struct.unpack("QQqq", events.raw)[2], 8192)
        if opcode == 1:
            buffer[:] = bytes(8192)
    equal(buffer[:], b"a" * 4096 + b"b" * 4096)
equal(os.stat("file").st_size, 12_288)
