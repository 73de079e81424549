"""Goal: A setuid program runs with its owner's rights."""
from behaviour import *

import shutil
shutil.copy("/usr/bin/id", "id")
os.chown("id", THIRD, THIRD)
os.chmod("id", 0o4755)
def user():
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writing, 1)
        os.execv("./id", ["id", "-u"])
    os.close(writing)
    os.waitpid(pid, 0)
    return os.read(reading, 100)
equal(as_user(user), b"%d\n" % THIRD)
