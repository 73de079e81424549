"""Goal: Processes that write interleaved places of one file lose nothing."""
from behaviour import *

with opened("file", os.O_RDWR | os.O_CREAT):
    pass
def write(who):
    with opened("file", os.O_RDWR) as fd:
        for i in range(who, 2000, 4):
            os.pwrite(fd, b"%04d" % i * 250, i * 1000)
for child in [Child(lambda who=who: write(who)) for who in range(4)]:
    child.result()
data = get("file")
equal(len(data), 2_000_000)
for i in range(2000):
    equal(data[i * 1000:(i + 1) * 1000] == b"%04d" % i * 250, True, str(i))
