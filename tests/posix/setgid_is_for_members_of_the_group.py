"""Goal: chmod by an owner who is not in the file's group drops setgid silently; a member keeps it."""
from behaviour import *

put("file")
os.chown("file", OTHER, 4711)
as_user(lambda: os.chmod("file", 0o2755))
equal(oct(mode_of("file")), oct(0o755))
as_user(lambda: os.chmod("file", 0o2755), groups=[4711])
equal(oct(mode_of("file")), oct(0o2755))
os.mkdir("directory")
os.chown("directory", OTHER, 4711)
as_user(lambda: os.chmod("directory", 0o2755))
equal(oct(mode_of("directory")), oct(0o755))
