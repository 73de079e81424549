"""Goal: copy_file_range and fallocate by a user clear setuid, too."""
from behaviour import *

os.chmod(".", EVERYONE)
put("source", b"s" * 8192)
def change(action):
    put("file", b"x" * 8192)
    os.chmod("file", 0o4777)
    def user():
        with opened("file", os.O_RDWR) as fd, opened("source") as source:
            action(fd, source)
    as_user(user)
    equal(oct(mode_of("file")), oct(0o777))
change(lambda fd, source: os.copy_file_range(source, fd, 4096, 0, 0))
change(lambda fd, source: fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 0, 4096))
change(lambda fd, source: fallocate(fd, 0, 0, 16384))
