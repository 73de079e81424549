import contextlib
import shutil

from ..measuring import bytes_in, measure, run, shell
from ..mount import Mount
from ..scenario import Scenario, Step
from .mounted import LARGE_DOORS, SMALL_DOORS, UNCHANGED, MountedTool
from .tool import PASSPHRASE

TAR_IN = "tar -C {source} -b 512 -cf - . >{target}/.varve/import.tar"
TAR_AGAIN = "tar -C {source} -b 512 -cf - . >{target}/.varve/import-replace.tar"
COPY_OUT = "cp -a {snapshot} {target}"
TAR_OUT = "mkdir {target} && tar -C {target} -xf - <{snapshot}.tar"


class Varve(MountedTool):
    """What goes in ends with a durable snapshot; what comes out does so after a fresh mount, so that no cache has it."""

    name = "varve"

    def scenarios(self):
        return [*(self._large(how, door) for how, door in LARGE_DOORS.items()),
                *(self._small(how, door) for how, door in SMALL_DOORS.items()),
                self._tar_door()]

    def _large(self, how, door):
        steps = [Step("large/first", how, lambda: self.copied(door, "large"), lays=True),
                 Step("large/second", how, lambda: self.copied(door, "changed"), lays=True)]
        if how == "cp":
            steps += [Step("large/restore", how, lambda: self._restored(COPY_OUT, "changed")),
                      Step("large/restore", "varve restore", lambda: self._restored_without_mount("changed"))]
        steps.append(Step("large/stored", how, self._stored))
        return Scenario(self._store, steps, sources=("large", "changed"))

    def _small(self, how, door):
        steps = [Step("small/first", how, lambda: self.copied(door, "small"), lays=True)]
        if how == "rsync -a":
            steps.append(Step("small/unchanged", how, lambda: self.copied(UNCHANGED, "small")))
        if how == "cp -a":
            steps += [Step("small/restore", how, lambda: self._restored(COPY_OUT, "small")),
                      Step("small/restore", "varve restore", lambda: self._restored_without_mount("small"))]
        steps.append(Step("small/stored", how, self._stored))
        return Scenario(self._store, steps, sources=("small",))

    def _tar_door(self):
        return Scenario(self._store, [
            Step("small/first", "tar door", lambda: self.copied(TAR_IN, "small"), lays=True),
            Step("small/unchanged", "tar door", lambda: self.copied(TAR_AGAIN, "small")),
            Step("small/restore", "tar door", lambda: self._restored(TAR_OUT, "small")),
            Step("small/stored", "tar door", self._stored),
        ], sources=("small",))

    @contextlib.contextmanager
    def _store(self):
        self.store, self._passphrase, self._snapshots = self.place / "store", self.place / "passphrase", 0
        self._passphrase.write_text(PASSPHRASE)
        self._passphrase.chmod(0o600)
        run(self.binaries / "mkfs.varve", "--no-recovery-key", "--passphrase-file", self._passphrase, self.store)
        self._mount()
        yield
        self.mount.unmount()
        shutil.rmtree(self.store)

    def _mount(self):
        mountpoint = self.place / "mnt"
        # Checkpoints by the clock would fall into one measured step or another.
        self.mount = Mount(mountpoint, [self.binaries / "mount.varve", self.store, mountpoint, "-f",
                                        "-o", f"passphrase_file={self._passphrase},checkpoint=0"])

    def _mount_anew(self):
        self.mount.unmount()
        self._mount()

    def _snapshot(self):
        return self.target() / ".varve/snapshots" / f"snapshot{self._snapshots}"

    def finish(self):
        self._snapshots += 1
        run("mkdir", self._snapshot())

    def _restored(self, command, kind):
        self._mount_anew()
        target = self.place / "restored"
        with measure(self.mount.pid) as result:
            shell(command.format(snapshot=self._snapshot(), target=target))
        self.taken_back(target, kind)
        return result

    def _restored_without_mount(self, kind):
        target = self.place / "restored"
        with measure() as result:
            run(self.binaries / "varve", "restore", "--passphrase-file", self._passphrase, self.store, f"set/snapshot{self._snapshots}", target)
        self.taken_back(target, kind)
        return result

    def _stored(self):
        """Everything outside local/, after an umount."""
        self._mount_anew()
        return {"bytes": bytes_in(self.store) - bytes_in(self.store / "local")}
