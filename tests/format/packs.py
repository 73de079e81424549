"""docs/format.md, section 4: packs."""
import collections
import hashlib
import hmac
import mmap
import os
import struct

import zstandard
from conventions import Fields, hkdf, need, unseal

DATA, CATALOG = 1, 2                      # classes of packs
CHUNKS, OBJECTS, BUNDLES = 1, 2, 3        # types of segments

Segment = collections.namedtuple("Segment", "offset length raw_length type codec chunks")  # chunks: (id, length)


def padme(length):
    exponent = length.bit_length() - 1
    low = (1 << exponent - exponent.bit_length()) - 1
    return (length + low) & ~low


def read_index(fields):
    """The plain index: its segments, each with its chunks."""
    segments, total = fields.u32(), fields.u32()
    rows, counts = [], []
    for _ in range(segments):
        rows.append([fields.u64(), fields.u32(), fields.u32()])
        counts.append(fields.u32())
        rows[-1] += [fields.u8(), fields.u8()]
        fields.zero(2)
    need(sum(counts) == total, "an index counts its chunks wrong")
    return [Segment(*row, [(fields.take(32), fields.u32()) for _ in range(count)]) for row, count in zip(rows, counts)]


class Pack:
    def __init__(self, store, folder, row):
        name = row.hash.hex()
        with open(os.path.join(store.path, folder, name[:2], name), "rb") as file:
            self.data = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        need(hashlib.sha256(self.data).digest() == row.hash, f"{folder}/{name[:2]}/{name} is damaged")
        self.store, self.segments = store, []
        fields = Fields(self.data)
        fields.magic(b"VRVPACK\n")
        pack_class = fields.u8()
        fields.zero(5)
        store_id, _, self.id, epoch = (fields.take(16) for _ in range(4))
        fields.zero(48)
        need((store_id, self.id, pack_class, len(self.data)) == (store.id, row.id, row.pack_class, row.length), "a pack is not the list's")
        need(len(self.data) in (1 << 26, padme(len(self.data))), "a pack's length is not padded")
        key = hkdf(store.epoch_keys[epoch], self.id, b"varve/1 pack" + self.data[:128])
        self.header_key = hkdf(key, b"", b"varve/1 segment header")
        self.body_key = hkdf(key, b"", b"varve/1 segment body")
        self.read_trailer(key)

    def read_trailer(self, key):
        fresh = self.data[-80:-48]
        about = self.store.id + self.id
        trailer = Fields(unseal(hkdf(key, fresh, b"varve/1 trailer"), self.data[-48:], about + b"trailer"))
        offset, length, count, end = trailer.u64(), trailer.u32(), trailer.u32(), trailer.u64()
        trailer.zero(8)
        need(offset + length == len(self.data) - 80 and end <= offset, "a trailer is wrong")
        index = Fields(unseal(hkdf(key, fresh, b"varve/1 index"), self.data[offset:offset + length], about + b"index"))
        self.segments = read_index(index)
        index.end()
        need(len(self.segments) == count, "a trailer counts its segments wrong")
        at = 128
        for segment in self.segments:
            need(segment.offset == at, "segments do not follow each other")
            at += segment.length
        need(at == end, "segments do not end where the trailer says")

    def read_segment(self, ordinal):
        """id -> the bytes of its chunk, of an object: type u8, canonical part, hints; every id is checked."""
        row = self.segments[ordinal]
        sealed = self.data[row.offset:row.offset + row.length]
        nonce = struct.pack("<QI", ordinal, 0)
        about = self.store.id + self.id + struct.pack("<Q", ordinal)
        header = Fields(unseal(self.header_key, sealed[:48], about + b"\1\0", nonce))
        kind, codec = header.u8(), header.u8()
        header.zero(2)
        count, raw_length, body_length, number = header.u32(), header.u32(), header.u32(), header.u64()
        header.zero(8)
        need((kind, codec, count, raw_length) == (row.type, row.codec, len(row.chunks), row.raw_length), "index and segment differ")
        need(number == ordinal and body_length + 64 == row.length, "a segment's header is wrong")
        need(kind in (1, 2, 3) and raw_length <= 4 << 20 and 1 <= count <= 65536, "a segment is over its limits")
        body = unseal(self.body_key, sealed[48:], about + b"\2" + bytes([kind]), nonce)
        lengths = struct.unpack(f"<{count}I", body[:4 * count])
        need(min(lengths) > 0 and sum(lengths) == raw_length, "a segment's chunks are not its length")
        need(list(lengths) == [length for _, length in row.chunks], "index and segment differ in lengths")
        payload = Fields(decode(codec, body[4 * count:], raw_length))
        return dict(self.read_chunk(kind, chunk, payload.take(length)) for chunk, length in row.chunks)

    def read_chunk(self, kind, chunk, data):
        if kind == CHUNKS:
            need(hmac.digest(self.store.chunk_id_key, data, "sha256") == chunk, "a chunk's id is wrong")
            return chunk, data
        fields = Fields(data)
        canonical = fields.take(fields.u32())
        need(hmac.digest(self.store.object_id_key, bytes([kind]) + canonical, "sha256") == chunk, "an object's id is wrong")
        return chunk, (kind, canonical, data[fields.at:])


def decode(codec, payload, raw_length):
    if codec == 0:
        need(len(payload) == raw_length, "a stored payload has another length")
        return payload
    need(codec == 1 and len(payload) <= raw_length, "a payload is no zstd frame that is shorter")
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    decoded = decompressor.decompress(payload)
    need(decompressor.eof and not decompressor.unused_data and len(decoded) == raw_length, "a payload is not one zstd frame")
    return decoded
