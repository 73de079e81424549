"""What history costs: snapshots of few and of many files, and their listing."""
import contextlib
import os
import statistics
import time

from ..file_tree import IN_DIRECTORY, archive_of_files, file_name
from ..measuring import run
from ..scenario import Scenario, Step

ROUNDS = 5
CHANGED_DIRECTORIES, CHANGED_IN_EACH = 10, 10
FEW = CHANGED_DIRECTORIES * IN_DIRECTORY


def history_scenarios(varve):
    """`varve`: a VarveStore. A snapshot's figure is the time that one mkdir takes, the median of five."""
    many = max(FEW, int(1_000_000 * varve.data.scale))
    return [
        Scenario(lambda: _tree_of(varve, FEW), [Step("snapshot/few", "", lambda: _changed(varve, FEW))]),
        Scenario(lambda: _tree_of(varve, many), [
            Step("snapshot/many", "", lambda: _changed(varve, many)),
            Step("snapshot/clean", "", lambda: _unchanged(varve)),
        ]),
        Scenario(lambda: _snapshots_of(varve, max(1, int(10_000 * varve.data.scale))), [
            Step("listing/snapshots", "ls", lambda: _listed(varve, "ls", _snapshots(varve))),
            Step("listing/snapshots", "varve snapshots", lambda: _listed(varve, varve.binaries / "varve", "snapshots", varve.mount.mountpoint)),
        ]),
    ]


@contextlib.contextmanager
def _tree_of(varve, count):
    """A store with a set of `count` files and a snapshot of it."""
    with varve.made():
        varve.target().mkdir()
        with open(varve.target() / ".varve/import.tar", "wb", buffering=1 << 18) as door:
            archive_of_files(door, count)
        varve.finish()
        yield


@contextlib.contextmanager
def _snapshots_of(varve, count):
    with varve.made():
        varve.target().mkdir()
        (varve.target() / "file").write_text("content")
        for number in range(count):
            os.mkdir(_snapshots(varve) / f"{number:05}")
        yield


def _snapshots(varve):
    return varve.target() / ".varve/snapshots"


def _changed(varve, count):
    """Each round writes the same hundred files: ten in each of ten directories, spread over the tree."""
    directories = count // IN_DIRECTORY
    chosen = [directory * directories // CHANGED_DIRECTORIES * IN_DIRECTORY + place * IN_DIRECTORY // CHANGED_IN_EACH
              for directory in range(CHANGED_DIRECTORIES) for place in range(CHANGED_IN_EACH)]
    times = []
    for turn in range(ROUNDS):
        for number in chosen:
            (varve.target() / file_name(number)).write_text(f"changed in round {turn}: {number}\n")
        times.append(_seconds(lambda: os.mkdir(_snapshots(varve) / f"changed{turn}")))
    return _figures(varve, times)


def _unchanged(varve):
    os.mkdir(_snapshots(varve) / "before")
    return _figures(varve, [_seconds(lambda: os.mkdir(_snapshots(varve) / f"unchanged{turn}")) for turn in range(ROUNDS)])


def _listed(varve, *command):
    """Warm: one listing goes before."""
    run(*command)
    return _figures(varve, [_seconds(lambda: run(*command)) for _ in range(ROUNDS)])


def _seconds(action):
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _figures(varve, times):
    return {"median_ms": statistics.median(times) * 1e3, **varve.mount.memory()}
