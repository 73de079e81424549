from ..measuring import run
from .archiver import Archiver
from .tool import PASSPHRASE


class Restic(Archiver):
    name = "restic"

    def initialize(self):
        self._password = self.place / "password"
        self._password.write_text(PASSPHRASE)
        self._restic("init", "--repository-version", "2")

    def save(self, source):
        self._restic("backup", ".", cwd=source)

    def extract(self, target):
        self._restic("restore", "latest", "--target", target)

    def _restic(self, *arguments, **options):
        run("restic", "-q", "--no-cache", "-r", self.repository, "--password-file", self._password, *arguments, **options)
