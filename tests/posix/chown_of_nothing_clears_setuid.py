"""Goal: chown to neither another owner nor another group clears setuid and setgid all the same."""
from behaviour import *

put("file")
os.chmod("file", 0o6755)
os.chown("file", -1, -1)
equal(oct(mode_of("file")), oct(0o755))
