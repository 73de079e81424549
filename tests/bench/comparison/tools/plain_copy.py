"""cp and rsync onto tmpfs: what moving the bytes costs without any of it."""
import contextlib
import shutil

from ..measuring import measure, run
from ..scenario import Scenario, Step
from .tool import Tool


class PlainCopy(Tool):
    name = "cp"

    def scenarios(self):
        return [
            Scenario(self._target, [Step("large/first", "", lambda: self._copied("large"))], sources=("large",)),
            Scenario(self._target, [
                Step("small/first", "", lambda: self._copied("small"), lays=True),
                Step("small/unchanged", "", self._unchanged),
            ], sources=("small",)),
        ]

    @contextlib.contextmanager
    def _target(self):
        self._copy = self.place / "copy"
        yield
        shutil.rmtree(self._copy)

    def _copied(self, kind):
        with measure() as result:
            run("cp", "-a", self.data.folder(kind), self._copy)
        return result

    def _unchanged(self):
        with measure() as result:
            run("rsync", "-a", "--delete", f"{self.data.folder('small')}/", f"{self._copy}/")
        return result
