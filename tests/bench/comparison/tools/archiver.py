"""Tools that save a directory into a repository by one command, and bring it back by another."""
import contextlib
import shutil
import subprocess

from ..in_place import written_before
from ..measuring import bytes_in, measure
from ..mount import mounted
from ..random_reads import random_reads
from ..scenario import Scenario, Step
from .tool import Tool


class Archiver(Tool):
    """A tool has a repository at self.repository, made by `initialize`; `save` and `extract` are what is measured."""

    def initialize(self):
        raise NotImplementedError

    def save(self, source):
        """One more version, of the directory `source`."""
        raise NotImplementedError

    def extract(self, target):
        """The newest version, into the empty directory `target`."""
        raise NotImplementedError

    def scenarios(self):
        return [
            Scenario(self._made, self.large_steps(), sources=("large", "changed")),
            Scenario(self._made, [Step("random/first", "", lambda: self._saved("random"))], sources=("random",)),
            Scenario(self._made, [
                Step("small/first", "", lambda: self._saved("small"), lays=True),
                Step("small/unchanged", "", lambda: self._saved("small"), lays=True),
                Step("small/restore", "", lambda: self._extracted("small")),
                Step("small/stored", "", self._stored),
            ], sources=("small",)),
        ]

    def large_steps(self):
        return [
            Step("large/first", "", lambda: self._saved("large"), lays=True),
            Step("large/stored-first", "", self._stored),
            Step("large/second", "", lambda: self._saved("changed"), lays=True),
            Step("large/stored", "", self._stored),
            Step("large/restore", "", lambda: self._extracted("changed")),
        ]

    @contextlib.contextmanager
    def _made(self):
        self.repository = self.place / "repository"
        self.initialize()
        yield
        shutil.rmtree(self.repository)

    def _saved(self, kind):
        with measure() as result:
            self.save(self.data.folder(kind))
        return result

    def _extracted(self, kind):
        target = self.place / "restored"
        target.mkdir()
        with measure() as result:
            self.extract(target)
        self.taken_back(target, kind)
        return result

    def _stored(self):
        return {"bytes": bytes_in(self.repository)}


class ReadableArchiver(Archiver):
    """One that can also write a version to its standard output, and show it in a mount."""

    def dump(self, output):
        """The contents of all files of the newest version."""
        raise NotImplementedError

    def mounting(self, mountpoint):
        """The command that mounts in the foreground, its environment or None, and where the newest version is then below `mountpoint`."""
        raise NotImplementedError

    def large_steps(self):
        return super().large_steps() + [
            Step("large/read", "", lambda: self._dumped(subprocess.DEVNULL)),
            Step("large/in-place", "", self._dumped_in_place),
            Step("large/image", "", self._random_reads),
        ]

    def _dumped(self, output):
        with measure() as result:
            self.dump(output)
        return result

    def _dumped_in_place(self):
        with written_before(self.place, self.data.folder("changed")) as output:
            return self._dumped(output)

    def _random_reads(self):
        mountpoint = self.place / "mnt"
        command, environment, newest = self.mounting(mountpoint)
        with mounted(mountpoint, command, env=environment) as mount:
            return random_reads(mountpoint / newest / "disk.img", self.data, mount)
