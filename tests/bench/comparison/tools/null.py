"""varve's own FUSE session over a filesystem that keeps names in memory and discards data: the limit of the kernel's door."""
import contextlib
import os
import shutil

from ..measuring import measure, run
from ..mount import Mount
from ..scenario import Scenario, Step
from .mounted import LARGE_DOORS, SMALL_DOORS, UNCHANGED, MountedTool


class Null(MountedTool):
    name = "null"

    def scenarios(self):
        found = [Scenario(self._mounted, [Step("large/first", how, lambda d=door: self.copied(d, "large"))], sources=("large",))
                 for how, door in LARGE_DOORS.items()]
        for how, door in SMALL_DOORS.items():
            steps = [Step("small/first", how, lambda d=door: self.copied(d, "small"), lays=True)]
            if how == "rsync -a":
                steps.append(Step("small/unchanged", how, lambda: self.copied(UNCHANGED, "small")))
            if how == "cp -a":
                steps.append(Step("small/restore", how, self._restored))
            found.append(Scenario(self._mounted, steps, sources=("small",)))
        return found

    @contextlib.contextmanager
    def _mounted(self):
        self.mount = Mount(self.place / "mnt", self.command())
        yield
        self.mount.unmount()

    def command(self):
        return [self.binaries / "null.varve", self.place / "mnt"]

    def _restored(self):
        self._forget()
        target = self.place / "restored"
        with measure(self.mount.pid) as result:
            run("cp", "-a", self.target(), target)
        shutil.rmtree(target)
        return result

    def _forget(self):
        """What the kernel remembers is dropped: a fresh mount is asked for every name and byte, and this one cannot be mounted anew."""
        for where, _, names in os.walk(self.target()):
            for name in names:
                path = os.path.join(where, name)
                if not os.path.islink(path):
                    file = os.open(path, os.O_RDONLY)
                    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
                    os.close(file)
        run("mount", "-i", "-o", "remount,rw", self.mount.mountpoint)  # drops the names
