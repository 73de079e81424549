#!/usr/bin/python3
"""docs/format.md, section 9: where a stream is cut. Checks that every file without holes that lies in DIR has its chunks in STORE,
cut as the page says; the ids are computed from the passphrase alone.

  cuts.py PASSPHRASE-FILE STORE DIR
"""
import hmac
import os
import sys

sys.dont_write_bytecode = True
from access import PASSPHRASE
from conventions import Damage, need
from packs import CHUNKS
from store import Chunks, Store


def cut(table, average, data):
    """The chunks of a stream."""
    minimum, maximum, bits, normal = average // 4, average * 4, average.bit_length() - 1, average // 16 * 13
    start = 0
    while start < len(data):
        length, end = minimum + 1, min(len(data) - start, maximum)
        window = 0
        for byte in data[start + length - 64:start + length - 1]:
            window = 2 * window + table[byte]
        while length < end:
            window = (2 * window + table[data[start + length - 1]]) % (1 << 64)
            if window >> (64 - bits - (2 if length <= normal else -2)) == 0:
                break
            length += 1
        yield data[start:start + min(length, end)]
        start += min(length, end)


def main():
    with open(sys.argv[1], "rb") as file:
        store = Store(sys.argv[2], PASSPHRASE, file.read().rstrip(b"\n"))
    known = set()
    for snapshot in store.snapshots:
        chunks = Chunks(store, snapshot)
        known |= {chunk for pack in chunks.rows for segment in chunks.pack(pack).segments if segment.type == CHUNKS for chunk, _ in segment.chunks}
    total = 0
    for folder, _, names in os.walk(sys.argv[3]):
        for path in (os.path.join(folder, name) for name in names):
            if not os.path.isfile(path) or os.path.islink(path) or os.stat(path).st_blocks * 512 < os.stat(path).st_size:
                continue
            with open(path, "rb") as file:
                for chunk in cut(store.gear_table, store.chunk_average, file.read()):
                    total += 1
                    need(hmac.digest(store.chunk_id_key, chunk, "sha256") in known, f"{path} is cut in another way")
    print(total, "chunks are cut as the page says")


if __name__ == "__main__":
    try:
        main()
    except (Damage, OSError, ValueError, KeyError) as error:
        sys.exit(f"cuts.py: {error}")
