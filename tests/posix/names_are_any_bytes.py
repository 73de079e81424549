"""Goal: Names hold every byte but "/" and NUL, up to 255 bytes, and are not folded or normalised."""
from behaviour import *

names = [bytes([i]) for i in range(1, 256) if i not in (ord("/"), ord("."))]
names += [b"n" * 255, b"\xff" * 255, "\u00e4".encode(), "a\u0308".encode(), b"A", b" ", b"...", b".hidden", b"-rf", b"new\nline"]
names = list(dict.fromkeys(names))
for name in names:
    put(name, name)
for name in names:
    equal(get(name), name)
equal(sorted(os.listdir(b".")), sorted(names))
for name in names:
    os.rename(name, name + b"2" if len(name) < 255 else name)
equal(len(os.listdir(b".")), len(names))
