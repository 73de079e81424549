"""Goal: chmod keeps the sticky bit of files that root sets, and of directories for everybody."""
from behaviour import *

put("file")
os.chmod("file", 0o1644)
equal(oct(mode_of("file")), oct(0o1644))
os.chmod(".", EVERYONE)
def user():
    os.mkdir("directory")
    os.chmod("directory", 0o1755)
as_user(user)
equal(oct(mode_of("directory")), oct(0o1755))
