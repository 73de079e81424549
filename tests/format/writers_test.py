#!/usr/bin/python3
"""Goal: STORE keeps what docs/format.md asks of writers, also where a reader would not notice: padding, an index that says what the
segments say, bundles that say what the indexes say, bases that say what the snapshots say, lists that name all that a snapshot needs, link
counts. And every file without holes in DIR, where one is given, has its chunks in STORE, cut as section 9 says.

  writers_test.py PASSPHRASE-FILE STORE [DIR]
"""
import collections
import hmac
import os
import struct
import sys

from reader import rescue

need = rescue.need


# The chunkers of section 9: the longest chunk in averages, bits of normalisation, the normal point in sixteenths of the average.
CHUNKERS = {"gear-nc1": (2, 1, 8), "gear-nc2": (4, 2, 13)}


# ---- Sections 2, 4 and 6.

def check_store_json(fields):
    chunker, average = fields["chunker"], fields["chunker"]["average"]
    need(chunker["algorithm"] in CHUNKERS and average >> 10 in (16, 32, 64, 128) and average % 1024 == 0, "the chunker is unknown")
    need(chunker["minimum"] == average // 4 and chunker["maximum"] == average * CHUNKERS[chunker["algorithm"]][0], "the chunker's sizes are wrong")


def padme(length):
    exponent = length.bit_length() - 1
    low = (1 << exponent - exponent.bit_length()) - 1
    return (length + low) & ~low


def check_pack(store, row):
    """The pack's index, and the bundles that are in it: (segments, chunks' table, hash -> bundle)"""
    need(store.is_here(row), "a listed pack is missing or has another length")
    need(row.length in (1 << 26, padme(row.length)), "a pack's length is not padded")
    pack, bundles = rescue.Pack(store, row), {}
    segments, table = pack.load()
    need(not store.faults, f"a pack is damaged: {store.faults}")
    need(segments == list(pack.walk()), "the index and the segments' headers differ")
    chunks = struct.iter_unpack("<32sI", table)
    for ordinal, segment in enumerate(segments):
        _, lengths = pack.open_segment(segment, ordinal)
        _, found = pack.read_segment(ordinal)
        expected = [next(chunks) for _ in range(segment.chunk_count)]
        need([length for _, length in expected] == list(lengths), "the index and a segment differ in lengths")
        need(list(dict.fromkeys(chunk for chunk, _ in expected)) == list(found), "the index and a segment differ in ids")
        if segment.type == rescue.BUNDLES:
            for canonical, hints in found.values():
                need(hints == b"\0", "a bundle has hints")
                pack_hash, length, header, index = rescue.read_bundle(canonical)
                bundles[pack_hash] = (length, header, rescue.read_index(rescue.Fields(index)))
    return segments, table, bundles


def check_packs(store):
    bundles, indexes = {}, {}
    for row in store.all_rows():
        segments, table, found = check_pack(store, row)
        indexes[row.hash] = (row.length, rescue.Pack(store, row).read(0, rescue.HEADER_BYTES), (segments, table))
        bundles.update(found)
    for pack_hash, bundle in bundles.items():
        need(pack_hash not in indexes or indexes[pack_hash] == bundle, "a bundle is not its pack's")
    return {row.hash: {chunk for chunk, _ in rescue.Pack(store, row).chunk_ids()} for row in store.all_rows()}, len(bundles)


def check_bases(store):
    """What a base repeats of a snapshot is what the snapshot says."""
    said = {one.hash: (one.hash, one.writer, one.sequence, one.time, one.set_id, one.snapshot_class, one.list, one.set_name, one.name)
            for one in store.snapshots}
    headers = [header for record in store.records.values() for header in record.headers]
    for header in headers:
        need(said.get(header[0], header) == header, "a base differs from a snapshot")
    return len(headers)


# ---- Section 5.

def refuse(key, count, damage):
    raise damage


class SnapshotCheck:
    """Walks all trees of a snapshot, whose chunks must be in the packs that its own list names."""

    def __init__(self, store, snapshot, ids_of_packs):
        self.trees = rescue.Trees(rescue.Chunks(store, snapshot))
        self.ids = set().union(*(ids_of_packs[row.hash] for row in store.rows_of(snapshot)))
        for tree in snapshot.trees:
            self.names, counts = collections.Counter(), {}
            self.check_directory(tree.top)
            for key, fields, hints in self.trees.walk(rescue.LINKS, tree.links, refuse) if tree.links else ():
                kind, counts[struct.unpack(">Q", key)[0]] = fields.u8(), fields.varint()
                self.check_inode(rescue.Inode(fields, kind, hints))
            need(self.names == counts, "a link count is not the number of names")

    def check_reference(self, reference):
        need(reference.id in self.ids, "a chunk is in none of the packs that the snapshot's list names")

    def check_directory(self, inode):
        if inode.root:
            self.check_reference(inode.root)
            for _, kind, number, child in self.trees.directory(inode.root, refuse):
                need(2 <= number < 1 << 40, "a number that no file has")
                if child is None:
                    self.names[number] += 1
                elif kind == rescue.FOLDER:
                    self.check_directory(child)
                else:
                    self.check_inode(child)

    def check_inode(self, inode):
        if inode.root:
            self.check_reference(inode.root)
        covered = 0
        for extent in self.trees.extents(inode, refuse):
            self.check_reference(extent.chunk)
            covered += extent.length
        need(not inode.root or covered == inode.covered, "extents cover another number of bytes")


# ---- Section 9.

def cut(table, chunker, data):
    """The chunks of a stream."""
    average, (_, normalisation, sixteenths) = chunker["average"], CHUNKERS[chunker["algorithm"]]
    minimum, maximum, bits, normal = chunker["minimum"], chunker["maximum"], average.bit_length() - 1, average // 16 * sixteenths
    start = 0
    while start < len(data):
        length, end = minimum + 1, min(len(data) - start, maximum)
        window = 0
        for byte in data[start + length - 64:start + length - 1]:
            window = 2 * window + table[byte]
        while length < end:
            window = (2 * window + table[data[start + length - 1]]) % (1 << 64)
            if window >> (64 - bits - (normalisation if length <= normal else -normalisation)) == 0:
                break
            length += 1
        yield data[start:start + min(length, end)]
        start += min(length, end)


def check_cuts(store, known, directory):
    table = struct.unpack("<256Q", rescue.hkdf(store.dedup_secret, store.id, b"varve/1 gear", 2048))
    total = 0
    for folder, _, names in os.walk(directory):
        for path in (os.path.join(folder, name) for name in names):
            if not os.path.isfile(path) or os.path.islink(path) or os.stat(path).st_blocks * 512 < os.stat(path).st_size:
                continue
            with open(path, "rb") as file:
                for chunk in cut(table, store.fields["chunker"], file.read()):
                    total += 1
                    need(hmac.digest(store.chunk_id_key, chunk, "sha256") in known, f"{path} is cut in another way")
    need(total, f"no file in {directory}")
    return total


def main(passphrase_file, path, directory=None):
    store = rescue.Store(path, rescue.PASSPHRASE, rescue.read_secret_file(passphrase_file).removesuffix(b"\n"))
    need(not store.passed_over, "a file is damaged")
    check_store_json(store.fields)
    ids_of_packs, bundles = check_packs(store)
    print(f"{len(ids_of_packs)} packs, {bundles} bundles and {check_bases(store)} snapshots' headers in bases are as the page says")
    for snapshot in store.snapshots:
        SnapshotCheck(store, snapshot, ids_of_packs)
    print(f"{len(store.snapshots)} snapshots are as the page says")
    if directory:
        print(check_cuts(store, set().union(*ids_of_packs.values()), directory), "chunks are cut as the page says")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (rescue.Damage, rescue.Refusal, OSError, ValueError, KeyError) as error:
        sys.exit(f"writers_test.py: {error}")
