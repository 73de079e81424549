"""Goal: A file may have hundreds of attributes."""
from behaviour import *

put("file")
for i in range(300):
    os.setxattr("file", f"user.{i:03}", b"v%d" % i)
equal(sorted(os.listxattr("file")), [f"user.{i:03}" for i in range(300)])
for i in range(0, 300, 2):
    os.removexattr("file", f"user.{i:03}")
equal(len(os.listxattr("file")), 150)
equal(os.getxattr("file", "user.101"), b"v101")
