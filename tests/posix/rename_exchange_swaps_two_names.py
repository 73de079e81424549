"""Goal: RENAME_EXCHANGE swaps files, also a file with a directory that is not empty, in other directories; links are counted right."""
from behaviour import *

os.makedirs("one/dir/below")
os.mkdir("two")
put("two/file", b"text")
numbers = os.stat("one/dir").st_ino, os.stat("two/file").st_ino
renameat2("one/dir", "two/file", RENAME_EXCHANGE)
equal((os.stat("two/file").st_ino, os.stat("one/dir").st_ino), numbers)
equal(get("one/dir"), b"text")
equal(os.listdir("two/file"), ["below"])
equal((os.stat("one").st_nlink, os.stat("two").st_nlink), (2, 3))
equal(os.stat("two/file/..").st_ino, os.stat("two").st_ino)
put("x", b"X")
put("y", b"Y")
renameat2("x", "y", RENAME_EXCHANGE)
equal((get("x"), get("y")), (b"Y", b"X"))
