"""Goal: A symlink keeps its target to the byte, up to 4,095 bytes; longer ones are ENAMETOOLONG, empty ones ENOENT."""
from behaviour import *

for number, target in enumerate([b"a", b"/", b"../x/y", b"\xff\xfe\n\t ", b"t" * 60, b"t" * 61, b"t" * 4000, b"t" * 4095]):
    name = b"link%d" % number
    os.symlink(target, name)
    equal(os.readlink(name), target)
    equal(os.lstat(name).st_size, len(target))
    equal(stat.S_IMODE(os.lstat(name).st_mode), 0o777)
refused(errno.ENAMETOOLONG, os.symlink, b"t" * 4096, b"long")
refused(errno.ENOENT, os.symlink, b"", b"empty")
refused(errno.EEXIST, os.symlink, b"t", b"link0")
refused(errno.EINVAL, os.readlink, ".")
