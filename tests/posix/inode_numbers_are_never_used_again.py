"""Goal: The number of a removed file is not given to a new one."""
from behaviour import *

used = set()
for _ in range(300):
    put("file")
    number = os.stat("file").st_ino
    assert number not in used
    used.add(number)
    os.unlink("file")
