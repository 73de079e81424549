"""Goal: Lines that several processes append at the same time are all there, each whole."""
from behaviour import *

put("log", b"")
def append(who):
    with opened("log", os.O_WRONLY | os.O_APPEND) as fd:
        for number in range(200):
            os.write(fd, b"%d:%d:%s\n" % (who, number, b"x" * (number % 90)))
for child in [Child(lambda who=who: append(who)) for who in range(4)]:
    child.result()
lines = get("log").splitlines()
equal(len(lines), 800)
for who in range(4):
    mine = [line for line in lines if line.startswith(b"%d:" % who)]
    equal(mine, [b"%d:%d:%s" % (who, number, b"x" * (number % 90)) for number in range(200)])
