"""docs/format.md, section 8, the first three steps: a store is opened, and chunks are found."""
import collections
import os
import struct
import sys

from access import access
from conventions import Damage, Fields, StoreJson, hkdf, named_files, need
from history import LIST, RECORD, SNAPSHOT, Envelope, List, Snapshot, Statements
from packs import BUNDLES, DATA, Pack, read_index


class Store:
    def __init__(self, path, kind, secret):
        self.path, store_json = path, StoreJson(path)
        self.id = store_json.id
        dedup_secret, self.epoch_keys, self.public_keys = access(path, store_json, kind, secret)
        self.chunk_id_key = hkdf(dedup_secret, self.id, b"varve/1 chunk id")
        self.object_id_key = hkdf(dedup_secret, self.id, b"varve/1 object id")
        self.gear_table = struct.unpack("<256Q", hkdf(dedup_secret, self.id, b"varve/1 gear", 2048))
        self.chunk_average = store_json.chunk_average
        self.lists = {envelope.hash: List(envelope) for envelope in self.envelopes("lists", LIST)}
        self.statements = Statements(self.envelopes("records", RECORD))
        snapshots = {envelope.hash: Snapshot(envelope) for envelope in self.envelopes("snapshots", SNAPSHOT)}
        for header in self.statements.headers:
            need(header[0] not in snapshots or snapshots[header[0]].header() == header, "a base differs from a snapshot")
        forgotten = self.statements.forgotten()
        self.snapshots = sorted((one for one in snapshots.values() if one.hash not in forgotten), key=lambda one: (one.sequence, one.writer))

    def envelopes(self, folder, kind):
        for name, data in named_files(os.path.join(self.path, folder)).items():
            try:
                yield Envelope(self, kind, name, data)
            except Damage as damage:
                print(f"{folder}/{name.hex()} is passed over: {damage}", file=sys.stderr)

    def rows_of(self, list_hash):
        """The packs that a list and, if it was born with a snapshot, its bases name."""
        found, waiting, seen = {}, [list_hash], set()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            need(name in self.lists, f"list {name.hex()} is missing")
            found.update((row.id, row) for row in self.lists[name].rows)
            waiting += self.lists[name].bases if self.lists[name].kind == 1 else []
        return found


class Chunks:
    """Finds chunks in the packs of one snapshot."""

    def __init__(self, store, snapshot):
        self.store, self.rows, self.packs, self.index = store, store.rows_of(snapshot.list), {}, None
        self.decoded = collections.OrderedDict()

    def pack(self, pack_id):
        if pack_id not in self.packs:
            row = self.rows[pack_id]
            self.packs[pack_id] = Pack(self.store, "packs" if row.pack_class == DATA else "catalog", row)
            self.check_bundles(self.packs[pack_id])
        return self.packs[pack_id]

    def check_bundles(self, pack):
        """What a bundle says of a pack that is here must be what the pack says."""
        for ordinal, segment in enumerate(pack.segments):
            for kind, canonical, _ in self.segment(pack.id, ordinal).values() if segment.type == BUNDLES else ():
                fields = Fields(canonical)
                file_hash, _, header = fields.take(32), fields.u64(), fields.take(128)
                segments = read_index(fields)
                fields.end()
                if header[48:64] in self.rows:
                    other = self.pack(header[48:64])
                    need(self.rows[other.id].hash == file_hash and other.segments == segments, "a bundle is not its pack's")

    def segment(self, pack_id, ordinal):
        place = (pack_id, ordinal)
        if place not in self.decoded:
            pack = self.pack(pack_id)
            self.decoded[place] = pack.read_segment(ordinal) if ordinal < len(pack.segments) else {}
            while len(self.decoded) > 16:
                self.decoded.popitem(last=False)
        return self.decoded[place]

    def find(self, chunk, hint):
        if hint and hint[0] in self.rows and chunk in self.segment(*hint):
            return self.segment(*hint)[chunk]
        if self.index is None:
            self.index = {found: (pack_id, ordinal) for pack_id in self.rows for ordinal, segment in enumerate(self.pack(pack_id).segments)
                          for found, _ in segment.chunks}
        need(chunk in self.index, f"chunk {chunk.hex()} is in none of the snapshot's packs")
        return self.segment(*self.index[chunk])[chunk]
