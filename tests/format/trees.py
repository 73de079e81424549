"""docs/format.md, section 5: tree objects."""
import os
import struct

from conventions import Fields, need, zigzag_time
from packs import OBJECTS

DIRECTORY, EXTENTS, LINKS = 1, 2, 3       # kinds of trees
FILE, FOLDER, SYMLINK, FIFO, SOCKET, CHARACTER, BLOCK = range(1, 8)

class Inode:
    def __init__(self, fields, kind, hints):
        self.type, self.extents, self.root, self.size, self.target, self.device = kind, [], None, 0, b"", 0
        self.mode, self.uid, self.gid = fields.varint(), fields.varint(), fields.varint()
        need(self.mode <= 0o7777, "a mode has more than permissions")
        self.atime, self.mtime, self.ctime, self.btime = (zigzag_time(fields) for _ in range(4))
        self.xattrs = [(fields.blob(), fields.blob()) for _ in range(fields.varint())]
        names = [name for name, _ in self.xattrs]
        need(names == sorted(set(names)), "xattrs are not in order")
        if kind == FILE:
            self.read_file(fields, hints)
        elif kind == FOLDER:
            form = fields.u8()
            need(form <= 1, "a directory has an unknown form")
            self.root = (fields.take(32), next(hints)) if form else None
        elif kind == SYMLINK:
            self.target = fields.blob()
        elif kind in (CHARACTER, BLOCK):
            self.device = os.makedev(fields.varint(), fields.varint())
        else:
            need(kind in (FIFO, SOCKET), "an unknown type")

    def read_file(self, fields, hints):
        self.size, form = fields.varint(), fields.u8()
        need(form <= 1, "a file has an unknown form")
        if form == 0:
            self.extents = [read_extent(fields.varint(), fields, hints) for _ in range(fields.varint())]
        else:
            self.covered = fields.varint()
            self.root = (fields.take(32), next(hints))


def read_extent(offset, fields, hints):
    length = fields.varint()
    return offset, length, fields.take(32), fields.varint(), next(hints)


def read_hints(data):
    fields = Fields(data)
    packs = [fields.take(16) for _ in range(fields.varint())]
    while fields.at < len(data):
        number = fields.varint()
        need(number <= len(packs), "a hint names no pack")
        yield (packs[number - 1], fields.varint()) if number else None


def walk_tree(chunks, kind, root, level=None):
    """The records of a tree in order: (key, fields of the value, the hints of its ids)."""
    object_id, hint = root
    (segment_type, canonical, hint_bytes), previous = chunks.find(object_id, hint), b""
    need(segment_type == OBJECTS and 4 + len(canonical) + len(hint_bytes) <= 1 << 20, "an object is none of a tree")
    fields, hints = Fields(canonical), read_hints(hint_bytes)
    need(fields.u8() == kind, "an object is of another kind")
    this_level, count = fields.u8(), fields.varint()
    need(this_level <= 16 and level in (None, this_level) and count >= 1, "an object's level or count is wrong")
    for number in range(count):
        key = fields.blob()
        need(number == 0 or key > previous, "keys are not ascending")
        previous = key
        if this_level == 0:
            value = Fields(fields.blob())
            yield key, value, hints
            value.end()
            continue
        child, below, first = (fields.take(32), next(hints)), fields.varint(), True
        for record in walk_tree(chunks, kind, child, this_level - 1):
            need(not first or record[0] == key, "a child's first key is another one")
            first, below = False, below - 1
            yield record
        need(below == 0, "a child has another number of records")
    fields.end()
    need(next(hints, "end") == "end", "an object has too many hints")


def walk_directory(chunks, root):
    """(name, type, number, inode or None where it is in the link table)"""
    for name, fields, hints in walk_tree(chunks, DIRECTORY, root):
        need(1 <= len(name) <= 255 and b"/" not in name and b"\0" not in name and name not in (b".", b".."), "a name is not allowed")
        kind, number, linked = fields.u8(), fields.varint(), fields.u8()
        need(linked <= 1, "linked is neither 0 nor 1")
        yield name, kind, number, None if linked else Inode(fields, kind, hints)


def walk_extents(chunks, inode):
    if not inode.root:
        yield from inode.extents
        return
    for key, fields, hints in walk_tree(chunks, EXTENTS, inode.root):
        extent = read_extent(struct.unpack(">Q", key)[0], fields, hints)
        inode.covered -= extent[1]
        yield extent
    need(inode.covered == 0, "extents cover another number of bytes")


def read_links(chunks, root):
    """number -> (link count, inode)"""
    links = {}
    for key, fields, hints in walk_tree(chunks, LINKS, root) if root else ():
        kind, count = fields.u8(), fields.varint()
        links[struct.unpack(">Q", key)[0]] = (count, Inode(fields, kind, hints))
    return links
