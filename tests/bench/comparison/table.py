"""Prints figures and ratios."""
from .rows import ROWS

UNITS = {"wall_s": ("wall s", 1), "cpu_s": ("CPU s", 1), "peak_bytes": ("peak MB", 1e6), "bytes": ("MB", 1e6)}


def print_table(results):
    for row, title in ROWS.items():
        lines = results.of_row(row)
        if not lines:
            continue
        names = list(lines[0][2])
        print(f"\n{title:48}" + "".join(f"{UNITS[name][0]:>12}" for name in names))
        for tool, how, figures in lines:
            print(f"  {tool + (', ' + how if how else ''):46}" + "".join(f"{figures[name] / UNITS[name][1]:12.2f}" for name in names))


ARCHIVERS = ("restic", "borg")
RATIOS = [  # row, varve's door, against whom, bar
    ("large/first", "cp", ARCHIVERS, 1.5),
    ("large/first", "rsync", ARCHIVERS, 1.5),
    ("large/second", "cp", ARCHIVERS, 1.5),
    ("large/second", "rsync", ARCHIVERS, 1.5),
    ("large/restore", "cp", ARCHIVERS, 1.5),
    ("large/restore", "varve restore", ARCHIVERS, 1.5),
    ("large/stored", "cp", ARCHIVERS, 0.65),
    ("large/stored", "rsync", ARCHIVERS, 0.65),
    ("small/restore", "cp -a", ("null",), 1.5),
    ("small/restore", "varve restore", ARCHIVERS, 1.5),
    ("small/restore", "tar door", ARCHIVERS, 0.7),
    ("small/unchanged", "rsync -a", ARCHIVERS, 1.5),
    ("small/stored", "cp -a", ARCHIVERS, 1.5),
    ("small/first", "tar door", ARCHIVERS, 0.45),
    ("small/first", "cp -a", ("null",), 1.5),
    ("small/first", "rsync -a", ("null",), 1.5),
    ("small/first", "tar", ("null",), 1.5),
]


def print_ratios(results):
    print(f"\n{'varve':48}{'against':>24}{'ratio':>8}{'bar':>8}")
    for row, how, others, bar in RATIOS:
        name = "bytes" if row.endswith("stored") else "wall_s"
        mine = results.get("varve", row, how, name)
        theirs = [value for other in others if (value := results.get(other, row, how if other == "null" else "", name))]
        if mine and theirs:
            ratio = mine / min(theirs)
            print(f"{ROWS[row] + ', ' + how:48}{'the best of ' + ', '.join(others):>24}{ratio:8.2f}{bar:8.2f}"
                  f"{'' if ratio <= bar else '   above the bar'}")
