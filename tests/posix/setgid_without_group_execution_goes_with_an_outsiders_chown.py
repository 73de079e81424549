"""Goal: An owner who is not in the file's group loses setgid even where the group may not execute."""
from behaviour import *

put("file")
os.chown("file", OTHER, 4711)
os.chmod("file", 0o2644)
as_user(lambda: os.chown("file", -1, OTHER))
equal(oct(mode_of("file")), oct(0o644))
