"""Goal: A directory that is not empty is not replaced: ENOTEMPTY (or EEXIST), and nothing changes."""
from behaviour import *

os.makedirs("a/in")
os.makedirs("b/in")
refused((errno.ENOTEMPTY, errno.EEXIST), os.rename, "a", "b")
put("a/file")
refused((errno.ENOTEMPTY, errno.EEXIST), os.rename, "a/in", "b")
equal(sorted(os.listdir(".")), ["a", "b"])
