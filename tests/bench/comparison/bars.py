"""The bars: what varve asks of itself, as ratios within one run. docs/performance.md holds the same table in words."""
from collections.abc import Callable
from dataclasses import dataclass

ARCHIVERS = ("restic", "borg")
ALL_ARCHIVERS = ("restic", "borg", "casync")
MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Bar:
    number: int
    what: str
    value: Callable        # of the results; None where something of it was not measured
    limit: float
    unit: str = "x"
    at_least: bool = False
    stretch: bool = False  # hoped for, not asked for

    def met(self, value):
        return value >= self.limit if self.at_least else value <= self.limit


def _against(row, how, others, name="wall_s", their_how=""):
    """varve's figure over the least of the others', all of which must have been measured."""
    def value(results):
        mine = results.get("varve", row, how, name)
        theirs = [results.get(other, row, their_how, name) for other in others]
        return mine / min(theirs) if mine is not None and all(theirs) else None
    return value


def _against_null(row, how):
    return _against(row, how, ("null",), their_how=how)


def _growth(how, others):
    """What the second full added to the store, against what it added to theirs."""
    def added(results, tool, door):
        first, second = (results.get(tool, row, door, "bytes") for row in ("large/stored-first", "large/stored"))
        return None if first is None or second is None else second - first

    def value(results):
        mine, theirs = added(results, "varve", how), [added(results, other, "") for other in others]
        return mine / min(theirs) if mine is not None and all(theirs) else None
    return value


def _figure(row, how, name):
    return lambda results: results.get("varve", row, how, name)


def _of_each_other(row, other_row, name):
    def value(results):
        mine, base = results.get("varve", row, "", name), results.get("varve", other_row, "", name)
        return mine / base if mine is not None and base else None
    return value


def _most_memory(name):
    def value(results):
        peaks = [figures[name] for tool, _, _, figures in results.all() if tool == "varve" and name in figures]
        return max(peaks) / MEBIBYTE if peaks else None
    return value


def _growth_by(how):
    return [
        Bar(3, f"stored growth, {how}: the better of restic, borg", _growth(how, ARCHIVERS), 0.12),
        Bar(3, f"stored growth, {how}: casync", _growth(how, ("casync",)), 0.75),
    ]


def _two_fulls(of_archivers, of_casync, stretch=False):
    return [Bar(9, f"stored, large files, two fulls by cp: {whom}", _against("large/stored", "cp", others, "bytes"), limit, stretch=stretch)
            for whom, others, limit in (("the better of restic, borg", ARCHIVERS, of_archivers), ("casync", ("casync",), of_casync))]


BARS = [
    Bar(1, "first full, large files, cp: restic", _against("large/first", "cp", ("restic",)), 0.45),
    Bar(1, "first full, large files, cp: borg", _against("large/first", "cp", ("borg",)), 0.35),
    Bar(1, "first full, large files, cp: CPU seconds of restic", _against("large/first", "cp", ("restic",), "cpu_s"), 0.8),
    Bar(2, "first full, random bytes, cp: the better of restic, borg", _against("random/first", "cp", ARCHIVERS), 0.25),
    Bar(3, "second full, 2 % changed, cp: restic", _against("large/second", "cp", ("restic",)), 0.2),
    Bar(3, "second full, 2 % changed, cp: borg", _against("large/second", "cp", ("borg",)), 0.15),
    *_growth_by("cp"),
    *_growth_by("rsync"),
    Bar(4, "first full, small files, tar door: the best of restic, borg, casync", _against("small/first", "tar door", ALL_ARCHIVERS), 0.45),
    Bar(4, "first full, small files, cp -a: null FUSE", _against_null("small/first", "cp -a"), 1.15),
    Bar(4, "first full, small files, rsync -a: null FUSE", _against_null("small/first", "rsync -a"), 1.15),
    Bar(4, "first full, small files, cp -a: restic", _against("small/first", "cp -a", ("restic",)), 1.0, stretch=True),
    Bar(5, "unchanged, rsync -a: null FUSE", _against_null("small/unchanged", "rsync -a"), 1.15),
    Bar(5, "unchanged, rsync -a: the better of restic, borg", _against("small/unchanged", "rsync -a", ARCHIVERS), 1.0),
    Bar(5, "unchanged, rsync -a, fresh mount: the better of restic, borg", _against("small/unchanged", "rsync -a, fresh mount", ARCHIVERS), 2.0),
    Bar(6, "read to /dev/null: borg extract --stdout", _against("large/read", "cat", ("borg",)), 0.3),
    Bar(6, "read to /dev/null: restic dump", _against("large/read", "cat", ("restic",)), 0.3),
    Bar(6, "restore over a file that is there: the better of restic, borg", _against("large/in-place", "cat", ARCHIVERS), 0.5),
    Bar(7, "restore, small files, tar door: the best of restic, borg, casync", _against("small/restore", "tar door", ALL_ARCHIVERS), 0.7),
    Bar(7, "restore, small files, cp -a: null FUSE", _against_null("small/restore", "cp -a"), 1.15),
    Bar(8, "random reads a second, cold: restic mount", _against("large/image", "", ("restic",), "cold_per_s"), 20, at_least=True),
    Bar(8, "random reads a second, cold: borg mount", _against("large/image", "", ("borg",), "cold_per_s"), 20, at_least=True),
    Bar(8, "random reads a second, cold: squashfuse", _against("large/image", "", ("squashfuse",), "cold_per_s"), 1, at_least=True),
    Bar(8, "random read, cold median", _figure("large/image", "", "cold_us"), 400, "us"),
    Bar(8, "random read, warm median", _figure("large/image", "", "warm_us"), 60, "us"),
    *_two_fulls(0.61, 0.92),
    *_two_fulls(0.58, 0.87, stretch=True),
    Bar(9, "stored, small files, cp -a: the best of restic, borg, casync", _against("small/stored", "cp -a", ALL_ARCHIVERS, "bytes"), 0.93),
    Bar(10, "snapshot of 1,000,000 files, 100 changed: of 1,000 files", _of_each_other("snapshot/many", "snapshot/few", "median_ms"), 1.5),
    Bar(10, "snapshot with nothing dirty", _figure("snapshot/clean", "", "median_ms"), 50, "ms"),
    Bar(11, "listing of 10,000 snapshots, ls", _figure("listing/snapshots", "ls", "median_ms"), 100, "ms"),
    Bar(11, "listing of 10,000 snapshots, varve snapshots", _figure("listing/snapshots", "varve snapshots", "median_ms"), 100, "ms"),
    Bar(12, "memory: the most that was resident, in all rows", _most_memory("peak_bytes"), 512, "MiB"),
    Bar(12, "memory: the same without what is mapped of files", _most_memory("own_bytes"), 512, "MiB"),
]


def print_bars(results):
    values = [bar.value(results) for bar in BARS]
    numbers = {bar.number for bar, value in zip(BARS, values) if value is not None}
    print(f"\n{'bar':>3}  {'what':72}{'measured':>12}{'asked':>14}")
    for bar, value in zip(BARS, values):
        if bar.number in numbers:
            _print_bar(bar, value)
    missing = sorted({bar.number for bar in BARS} - numbers)
    if missing:
        print(f"nothing was measured of {', '.join(map(str, missing))}")


def _print_bar(bar, value):
    measured = "-" if value is None else f"{value:.4g} {bar.unit}"
    limit = f"{'>=' if bar.at_least else '<='} {bar.limit:g} {bar.unit}"
    verdict = "not measured" if value is None else "met" if bar.met(value) else "missed"
    print(f"{bar.number:3}  {bar.what:72}{measured:>12}{limit:>14}  {verdict}{' (stretch)' if bar.stretch else ''}")
