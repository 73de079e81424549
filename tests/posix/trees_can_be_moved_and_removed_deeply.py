"""Goal: A tree of some hundred directories is renamed as a whole and removed again."""
from behaviour import *

import shutil
for i in range(15):
    for j in range(15):
        os.makedirs(f"a/{i}/{j}/deep")
        put(f"a/{i}/{j}/deep/file", b"%d %d" % (i, j))
os.rename("a", "b")
os.mkdir("c")
os.rename("b/7", "c/7")
equal(get("c/7/3/deep/file"), b"7 3")
equal(get("b/6/14/deep/file"), b"6 14")
shutil.rmtree("b")
equal(os.listdir("."), ["c"])
