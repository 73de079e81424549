"""What the behaviours share. Each behaviour is a script that is run in a fresh directory of the filesystem under test, as root,
and fails by an exception. Whatever is imported here is there for users, too, who may not read the interpreter's files."""

import contextlib
import ctypes
import ctypes.util
import errno
import fcntl
import mmap
import os
import pickle
import resource
import select
import signal
import socket
import stat
import struct
import time
import traceback

OTHER = 65534  # a user and group who owns nothing here
THIRD = 65533
EVERYONE = 0o777

AT_FDCWD = -100
AT_EMPTY_PATH, AT_SYMLINK_FOLLOW, AT_SYMLINK_NOFOLLOW = 0x1000, 0x400, 0x100
RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4
KEEP_SIZE, PUNCH_HOLE, COLLAPSE_RANGE, ZERO_RANGE, INSERT_RANGE = 1, 2, 8, 16, 32
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
RWF_SYNC, RWF_APPEND = 0x04, 0x10
BIG = 1 << 20

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments):
    """A function of libc by its name; -1 is an OSError."""
    function = getattr(libc, name)
    function.restype = ctypes.c_int
    ctypes.set_errno(0)
    result = function(*arguments)
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def refused(numbers, function, *arguments, **named):
    """The call must fail with this error, or one of these."""
    wanted = numbers if isinstance(numbers, tuple) else (numbers,)
    names = " or ".join(errno.errorcode[n] for n in wanted)
    try:
        function(*arguments, **named)
    except OSError as error:
        got = errno.errorcode.get(error.errno, error.errno)
        assert error.errno in wanted, f"{got} instead of {names}"
        return
    raise AssertionError(f"succeeded instead of {names}")


def equal(found, wanted, what=""):
    assert found == wanted, f"{what + ': ' if what else ''}{found!r} instead of {wanted!r}"


def put(path, data=b"x", mode=0o644):
    with opened(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode) as fd:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view):]
    return path


def get(path):
    with open(path, "rb") as file:
        return file.read()


@contextlib.contextmanager
def opened(path, flags=os.O_RDONLY, mode=0o644, **named):
    fd = os.open(path, flags, mode, **named)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def umask(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode_of(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def tick():
    """Time enough for a later change to have a later time."""
    time.sleep(0.012)


def times_changed(path, action):
    """Which of the times of a file an action changes."""
    before = os.lstat(path)
    tick()
    action()
    after = os.lstat(path)
    return {name for name in ("atime", "mtime", "ctime") if getattr(before, f"st_{name}_ns") != getattr(after, f"st_{name}_ns")}


class Child:
    """A function that runs in another process; result() gives what it returned."""

    def __init__(self, function, uid=None, gid=None, groups=()):
        self.reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self.reading)
                if uid is not None:
                    os.setgroups(list(groups))
                    os.setresgid(*[uid if gid is None else gid] * 3)
                    os.setresuid(uid, uid, uid)
                answer = (True, function())
            except BaseException as error:  # whatever it is, the parent tells it
                answer = (False, f"in another process: {error!r}\n{traceback.format_exc()}")
            data = pickle.dumps(answer)
            while data:
                data = data[os.write(writing, data):]
            os._exit(0)
        os.close(writing)

    def result(self):
        with os.fdopen(self.reading, "rb") as pipe:
            data = pipe.read()
        os.waitpid(self.pid, 0)
        assert data, "the other process died"
        good, value = pickle.loads(data)
        assert good, value
        return value


def as_user(function, uid=OTHER, gid=None, groups=()):
    return Child(function, uid, gid, groups).result()


def renameat2(old, new, flags):
    return call("renameat2", AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags)


def linkat(fd, new):
    """Gives a name to an open file."""
    return call("linkat", AT_FDCWD, f"/proc/self/fd/{fd}".encode(), AT_FDCWD, os.fsencode(new), AT_SYMLINK_FOLLOW)


def fallocate(fd, mode, offset, length):
    return call("fallocate", fd, mode, ctypes.c_long(offset), ctypes.c_long(length))


def utimens(path, atime, mtime, flags=0):
    """Each time is (seconds, nanoseconds)."""
    times = struct.pack("qqqq", *atime, *mtime)
    return call("utimensat", AT_FDCWD, os.fsencode(path), times, flags)


class Statx:
    TYPE, BASIC, BTIME = 0x1, 0x7FF, 0x800

    def __init__(self, path, mask=BASIC | BTIME, flags=0):
        buffer = ctypes.create_string_buffer(256)
        call("statx", AT_FDCWD, os.fsencode(path), flags, mask, buffer)
        self.mask, self.blksize = struct.unpack_from("II", buffer, 0)
        self.btime_ns = self._time(buffer, 80)
        self.mtime_ns = self._time(buffer, 112)

    @staticmethod
    def _time(buffer, offset):
        seconds, nanoseconds = struct.unpack_from("qI", buffer, offset)
        return seconds * 10**9 + nanoseconds


def acl(*entries):
    """An ACL in the kernel's coding: entries are (tag, permissions) or (tag, permissions, id)."""
    tags = {"user_obj": 1, "user": 2, "group_obj": 4, "group": 8, "mask": 16, "other": 32}
    value = struct.pack("<I", 2)
    for tag, permissions, *identity in entries:
        value += struct.pack("<HHI", tags[tag], permissions, identity[0] if identity else 0xFFFFFFFF)
    return value


ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"


def file_handle(path, flags=0):
    """(type, bytes) as name_to_handle_at gives them, and what open_by_handle_at takes."""
    buffer = ctypes.create_string_buffer(struct.pack("Ii", 128, 0), 8 + 128)
    mount = ctypes.c_int()
    call("name_to_handle_at", AT_FDCWD, os.fsencode(path), buffer, ctypes.byref(mount), flags)
    size = struct.unpack_from("I", buffer, 0)[0]
    return buffer.raw[:8 + size]


def open_handle(handle, flags=os.O_RDONLY):
    with opened(".", os.O_RDONLY | os.O_DIRECTORY) as mount:
        return call("open_by_handle_at", mount, ctypes.create_string_buffer(handle, len(handle)), flags)


def lock(fd, kind, start=0, length=0, command=fcntl.F_SETLK):
    """An fcntl lock of F_RDLCK, F_WRLCK or F_UNLCK; (kind, pid) that the kernel gives back."""
    data = struct.pack("hhqqi4x", kind, os.SEEK_SET, start, length, 0)
    answer = struct.unpack("hhqqi4x", fcntl.fcntl(fd, command, data))
    return answer[0], answer[4]


OFD_GETLK, OFD_SETLK = 36, 37
