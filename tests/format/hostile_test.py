#!/usr/bin/python3
"""Goal: whatever the trees of a snapshot say, varve-rescue writes into its directory only: names that lead out are refused and named, what
stands between them is restored.

  hostile_test.py DIR      (a scratch directory that does not exist yet)
"""
import os
import sys
import types

from reader import rescue

NO_ID, SET = bytes(16), b"s" * 16
LIES = (b"", b".", b"..", b"../outside", b"/", b"/outside", b"a/b", b"nul\0", b"x" * 256)


def varint(value):
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def blob(data):
    return varint(len(data)) + data


class Objects:
    """Stands for the snapshot's chunks: objects by id."""

    def __init__(self):
        self.objects = {}

    def get(self, kind, reference):
        return self.objects[reference.id]

    def ahead(self, reference):
        pass

    def directory(self, *entries):
        """A tree of one object; entries: (name, type, what follows the attributes). Its root's id."""
        hints = varint(0) + b"\0" * sum(entry[1] == rescue.FOLDER and entry[2] != b"\0" for entry in entries)
        records = b"".join(blob(name) + blob(bytes([kind, 7, 0]) + attributes() + rest) for name, kind, rest in entries)
        object_id = b"%032d" % len(self.objects)
        self.objects[object_id] = (bytes([rescue.DIRECTORY, 0]) + varint(len(entries)) + records, hints)
        return object_id


def attributes():
    return varint(0o755) + varint(os.getuid()) + varint(os.getgid()) + b"\0" * 8 + varint(0)


def file_of(size):
    return varint(size) + b"\0" + varint(0)


def restore(scratch, name, objects, root, sets=()):
    """The restored directory, and what was named as failed."""
    trees = [rescue.Tree(NO_ID, b"", None, top(root))] + [rescue.Tree(SET, set_name, None, top(tree)) for set_name, tree in sets]
    snapshot, options = types.SimpleNamespace(trees=trees), types.SimpleNamespace(resume=False, partial=False)
    one = rescue.Restore(types.SimpleNamespace(path=os.path.join(scratch, "store"), all_rows=list), snapshot, options)
    one.trees, failed = rescue.Trees(objects), []
    one.failed = lambda path, error, what=None: failed.append((path, str(error)))
    directory = os.path.join(scratch, "in", name)
    one.run(directory)
    return directory, failed


def top(root):
    inode = rescue.Inode(rescue.Fields(attributes() + b"\1" + root), rescue.FOLDER, rescue.NoHints)
    return inode


def main(scratch):
    outside = os.path.join(scratch, "outside")
    os.makedirs(outside)
    objects = Objects()
    evil = objects.directory((b"evil", rescue.FILE, file_of(0)))
    leads_out = blob(os.fsencode(outside))

    for number, lie in enumerate(LIES):
        for kind, rest in ((rescue.FILE, file_of(0)), (rescue.FOLDER, b"\1" + evil), (rescue.SYMLINK, leads_out), (rescue.FIFO, b"")):
            entries = sorted([(b"before", rescue.FILE, file_of(3)), (lie, kind, rest), (b"zz", rescue.FILE, file_of(3))])
            directory, failed = restore(scratch, f"{number}.{kind}", objects, objects.directory(*entries))
            assert len(failed) == 1 and "not allowed" in failed[0][1], (lie, kind, failed)
            assert sorted(os.listdir(directory)) == ["before", "zz"], (lie, kind, os.listdir(directory))

    twice = objects.directory((b"d", rescue.SYMLINK, leads_out), (b"d", rescue.FOLDER, b"\1" + evil))
    directory, failed = restore(scratch, "twice", objects, twice)
    assert "not ascending" in failed[0][1] and os.path.islink(os.path.join(directory, "d")), failed

    for number, lie in enumerate(LIES):
        directory, failed = restore(scratch, f"set {number}", objects, evil, [(lie, evil)])
        assert len(failed) == 1 and "not allowed" in failed[0][1] and os.listdir(directory) == ["evil"], (lie, failed)

    over_a_set = objects.directory((b"d", rescue.SYMLINK, leads_out))
    directory, failed = restore(scratch, "over a set", objects, over_a_set, [(b"d", evil)])
    assert len(failed) == 1 and not os.path.islink(os.path.join(directory, "d")), failed
    directory, failed = restore(scratch, "two sets", objects, evil, [(b"d", evil), (b"d", evil)])
    assert len(failed) == 1 and "another set" in failed[0][1], failed

    large = [(b"huge", rescue.FILE, file_of((1 << 64) - 1)), (b"ok", rescue.FILE, file_of(1)), (b"zero", rescue.SYMLINK, blob(b"a\0b"))]
    directory, failed = restore(scratch, "large", objects, objects.directory(*large))
    assert [path for path, _ in failed] == [b"huge", b"zero"] and os.listdir(directory) == ["ok"], failed

    deep = evil
    for _ in range(1500):
        deep = objects.directory((b"d", rescue.FOLDER, b"\1" + deep))
    directory, failed = restore(scratch, "deep", objects, deep)
    assert not failed, failed

    assert os.listdir(outside) == [] and sorted(os.listdir(scratch)) == ["in", "outside"], "something was written outside"
    print("nothing was written outside")


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))
