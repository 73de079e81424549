"""Goal: A directory of ten thousand names finds, lists and removes each."""
from behaviour import *

os.mkdir("d")
for i in range(10_000):
    os.close(os.open(f"d/name {i}", os.O_WRONLY | os.O_CREAT))
equal(len(os.listdir("d")), 10_000)
for i in range(0, 10_000, 3):
    os.unlink(f"d/name {i}")
for i in range(10_000):
    equal(os.path.exists(f"d/name {i}"), i % 3 != 0)
equal(set(os.listdir("d")), {f"name {i}" for i in range(10_000) if i % 3})
