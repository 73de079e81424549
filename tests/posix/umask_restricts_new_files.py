"""Goal: The umask takes bits from new files, directories, fifos and devices, and never from symlinks."""
from behaviour import *

for mask in (0, 0o022, 0o077, 0o777):
    with umask(mask):
        os.mkdir(f"d{mask}", 0o777)
        os.close(os.open(f"f{mask}", os.O_WRONLY | os.O_CREAT, 0o666))
        os.mkfifo(f"p{mask}", 0o666)
        os.mknod(f"n{mask}", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.symlink("x", f"l{mask}")
    equal(oct(mode_of(f"d{mask}")), oct(0o777 & ~mask))
    for kind in "fpn":
        equal(oct(mode_of(f"{kind}{mask}")), oct(0o666 & ~mask))
    equal(oct(mode_of(f"l{mask}")), oct(0o777))
