"""Goal: What moves is the same file afterwards: number, content, attributes; a directory keeps all below."""
from behaviour import *

os.makedirs("a/b/c")
put("a/b/c/file", b"text")
os.mkdir("z")
numbers = [os.stat(path).st_ino for path in ("a/b", "a/b/c", "a/b/c/file")]
os.rename("a/b", "z/y")
equal([os.stat(path).st_ino for path in ("z/y", "z/y/c", "z/y/c/file")], numbers)
equal(get("z/y/c/file"), b"text")
