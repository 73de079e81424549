import subprocess

from ..in_place import written_before
from ..measuring import measure, run, shell
from ..random_reads import random_reads
from ..scenario import Scenario, Step
from .mounted import LARGE_DOORS, SMALL_DOORS, UNCHANGED
from .varve_history import history_scenarios
from .varve_store import VarveStore

TAR_IN = "tar -C {source} -b 512 -cf - . >{target}/.varve/import.tar"
TAR_AGAIN = "tar -C {source} -b 512 -cf - . >{target}/.varve/import-replace.tar"
COPY_OUT = "cp -a {snapshot} {target}"
TAR_OUT = "mkdir {target} && tar -C {target} -xf - <{snapshot}.tar"


class Varve(VarveStore):
    """What comes out does so after a fresh mount, so that no cache has it."""

    name = "varve"

    def scenarios(self):
        return [*(self._large(how, door) for how, door in LARGE_DOORS.items()),
                Scenario(self.made, [Step("random/first", "cp", lambda: self.copied(LARGE_DOORS["cp"], "random"))], sources=("random",)),
                *(self._small(how, door) for how, door in SMALL_DOORS.items()),
                self._tar_door(),
                *history_scenarios(self)]

    def _large(self, how, door):
        steps = [Step("large/first", how, lambda: self.copied(door, "large"), lays=True),
                 Step("large/stored-first", how, self.stored_so_far),
                 Step("large/second", how, lambda: self.copied(door, "changed"), lays=True),
                 Step("large/stored", how, self.stored_after_umount)]
        if how == "cp":
            steps += [Step("large/restore", how, lambda: self._restored(COPY_OUT, "changed")),
                      Step("large/restore", "varve restore", lambda: self.restored_without_mount("changed")),
                      Step("large/read", "cat", lambda: self._read(subprocess.DEVNULL)),
                      Step("large/in-place", "cat", self._read_in_place),
                      Step("large/image", "", self._random_reads)]
        return Scenario(self.made, steps, sources=("large", "changed"))

    def _small(self, how, door):
        steps = [Step("small/first", how, lambda: self.copied(door, "small"), lays=True)]
        if how == "rsync -a":
            steps += [Step("small/unchanged", how, lambda: self.copied(UNCHANGED, "small")),
                      Step("small/unchanged", f"{how}, fresh mount", self._unchanged_after_mount)]
        if how == "cp -a":
            steps += [Step("small/restore", how, lambda: self._restored(COPY_OUT, "small")),
                      Step("small/restore", "varve restore", lambda: self.restored_without_mount("small"))]
        steps.append(Step("small/stored", how, self.stored_after_umount))
        return Scenario(self.made, steps, sources=("small",))

    def _tar_door(self):
        return Scenario(self.made, [
            Step("small/first", "tar door", lambda: self.copied(TAR_IN, "small"), lays=True),
            Step("small/unchanged", "tar door", lambda: self.copied(TAR_AGAIN, "small")),
            Step("small/restore", "tar door", lambda: self._restored(TAR_OUT, "small")),
            Step("small/stored", "tar door", self.stored_after_umount),
        ], sources=("small",))

    def _unchanged_after_mount(self):
        self.mount_anew()
        return self.copied(UNCHANGED, "small")

    def _restored(self, command, kind):
        self.mount_anew()
        target = self.place / "restored"
        with measure(self.mount) as result:
            shell(command.format(snapshot=self.snapshot(), target=target))
        self.taken_back(target, kind)
        return result

    def _read(self, output):
        self.mount_anew()
        files = sorted(self.snapshot().iterdir())
        with measure(self.mount) as result:
            run("cat", *files, stdout=output)
        return result

    def _read_in_place(self):
        with written_before(self.place, self.data.folder("changed")) as output:
            return self._read(output)

    def _random_reads(self):
        self.mount_anew()
        return random_reads(self.snapshot() / "disk.img", self.data, self.mount)
