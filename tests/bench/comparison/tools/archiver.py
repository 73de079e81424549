"""Tools that save a directory into a repository by one command, and bring it back by another."""
import contextlib
import shutil

from ..measuring import bytes_in, measure
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
            Scenario(self._made, [
                Step("large/first", "", lambda: self._saved("large"), lays=True),
                Step("large/second", "", lambda: self._saved("changed"), lays=True),
                Step("large/restore", "", lambda: self._extracted("changed")),
                Step("large/stored", "", self._stored),
            ], sources=("large", "changed")),
            Scenario(self._made, [
                Step("small/first", "", lambda: self._saved("small"), lays=True),
                Step("small/unchanged", "", lambda: self._saved("small"), lays=True),
                Step("small/restore", "", lambda: self._extracted("small")),
                Step("small/stored", "", self._stored),
            ], sources=("small",)),
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
