"""Goal: A directory cannot move below itself: EINVAL; nor over one of its parents: ENOTEMPTY."""
from behaviour import *

os.makedirs("a/b/c")
refused(errno.EINVAL, os.rename, "a", "a/x")
refused(errno.EINVAL, os.rename, "a", "a/b/c/x")
refused(errno.EINVAL, os.rename, "a", "a/b")
refused(errno.ENOTEMPTY, os.rename, "a/b/c", "a")
os.rename("a/b", "b")
os.rename("a", "b/c/a")
equal(os.listdir("b/c"), ["a"])
