"""Goal: Processes that race for the same names agree: of several O_EXCL creations, mkdirs and unlinks of one name exactly one succeeds."""
from behaviour import *

def race():
    won = 0
    for i in range(60):
        try:
            os.close(os.open(f"f{i}", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            won += 1
        except FileExistsError:
            pass
        try:
            os.mkdir(f"d{i}")
            won += 1
        except FileExistsError:
            pass
    return won
equal(sum(child.result() for child in [Child(race) for _ in range(4)]), 120)
def remove():
    won = 0
    for i in range(60):
        try:
            os.unlink(f"f{i}")
            won += 1
        except FileNotFoundError:
            pass
        try:
            os.rmdir(f"d{i}")
            won += 1
        except FileNotFoundError:
            pass
    return won
equal(sum(child.result() for child in [Child(remove) for _ in range(4)]), 120)
equal(os.listdir("."), [])
