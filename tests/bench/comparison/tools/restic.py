from ..measuring import run
from .archiver import ReadableArchiver
from .tool import PASSPHRASE


class Restic(ReadableArchiver):
    name = "restic"

    def initialize(self):
        self._password = self.place / "password"
        self._password.write_text(PASSPHRASE)
        run(*self._restic("init", "--repository-version", "2"))

    def save(self, source):
        run(*self._restic("backup", "."), cwd=source)

    def extract(self, target):
        run(*self._restic("restore", "latest", "--target", target))

    def dump(self, output):
        run(*self._restic("dump", "latest", "/"), stdout=output)  # a tar archive: one call for all files

    def mounting(self, mountpoint):
        return self._restic("mount", mountpoint), None, "snapshots/latest"

    def _restic(self, *arguments):
        return ("restic", "-q", "--no-cache", "-r", self.repository, "--password-file", self._password, *arguments)
