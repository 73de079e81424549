"""Goal: Setgid of a file that its group may not execute stays when root changes the owner."""
from behaviour import *

put("file")
os.chmod("file", 0o2644)
os.chown("file", OTHER, -1)
equal(oct(mode_of("file")), oct(0o2644))
