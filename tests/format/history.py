"""docs/format.md, section 6: history."""
import collections
import time

from conventions import Fields, check_signature, hkdf, need, unseal
from trees import FOLDER, Inode

LIST, SNAPSHOT, RECORD = 1, 2, 3          # kinds of envelopes
DROP, FORGET, LOCK, BASE, UNDROP = 1, 2, 3, 8, 9

Row = collections.namedtuple("Row", "hash id length pack_class")
Tree = collections.namedtuple("Tree", "set_id set_name links top")


class Envelope:
    def __init__(self, store, kind, name, data):
        fields, self.hash = Fields(data), name
        fields.magic(b"VRVHIST\n")
        need(fields.u8() == kind, "an envelope lies in another kind's folder")
        fields.zero(5)
        store_id, self.writer, epoch = (fields.take(16) for _ in range(3))
        need(store_id == store.id and epoch in store.epoch_keys, "an envelope is another store's")
        check_signature(store.public_keys[epoch], data)
        self.sequence, self.previous, self.time, fresh = fields.u64(), fields.take(32), fields.i64(), fields.take(32)
        readable, sealed = fields.u32(), fields.u32()
        self.readable, before, sealed = Fields(fields.take(readable)), data[:fields.at], fields.take(sealed)
        fields.take(64)
        fields.end()
        key = hkdf(store.epoch_keys[epoch], fresh, b"varve/1 history")
        self.sealed = Fields(unseal(key, sealed, before) if sealed else b"")


def read_hint(fields):
    have = fields.u8()
    need(have <= 1, "a hint has an unknown form")
    return (fields.take(16), fields.u32()) if have else None


def read_tree(fields):
    set_id, name, _ = fields.take(16), fields.blob(), fields.varint()
    form = fields.u8()
    need(form <= 1, "a link table has an unknown form")
    links = fields.take(32) if form else None
    links_hint = read_hint(fields)
    top = Inode(fields, FOLDER, iter([None]))  # Its hint comes behind it here.
    top_hint = read_hint(fields)
    if top.root:
        top.root = (top.root[0], top_hint)
    return Tree(set_id, name, (links, links_hint) if form else None, top)


class Snapshot:
    def __init__(self, envelope):
        self.hash, self.time, self.writer, self.sequence = envelope.hash, envelope.time, envelope.writer, envelope.sequence
        fields = envelope.readable
        self.set_id, self.snapshot_class = fields.take(16), fields.u8()
        fields.zero(7)
        self.list = fields.take(32)
        fields.end()
        self.name = envelope.sealed.blob()
        self.trees = [read_tree(envelope.sealed) for _ in range(envelope.sealed.varint())]
        envelope.sealed.end()
        need(self.snapshot_class in (1, 2, 3) and self.trees, "a snapshot's class is unknown, or it has no tree")
        ids = [tree.set_id for tree in self.trees]
        if any(self.set_id):
            need(ids == [self.set_id], "a set's snapshot has other trees")
        else:
            need(ids == sorted(set(ids)) and not any(ids[0]) and not self.trees[0].set_name, "a whole mount's trees are out of order")

        self.set_name = self.trees[0].set_name if any(self.set_id) else b""

    def header(self):
        """What a base repeats of it."""
        return (self.hash, self.writer, self.sequence, self.time, self.set_id, self.snapshot_class, self.list, self.set_name, self.name)

    def title(self):
        return self.set_name + b"/" + self.name


class List:
    def __init__(self, envelope):
        fields = envelope.readable
        self.kind, self.depth = fields.u8(), fields.u8()
        fields.zero(6)
        self.bases = [fields.take(32) for _ in range(fields.u32())]
        self.rows = []
        for _ in range(fields.u32()):
            self.rows.append(Row(fields.take(32), fields.take(16), fields.u64(), fields.u8()))
            fields.zero(7)
        need(self.kind in (1, 2) and self.depth <= 64, "a list's kind or depth is unknown")
        if self.kind == 2:
            snapshots = [fields.take(32) for _ in range(fields.u32())]
            for _ in self.rows:
                runs = [(fields.u32(), fields.u32()) for _ in range(fields.u16())]
                need(all(first + count <= len(snapshots) for first, count in runs), "a run is of no snapshots")
        fields.end()
        envelope.sealed.end()


class Statements:
    """What the records say: statements as (sequence, writer, type, readable fields), and the snapshots that bases name."""

    def __init__(self, envelopes):
        self.rows, self.headers = [], []
        for envelope in envelopes:
            fields = envelope.readable
            for _ in range(fields.u16()):
                self.read_statement(envelope.sequence, envelope.writer, fields, envelope.sealed)
            fields.end()
            envelope.sealed.end()
        self.rows.sort(key=lambda row: row[:2])

    def read_statement(self, sequence, writer, fields, all_sealed):
        kind = fields.u8()
        fields.zero(3)
        readable_length, sealed_length = fields.u32(), fields.u32()
        readable, sealed = Fields(fields.take(readable_length)), Fields(all_sealed.take(sealed_length))
        need(1 <= kind <= 9, "a statement of an unknown type")
        if kind == BASE:
            self.read_base(readable, sealed)
        else:
            self.rows.append((sequence, writer, kind, readable))

    def read_base(self, fields, sealed):
        for _ in range(fields.u32()):
            fields.take(16 + 8 + 32)
        headers = []
        for _ in range(fields.u32()):
            headers.append((fields.take(32), fields.take(16), fields.u64(), fields.i64(), fields.take(16), fields.u8()))
            fields.zero(7)
            headers[-1] += (fields.take(32),)
        self.headers += [header + (sealed.blob(), sealed.blob()) for header in headers]
        for _ in range(fields.u32()):
            writer, sequence = fields.take(16), fields.u64()
            self.read_statement(sequence, writer, fields, sealed)
        fields.end()
        sealed.end()

    def of(self, *types):
        """(subject, type, what follows the subject), the winning one last."""
        for _, _, kind, fields in self.rows:
            if kind in types:
                fields.at = 0
                yield fields.take(32), kind, fields

    def forgotten(self):
        now = int(time.time())
        locks = {snapshot: fields.i64() for snapshot, _, fields in self.of(LOCK)}
        return {snapshot for snapshot, _, _ in self.of(FORGET) if locks.get(snapshot, now) <= now}

    def dropped_at(self, snapshot):
        """The replicas where it is dropped: others, and this program is none, keep it."""
        last = {fields.take(16): kind for subject, kind, fields in self.of(DROP, UNDROP) if subject == snapshot}
        return sorted(replica for replica, kind in last.items() if kind == DROP)
