"""Goal: Renaming one hard link over another of the same file succeeds and leaves both names."""
from behaviour import *

put("a")
os.link("a", "b")
os.rename("a", "b")
equal(sorted(os.listdir(".")), ["a", "b"])
os.rename("a", "a")
equal(os.stat("a").st_nlink, 2)
