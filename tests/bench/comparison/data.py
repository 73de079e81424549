"""What is backed up: made once for a scale, and kept."""
import pathlib
import shutil
import subprocess

from .measuring import files_and_bytes, run, shell

MAKE_DATA = pathlib.Path(__file__).resolve().parents[2] / "e2e/make_data"


class Data:
    """large: three files of 1.1 GB, one a disk image. changed: the same with 2 % scattered changes. random: 1 GB that nothing
    compresses. small: a tree of 72,000 files.

    Sizes and counts are of scale 1.
    """

    def __init__(self, directory, scale):
        self.scale = scale
        directory.mkdir(parents=True, exist_ok=True)
        self._root = directory / f"scale-{scale}"
        for other in directory.glob("scale-*"):
            if other != self._root:
                shutil.rmtree(other)
        self._root.mkdir(exist_ok=True)
        self._counts = {}
        self._makers = {"large": self._make_large, "changed": self._make_changed, "random": self._make_random,
                        "small": self._make_small}

    def folder(self, kind):
        return self._root / kind

    def made(self, kind):
        folder, stamp = self.folder(kind), self._root / f"{kind}.made"
        if not stamp.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            self._makers[kind](folder)
            stamp.touch()
        return folder

    def files_and_bytes(self, kind):
        if kind not in self._counts:
            self._counts[kind] = files_and_bytes(self.folder(kind))
        return self._counts[kind]

    def warm(self, kind):
        """Makes it if it is not there, and reads it, so that it comes from the page cache."""
        shell(f"find {self.made(kind)} -type f -print0 | xargs -0 -r cat")

    def _make_large(self, folder):
        each = int(1100e6 * self.scale)
        for name, source in (("libraries.tar", "lib bin"), ("shared.tar", "share include")):
            self._tar(source, each, f">{folder / name}")
        tree, image = self._root / "image-tree", folder / "disk.img"
        tree.mkdir()
        self._tar("lib share", int(each * 0.75), f"| tar -C {tree} -xf - 2>/dev/null")
        with open(image, "wb") as file:
            file.truncate(each)
        run("mkfs.ext4", "-q", "-d", tree, image)
        shutil.rmtree(tree)

    @staticmethod
    def _tar(source, size, rest):
        """The first `size` bytes of an archive: tar and who reads it notice that it ends early."""
        subprocess.run(f"tar -C /usr --sort=name -cf - {source} 2>/dev/null | head -c {size} {rest}", shell=True, check=False)

    def _make_changed(self, folder):
        for number, file in enumerate(sorted(self.made("large").iterdir())):
            run(MAKE_DATA, "scatter", 7 + number, 2, file, folder / file.name)

    def _make_random(self, folder):
        run(MAKE_DATA, "random", 11, int(1e9 * self.scale), folder / "random.bin")

    def _make_small(self, folder):
        """Fifty files, then a gap, and so on, so that the tree is as /usr is, only thinner."""
        wanted = int(72000 * self.scale)
        paths, chosen = self._root / "paths", self._root / "chosen"
        shell(f"cd / && find usr -xdev -type f -size -4096k ! -path $'*\\n*' | LC_ALL=C sort >{paths}")
        with open(paths, "rb") as file:
            step = max(1, sum(1 for _ in file) // wanted)
        shell(f"awk 'int((NR - 1) / 50) % {step} == 0 && n++ < {wanted}' {paths} >{chosen}")
        run("rsync", "-a", f"--files-from={chosen}", "/", f"{folder}/")
        paths.unlink()
        chosen.unlink()
