"""Reads of 4 KiB at random places of a disk image that a mount shows."""
import os
import random
import statistics
import sys
import time

PAGE = 4096
PLACES = 400  # so that what lies around them, decoded, fits into 128 MiB


def image(data):
    return data.folder("changed") / "disk.img"


def random_reads(path, data, mount):
    """Of the changed disk image, which is at `path` in `mount`, a Mount that is fresh.

    Cold: each place once, after a fresh mount. Warm: the page beside each, in another order, so that the server has what it needs and the
    kernel's page cache has not. What is read must be what the source has there.
    """
    rng, source = random.Random(4096), image(data)
    places = _places(source, max(20, int(PLACES * data.scale)), rng)
    with open(path, "rb", buffering=0) as file, open(source, "rb", buffering=0) as original:
        cold = _read(file, original, places)
        rng.shuffle(places)
        warm = _read(file, original, [place + PAGE for place in places])
    return {"cold_us": statistics.median(cold) * 1e6, "cold_per_s": len(cold) / sum(cold),
            "warm_us": statistics.median(warm) * 1e6, "warm_per_s": len(warm) / sum(warm), **mount.memory()}


def _places(source, count, rng):
    """Multiples of two pages, neither of which is empty: where nothing is stored, nothing has to be read."""
    found = set()
    with open(source, "rb", buffering=0) as file:
        pairs = os.path.getsize(source) // (2 * PAGE)
        for pair in rng.sample(range(pairs), pairs):
            data = os.pread(file.fileno(), 2 * PAGE, pair * 2 * PAGE)
            if any(data[:PAGE]) and any(data[PAGE:]):
                found.add(pair * 2 * PAGE)
                if len(found) == count:
                    break
    places = sorted(found)
    rng.shuffle(places)
    return places


def _read(file, original, places):
    """Seconds of each read."""
    times, wrong = [], []
    for place in places:
        started = time.perf_counter()
        data = os.pread(file.fileno(), PAGE, place)
        times.append(time.perf_counter() - started)
        if data != os.pread(original.fileno(), PAGE, place):
            wrong.append(place)
    if wrong:
        sys.exit(f"bench: {file.name} differs from {original.name} at {wrong[:5]}")
    return times
