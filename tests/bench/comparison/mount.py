"""A filesystem served by a process, from mounting to unmounting."""
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

from .measuring import memory_of, run

SAMPLES_APART_S = 0.05


class Mount:
    def __init__(self, mountpoint, command, **options):
        """`command` stays in the foreground and mounts at `mountpoint`; what it says is kept beside that, in MOUNTPOINT.log."""
        self.mountpoint = mountpoint
        mountpoint.mkdir(exist_ok=True)
        log = mountpoint.with_name(mountpoint.name + ".log")
        with open(log, "ab") as file:
            self._process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=file, stderr=file, **options)
        self.pid = self._process.pid
        while not os.path.ismount(mountpoint):
            if self._process.poll() is not None:
                sys.exit(f"bench: {command[0]} does not mount: {log.read_text(errors='replace')}")
            time.sleep(0.01)
        self._own = 0
        self._ending = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def memory(self):
        """The most that the process had so far: resident, and of that its own. What it maps of its database is resident, and is the page cache's."""
        self._own = max(self._own, memory_of(self.pid, "RssAnon"))
        return {"peak_bytes": memory_of(self.pid, "VmHWM"), "own_bytes": self._own}

    def _watch(self):
        """The kernel remembers the most that was resident, not the most that was a process's own."""
        with contextlib.suppress(OSError):
            while not self._ending.wait(SAMPLES_APART_S):
                self._own = max(self._own, memory_of(self.pid, "RssAnon"))

    def unmount(self):
        """Returns when the process has ended."""
        self._ending.set()
        run("umount", "-i", self.mountpoint)
        self._process.wait()

    def kill(self):
        """For the way out of a benchmark that failed; nothing to do if it was unmounted."""
        with contextlib.suppress(OSError):
            if self._process.poll() is None:
                subprocess.run(["umount", "-i", "-l", str(self.mountpoint)], check=False, stderr=subprocess.DEVNULL)
                self._process.send_signal(signal.SIGKILL)
                self._process.wait()


@contextlib.contextmanager
def mounted(mountpoint, command, **options):
    mount = Mount(mountpoint, command, **options)
    try:
        yield mount
        mount.unmount()
    finally:
        mount.kill()
