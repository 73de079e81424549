import os

from ..measuring import run
from .control import Control


class Null(Control):
    """varve's own FUSE session over a filesystem that keeps names in memory and discards data: files read as zeros."""

    name = "null"

    def command(self):
        return [self.binaries / "null.varve", self.mountpoint]

    def forget(self):
        """What it has would go with an unmount: so the kernel is told to drop what it remembers."""
        for where, _, names in os.walk(self.target()):
            for name in names:
                path = os.path.join(where, name)
                if not os.path.islink(path):
                    file = os.open(path, os.O_RDONLY)
                    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
                    os.close(file)
        run("mount", "-i", "-o", "remount,rw", self.mountpoint)  # drops the names
