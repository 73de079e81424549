"""Prints what was measured, row by row."""
from .rows import ROWS

UNITS = {"wall_s": ("wall s", 1), "cpu_s": ("CPU s", 1), "peak_bytes": ("peak MB", 1e6), "own_bytes": ("own MB", 1e6), "bytes": ("MB", 1e6),
         "median_ms": ("median ms", 1), "cold_us": ("cold us", 1), "cold_per_s": ("cold /s", 1), "warm_us": ("warm us", 1), "warm_per_s": ("warm /s", 1)}


def print_table(results):
    for row, title in ROWS.items():
        lines = results.of_row(row)
        if not lines:
            continue
        names = list(dict.fromkeys(name for _, _, figures in lines for name in figures))
        print(f"\n{title:48}" + "".join(f"{UNITS[name][0]:>12}" for name in names))
        for tool, how, figures in lines:
            print(f"  {tool + (', ' + how if how else ''):46}" + "".join(_cell(figures, name) for name in names).rstrip())


def _cell(figures, name):
    return f"{figures[name] / UNITS[name][1]:12.2f}" if name in figures else " " * 12
