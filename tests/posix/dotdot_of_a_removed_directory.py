"""Goal: ".." of a removed working directory still leads to where it was; creating in it is ENOENT."""
from behaviour import *

os.mkdir("d")
here = os.stat(".").st_ino
os.chdir("d")
os.rmdir("../d")
equal(os.stat("..").st_ino, here)
equal(os.stat(".").st_nlink, 0)
refused(errno.ENOENT, os.getcwd)
refused(errno.ENOENT, put, "file")
os.chdir("..")
equal(os.listdir("."), [])
