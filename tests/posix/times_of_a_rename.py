"""Goal: rename changes ctime of what moves and of what is replaced or exchanged, and their mtimes not."""
from behaviour import *

put("a")
put("b")
os.link("b", "b2")
before = {name: os.stat(name) for name in ("a", "b2")}
tick()
os.rename("a", "b")
after = {"a": os.stat("b"), "b2": os.stat("b2")}
for name in before:
    assert after[name].st_ctime_ns > before[name].st_ctime_ns, name
    equal(after[name].st_mtime_ns, before[name].st_mtime_ns, name)
before = [os.stat("b"), os.stat("b2")]
tick()
renameat2("b", "b2", RENAME_EXCHANGE)
after = [os.stat("b2"), os.stat("b")]
for old, new in zip(before, after):
    equal(new.st_ino, old.st_ino)
    assert new.st_ctime_ns > old.st_ctime_ns
    equal(new.st_mtime_ns, old.st_mtime_ns)
