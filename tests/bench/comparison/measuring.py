"""Wall time, processor time and peak memory of programs, and of the daemons that serve them."""
import contextlib
import os
import stat
import subprocess
import sys
import tempfile
import time

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Measured:
    """What the programs that run() started inside a measure() block needed, and the daemon in that time."""

    def __init__(self):
        self.wall = self.cpu = 0.0
        self.memory = {"peak_bytes": 0}

    def figures(self):
        return {"wall_s": self.wall, "cpu_s": self.cpu, **self.memory}

    def add(self, usage):
        self.cpu += usage.ru_utime + usage.ru_stime
        self.memory["peak_bytes"] = max(self.memory["peak_bytes"], usage.ru_maxrss * 1024)


_open_blocks = []


@contextlib.contextmanager
def measure(mount=None):
    """Memory is that of the largest single program; with `mount`, a Mount, that of its daemon alone, since it was started.

    A program counts with at least what this one had when it started it (under 20 MB), so nothing large is held in memory here.
    """
    result = Measured()
    daemon_before = cpu_of(mount.pid) if mount else 0
    _open_blocks.append(result)
    started = time.monotonic()
    try:
        yield result
        result.wall = time.monotonic() - started
    finally:
        _open_blocks.remove(result)
    if mount:
        result.cpu += cpu_of(mount.pid) - daemon_before
        result.memory = mount.memory()


def run(*command, stdout=subprocess.DEVNULL, **options):
    """Runs a program to its end; one that fails ends the benchmark with what it said."""
    command = [str(part) for part in command]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=errors, **options)
        # Children's usage as the kernel sums it up would give each program the peak of the largest before it.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        for block in _open_blocks:
            block.add(usage)
        if process.returncode != 0:
            errors.seek(0)
            sys.exit(f"bench: {' '.join(command)}\n{errors.read().decode(errors='replace')}")


def shell(line, **options):
    run("bash", "-o", "pipefail", "-c", line, **options)


def cpu_of(pid):
    """Processor seconds of a process that runs."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def memory_of(pid, name):
    """A line of /proc/PID/status, in bytes: VmHWM is the most that was resident, RssAnon what is the process's own and no file's."""
    with open(f"/proc/{pid}/status") as file:
        return next((int(line.split()[1]) * 1024 for line in file if line.startswith(name + ":")), 0)


def files_and_bytes(directory):
    """How many regular files there are below a directory, and of how many bytes."""
    files = size = 0
    for where, _, names in os.walk(directory):
        for name in names:
            status = os.lstat(os.path.join(where, name))
            if stat.S_ISREG(status.st_mode):
                files, size = files + 1, size + status.st_size
    return files, size


def bytes_in(directory):
    return files_and_bytes(directory)[1]


def settle():
    """What one step wrote must not be the next one's cost."""
    os.sync()
