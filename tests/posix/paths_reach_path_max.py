"""Goal: A path of 4,095 bytes works, a longer one is ENAMETOOLONG; deeper trees are reached step by step."""
from behaviour import *

name = "d" * 99
here = os.getcwd()
for _ in range(60):
    os.mkdir(name)
    os.chdir(name)
os.chdir(here)
path = "/".join([name] * 40) + "/" + "x" * 94
equal(len(path), 4094)
put(path, b"deep")
equal(get(path), b"deep")
path = "/".join([name] * 40) + "/" + "x" * 96
refused(errno.ENAMETOOLONG, put, path)
