"""Goal: A program that runs cannot be written (ETXTBSY), and can be replaced by rename."""
from behaviour import *

import shutil
shutil.copy("/bin/sleep", "program")
os.chmod("program", 0o755)
pid = os.fork()
if pid == 0:
    os.execv("./program", ["program", "60"])
deadline = time.monotonic() + 60
while os.readlink(f"/proc/{pid}/exe") != os.path.realpath("program"):
    if time.monotonic() > deadline:
        os.kill(pid, signal.SIGKILL)
        raise AssertionError("the program does not run")
    time.sleep(0.005)
refused(errno.ETXTBSY, os.open, "program", os.O_WRONLY)
put("new", b"#!/bin/sh\n")
os.rename("new", "program")
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
equal(get("program"), b"#!/bin/sh\n")
