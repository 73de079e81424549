import os

from ..measuring import run
from .archiver import ReadableArchiver
from .tool import PASSPHRASE


class Borg(ReadableArchiver):
    name = "borg"

    def initialize(self):
        self._versions = 0
        self._environment = dict(os.environ, BORG_PASSPHRASE=PASSPHRASE, BORG_BASE_DIR=str(self.place / "base"),
                                 BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK="yes", BORG_RELOCATED_REPO_ACCESS_IS_OK="yes")
        self._borg("init", "-e", "repokey-blake2", self.repository)

    def save(self, source):
        self._versions += 1
        self._borg("create", "-C", "zstd,3", self._newest(), ".", cwd=source)

    def extract(self, target):
        self._borg("extract", self._newest(), cwd=target)

    def dump(self, output):
        self._borg("extract", "--stdout", self._newest(), stdout=output)

    def mounting(self, mountpoint):
        return ("borg", "mount", "-f", self._newest(), mountpoint), self._environment, "."

    def _newest(self):
        return f"{self.repository}::{self._versions}"

    def _borg(self, *arguments, **options):
        run("borg", *arguments, env=self._environment, **options)
