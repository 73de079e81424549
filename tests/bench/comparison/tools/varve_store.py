import contextlib
import shutil

from ..measuring import bytes_in, measure, run
from ..mount import Mount
from .mounted import MountedTool
from .tool import PASSPHRASE


class VarveStore(MountedTool):
    """A store and its mount; a copy into it ends with a durable snapshot."""

    @contextlib.contextmanager
    def made(self):
        self.store, self.passphrase, self._snapshots = self.place / "store", self.place / "passphrase", 0
        self.passphrase.write_text(PASSPHRASE)
        self.passphrase.chmod(0o600)
        run(self.binaries / "mkfs.varve", "--no-recovery-key", "--passphrase-file", self.passphrase, self.store)
        self._mount()
        yield
        self.mount.unmount()
        shutil.rmtree(self.store)

    def mount_anew(self):
        self.mount.unmount()
        self._mount()

    def finish(self):
        self._snapshots += 1
        run("mkdir", self.snapshot())

    def snapshot(self):
        """The newest that finish() took."""
        return self.target() / ".varve/snapshots" / f"snapshot{self._snapshots}"

    def stored_after_umount(self):
        self.mount_anew()
        return self.stored_so_far()

    def stored_so_far(self):
        """Everything outside local/: a snapshot, once taken, needs nothing else."""
        return {"bytes": sum(bytes_in(part) if part.is_dir() else part.stat().st_size for part in self.store.iterdir() if part.name != "local")}

    def restored_without_mount(self, kind):
        target = self.place / "restored"
        with measure() as result:
            run(self.binaries / "varve", "restore", "--passphrase-file", self.passphrase, self.store, f"set/{self.snapshot().name}", target)
        self.taken_back(target, kind)
        return result

    def _mount(self):
        mountpoint = self.place / "mnt"
        # Checkpoints by the clock would fall into one measured step or another.
        self.mount = Mount(mountpoint, [self.binaries / "mount.varve", self.store, mountpoint, "-f",
                                        "-o", f"passphrase_file={self.passphrase},checkpoint=0"])
