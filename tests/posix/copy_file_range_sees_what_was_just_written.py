"""Goal: copy_file_range copies what was written a moment ago and keeps holes, and later writes do not reach the copy."""
from behaviour import *

with opened("source", os.O_RDWR | os.O_CREAT) as source, opened("file", os.O_RDWR | os.O_CREAT) as fd:
    os.pwrite(source, b"first" * 1000, 1 << 20)
    done = 0
    while done < (1 << 20) + 5000:
        count = os.copy_file_range(source, fd, 1 << 22, done, done)
        assert count > 0
        done += count
    os.pwrite(source, b"later" * 1000, 1 << 20)
    equal(os.pread(fd, 5000, 1 << 20), b"first" * 1000)
    equal(os.pread(fd, 100, 0), bytes(100))
    equal(os.fstat(fd).st_size, (1 << 20) + 5000)
