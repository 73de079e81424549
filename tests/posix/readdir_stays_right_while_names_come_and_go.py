"""Goal: Names that stay are listed exactly once while others are created, removed and renamed during the listing."""
from behaviour import *

os.mkdir("d")
for i in range(600):
    put(f"d/stays{i}", b"")
    put(f"d/goes{i}", b"")
seen = []
with os.scandir("d") as entries:
    for number, entry in enumerate(entries):
        seen.append(entry.name)
        if number < 600 and number % 2 == 0:
            os.unlink(f"d/goes{number}")
            put(f"d/comes{number}", b"")
        elif number < 600:
            os.rename(f"d/goes{number}", f"d/renamed{number}")
equal(len(seen), len(set(seen)))
equal({name for name in seen if name.startswith("stays")}, {f"stays{i}" for i in range(600)})
