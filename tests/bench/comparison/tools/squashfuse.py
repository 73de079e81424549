"""The disk image in a squashfs file: what a read-only format costs that is made for being read."""
import contextlib

from ..measuring import run
from ..mount import mounted
from ..random_reads import image, random_reads
from ..scenario import Scenario, Step
from .tool import Tool


class Squashfuse(Tool):
    name = "squashfuse"

    def scenarios(self):
        return [Scenario(self._made, [Step("large/image", "", self._random_reads)], sources=("changed",))]

    @contextlib.contextmanager
    def _made(self):
        self._file = self.place / "image.squashfs"
        run("mksquashfs", image(self.data), self._file, "-comp", "zstd", "-Xcompression-level", "3", "-no-progress", "-quiet")
        yield
        self._file.unlink()

    def _random_reads(self):
        mountpoint = self.place / "mnt"
        with mounted(mountpoint, ["squashfuse_ll", "-f", self._file, mountpoint]) as mount:
            return random_reads(mountpoint / "disk.img", self.data, mount)
