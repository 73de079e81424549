#!/usr/bin/python3
"""Goal: whatever one file of STORE is damaged, varve-rescue restores nothing wrong, loses nothing without naming it, and comes to an end of
its own with an exit code that says which it was.

  damage_test.py PASSPHRASE-FILE STORE SNAPSHOT DIR COUNT      (a scratch directory that does not exist yet; COUNT damages)

VARVE_SEED=N replays.
"""
import contextlib
import functools
import hashlib
import io
import os
import random
import re
import shutil
import stat
import sys

from reader import rescue

WAYS = ("flip", "cut", "zero", "gone", "swap", "grow")
NAMED = re.compile(r"^varve-rescue: (not restored|restored in part): (.*?)(?: \((.*?)\))?: ", re.MULTILINE)


def entries(directory):
    """path, as messages show it -> what must come back"""
    found = {}
    for folder, folders, files in os.walk(os.fsencode(directory)):
        for path in (os.path.join(folder, name) for name in folders + files):
            status, content = os.lstat(path), b""
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read(1 << 22)).digest()  # Beyond that the golden tree has holes mostly.
            elif stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
            found[rescue.shown(os.path.relpath(path, os.fsencode(directory)))] = (status.st_mode, status.st_uid, status.st_mtime_ns, size, content)
    return found


def damage(rng, data, others):
    way, bad, at = rng.choice(WAYS), bytearray(data), rng.randrange(len(data))
    if way == "flip":
        bad[at] ^= 1 << rng.randrange(8)
    elif way == "cut":
        del bad[at:]
    elif way == "zero":
        bad[at:at + 4096] = bytes(len(bad[at:at + 4096]))
    elif way == "swap":
        with open(rng.choice(others), "rb") as file:
            bad = bytearray(file.read())
    elif way == "grow":
        bad += rng.randbytes(rng.randrange(1, 3000))
    return way, None if way == "gone" else bytes(bad)


class Trial:
    def __init__(self, passphrase_file, store, snapshot, scratch):
        self.secret, self.snapshot, self.store, self.back = passphrase_file, snapshot, os.path.join(scratch, "store"), os.path.join(scratch, "back")
        shutil.copytree(store, self.store)
        code, said = self.restore([])
        assert code == 0 and not NAMED.search(said), said
        self.good = entries(self.back)

    def restore(self, options):
        shutil.rmtree(self.back, ignore_errors=True)
        said, printed = io.StringIO(), io.TextIOWrapper(io.BytesIO())
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(printed):
            code = rescue.main(["--passphrase-file", self.secret, "restore", *options, self.store, self.snapshot, self.back])
        return code, said.getvalue()

    def check(self, options):
        """The damaged store's restore; returns the exit code."""
        code, said = self.restore(options)
        found = entries(self.back) if os.path.isdir(self.back) else {}
        named = {what: {match[1] for match in NAMED.findall(said) if match[0] == what} for what in ("not restored", "restored in part")}
        whole_directories = [match[1] for match in NAMED.findall(said) if match[2]]
        for path, entry in found.items():
            assert entry == self.good.get(path) or path in named["restored in part"], (path, entry, self.good.get(path), said)
        missing = self.good.keys() - found.keys()
        assert code in (0, 3, 5, 6) and (code != 0 or not missing), (code, missing, said)
        if found:  # Otherwise the store or the snapshot did not open at all, which the exit code says.
            for path in missing:
                assert path in named["not restored"] or any(above in (".", path) or path.startswith(above + "/") for above in whole_directories), (path, said)
        return code


def main(passphrase_file, store, snapshot, scratch, count):
    seed = int(os.environ.get("VARVE_SEED", "1"))
    print(f"VARVE_SEED={seed}")
    rng, codes = random.Random(seed), []
    rescue.private_key = functools.lru_cache(None)(rescue.private_key)  # scrypt is slow by intent.
    rescue.Restore.sync = lambda self: None
    rescue.screen.live = False
    trial = Trial(passphrase_file, store, snapshot, scratch)
    files = sorted(os.path.join(folder, name) for folder, _, names in os.walk(trial.store) for name in names)
    packs = [path for path in files if "/packs/" in path or "/catalog/" in path]
    for number in range(int(count)):
        path = rng.choice(packs if number % 2 else files)
        with open(path, "rb") as file:
            data = file.read()
        way, bad = damage(rng, data, files)
        os.unlink(path)
        if bad is not None:
            with open(path, "wb") as file:
                file.write(bad)
        try:
            codes.append(trial.check(["--partial"] if rng.random() < 0.3 else []))
        except BaseException:
            print(f"damage {number} of seed {seed}: {way} {os.path.relpath(path, trial.store)}", file=sys.stderr)
            raise
        with open(path, "wb") as file:
            file.write(data)
    print(f"{len(codes)} damages: {codes.count(0)} cost nothing, {codes.count(5)} a part, {len(codes) - codes.count(0) - codes.count(5)} the snapshot")


if __name__ == "__main__":
    main(*sys.argv[1:])
