"""Goal: copy_file_range copies between files and within one, ends at the source's end, and refuses overlaps and append."""
from behaviour import *

data = os.urandom(300_000)
put("source", data)
with opened("source", os.O_RDWR) as source, opened("file", os.O_RDWR | os.O_CREAT) as fd:
    copied = 0
    while count := os.copy_file_range(source, fd, 1 << 20):
        copied += count
    equal(copied, len(data))
    equal(get("file") == data, True)
    equal(os.copy_file_range(source, fd, 1000, 100, 299_500), 1000)
    equal(get("file") == data[:299_500] + data[100:1100], True)
    equal(os.copy_file_range(source, source, 50_000, 0, 400_000), 50_000)
    equal(get("source") == data + bytes(100_000) + data[:50_000], True)
    refused(errno.EINVAL, os.copy_file_range, source, source, 100, 0, 50)
    equal(os.copy_file_range(source, fd, 100, 1_000_000, 0), 0)
    with opened("file", os.O_WRONLY | os.O_APPEND) as append:
        refused(errno.EBADF, os.copy_file_range, source, append, 10, 0)
    with opened("file") as reading:
        refused(errno.EBADF, os.copy_file_range, source, reading, 10, 0)
with opened(".") as directory, opened("file", os.O_RDWR) as fd:
    refused(errno.EISDIR, os.copy_file_range, directory, fd, 10)
