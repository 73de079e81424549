"""Goal: A write by a user outside the file's group takes setgid also where the group may not execute; a member's does not."""
from behaviour import *

def fresh():
    put("file")
    os.chown("file", 0, 4711)
    os.chmod("file", 0o2666)
def write():
    with opened("file", os.O_WRONLY) as fd:
        os.write(fd, b"x")
fresh()
as_user(write, groups=[4711])
equal(oct(mode_of("file")), oct(0o2666))
as_user(write)
equal(oct(mode_of("file")), oct(0o666))
