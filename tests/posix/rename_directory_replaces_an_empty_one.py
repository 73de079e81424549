"""Goal: A directory may take the place of an empty directory, which is then gone; ".." and link counts are right."""
from behaviour import *

os.makedirs("from/moved/below")
os.makedirs("to/empty")
with opened("to/empty", os.O_RDONLY) as fd:
    os.rename("from/moved", "to/empty")
    equal(os.fstat(fd).st_nlink, 0)
equal(os.listdir("to/empty"), ["below"])
equal((os.stat("from").st_nlink, os.stat("to").st_nlink), (2, 3))
equal(os.stat("to/empty/..").st_ino, os.stat("to").st_ino)
