"""Goal: chown clears setuid and setgid of an executable file, by root too, but neither of a directory."""
from behaviour import *

put("file")
os.chmod("file", 0o6755)
os.chown("file", OTHER, OTHER)
equal(oct(mode_of("file")), oct(0o755))
os.chmod("file", 0o6755)
os.chown("file", -1, THIRD)
equal(oct(mode_of("file")), oct(0o755))
os.mkdir("directory")
os.chmod("directory", 0o7755)
os.chown("directory", OTHER, OTHER)
equal(oct(mode_of("directory")), oct(0o7755))
