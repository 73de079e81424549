import pathlib
import resource
import shutil
import sys

from ..measuring import run, shell
from ..mount import Mount
from ..random_reads import image, random_reads
from ..scenario import Scenario, Step
from .control import Control

# It holds a descriptor for each file that the kernel knows.
DESCRIPTORS = 1 << 20
EXAMPLE = pathlib.Path("/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c")


class Passthrough(Control):
    """libfuse's example passthrough_ll over a directory on tmpfs, with its own defaults: a filesystem that is nobody's but the library's.

    Debian ships it as a source, with libfuse3-dev.
    """

    name = "passthrough"

    @classmethod
    def why_not(cls):
        if not EXAMPLE.exists():
            return f"{EXAMPLE} is not there (some images leave /usr/share/doc out: install libfuse3-dev again with it)"
        return None

    def scenarios(self):
        found = super().scenarios()
        if self._descriptors() < DESCRIPTORS:
            print(f"... passthrough: small files are left out: it may open {self._descriptors()} only, and nobody may raise that", file=sys.stderr)
            found = [scenario for scenario in found if "small" not in scenario.sources]
        return found + [Scenario(self._made, [Step("large/image", "", self._random_reads)], sources=("changed",))]

    def command(self):
        program, behind = self.place / "passthrough_ll", self._behind()
        if not program.exists():
            shell(f"cc -O2 -o {program} {EXAMPLE} $(pkg-config --cflags --libs fuse3)")
        behind.mkdir(exist_ok=True)
        return ["prlimit", f"--nofile={self._descriptors()}", program, "-f", "-o", f"source={behind}", self.mountpoint]

    def _descriptors(self):
        """As many as are needed, where the kernel lets this process have them."""
        now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (now, max(most, DESCRIPTORS)))
            return DESCRIPTORS
        except (ValueError, PermissionError):
            return min(most, DESCRIPTORS)

    def forget(self):
        self.mount.unmount()
        self.mount = Mount(self.mountpoint, self.command())

    def clear(self):
        shutil.rmtree(self._behind())

    def _behind(self):
        return self.place / "behind"

    def _random_reads(self):
        run("cp", image(self.data), self._behind())
        return random_reads(self.mountpoint / "disk.img", self.data, self.mount)
