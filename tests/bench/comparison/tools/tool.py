"""What all tools have in common: a place on tmpfs, the data, and scenarios."""
import shutil
import sys

from ..measuring import files_and_bytes

PASSPHRASE = "a passphrase of the benchmark"


class Tool:
    name = ""

    def __init__(self, scratch, data, binaries):
        """`scratch`: an empty directory on tmpfs, the tool's own. `binaries`: where varve's programs are."""
        self.place, self.data, self.binaries = scratch, data, binaries

    @classmethod
    def why_not(cls):
        """Why the tool cannot be used on this machine; None if it can."""
        return None

    def scenarios(self):
        """The tool's scenarios in order."""
        raise NotImplementedError

    def close(self):
        """On the way out, also of a benchmark that failed: no process is left behind."""

    def taken_back(self, target, kind):
        """A restore counts only if it brought back as many files and bytes as were saved. Removes it."""
        restored, saved = files_and_bytes(target), self.data.files_and_bytes(kind)
        if restored != saved:
            sys.exit(f"bench: {self.name} restored {restored[0]} files of {restored[1]} bytes where {saved[0]} of {saved[1]} were saved")
        shutil.rmtree(target)
