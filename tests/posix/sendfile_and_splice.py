"""Goal: sendfile and splice move data from and to files."""
from behaviour import *

data = os.urandom(200_000)
put("source", data)
with opened("source") as source, opened("file", os.O_RDWR | os.O_CREAT) as fd:
    done = 0
    while count := os.sendfile(fd, source, done, 1 << 20):
        done += count
    equal(get("file") == data, True)
    reading, writing = os.pipe()
    moved = os.splice(source, writing, 60_000, offset_src=1000)
    assert moved > 0
    os.splice(reading, fd, moved, offset_dst=0)
    equal(os.pread(fd, moved, 0) == data[1000:1000 + moved], True)
