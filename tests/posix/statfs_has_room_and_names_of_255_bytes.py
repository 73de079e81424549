"""Goal: statfs tells sizes that fit each other, 255-byte names, and less free space is never more than all."""
from behaviour import *

info = os.statvfs(".")
equal(info.f_namemax, 255)
assert 0 < info.f_bavail <= info.f_bfree <= info.f_blocks
assert 0 < info.f_ffree <= info.f_files
assert info.f_bsize >= 512
with opened(".") as fd:
    equal(os.fstatvfs(fd).f_blocks, info.f_blocks)
