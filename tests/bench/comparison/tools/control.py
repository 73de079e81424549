"""Mounts that save nothing: what the kernel's door costs, whoever stands behind it."""
import contextlib

from ..measuring import measure, run
from ..mount import Mount
from ..scenario import Scenario, Step
from .mounted import LARGE_DOORS, SMALL_DOORS, UNCHANGED, MountedTool


class Control(MountedTool):
    def command(self):
        """Mounts at self.mountpoint, in the foreground."""
        raise NotImplementedError

    def forget(self):
        """Makes the mount one that is asked for every name and byte, as a fresh one is."""
        raise NotImplementedError

    def clear(self):
        """After the unmount."""

    @property
    def mountpoint(self):
        return self.place / "mnt"

    def scenarios(self):
        found = [Scenario(self._made, [Step("large/first", how, lambda d=door: self.copied(d, "large"))], sources=("large",))
                 for how, door in LARGE_DOORS.items()]
        found.append(Scenario(self._made, [Step("random/first", "cp", lambda: self.copied(LARGE_DOORS["cp"], "random"))], sources=("random",)))
        for how, door in SMALL_DOORS.items():
            steps = [Step("small/first", how, lambda d=door: self.copied(d, "small"), lays=True)]
            if how == "rsync -a":
                steps.append(Step("small/unchanged", how, lambda: self.copied(UNCHANGED, "small")))
            if how == "cp -a":
                steps.append(Step("small/restore", how, self._restored))
            found.append(Scenario(self._made, steps, sources=("small",)))
        return found

    @contextlib.contextmanager
    def _made(self):
        self.mount = Mount(self.mountpoint, self.command())
        yield
        self.mount.unmount()
        self.clear()

    def _restored(self):
        self.forget()
        target = self.place / "restored"
        with measure(self.mount) as result:
            run("cp", "-a", self.target(), target)
        self.taken_back(target, "small")
        return result
