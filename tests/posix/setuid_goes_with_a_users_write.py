"""Goal: A write or truncation by a user clears setuid, and setgid of an executable group; root's write clears nothing."""
from behaviour import *

def fresh(mode):
    put("file", b"text")
    os.chmod("file", mode)
def written_by_user():
    with opened("file", os.O_WRONLY) as fd:
        os.write(fd, b"x")
def truncated_by_user():
    with opened("file", os.O_WRONLY) as fd:
        os.ftruncate(fd, 2)
actions = [written_by_user, truncated_by_user, lambda: os.truncate("file", 1),
           lambda: os.close(os.open("file", os.O_WRONLY | os.O_TRUNC))]
for action in actions:
    fresh(0o6777)
    as_user(action)
    equal(oct(mode_of("file")), oct(0o777))
    fresh(0o2767)
    as_user(action)
    assert mode_of("file") & 0o4000 == 0
    fresh(0o6777)
    action()
    equal(oct(mode_of("file")), oct(0o6777))
