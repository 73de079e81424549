"""Goal: Root reads and writes whatever the mode says, and executes what somebody may execute."""
from behaviour import *

put("file", b"text")
os.mkdir("d")
os.chmod("file", 0)
os.chmod("d", 0)
equal(get("file"), b"text")
put("d/new")
equal(os.listdir("d"), ["new"])
assert not os.access("file", os.X_OK)
os.chmod("file", 0o001)
assert os.access("file", os.X_OK)
