#!/usr/bin/python3
"""Reads varve stores. Written from docs/format.md alone, to prove that the page is complete: this folder shares nothing with
varve's sources, and its files are the page's sections. It checks every name, signature, seal and chunk id on its way.

  read_store.py --passphrase-file FILE list STORE
  read_store.py --passphrase-file FILE restore STORE SET/NAME DIR      (/NAME: a snapshot of the whole mount)

--key-file FILE and --recovery-key-file FILE open a store too.
"""
import argparse
import collections
import os
import stat
import sys

sys.dont_write_bytecode = True
from access import KEY_FILE, PASSPHRASE, RECOVERY_KEY, recovery_key
from conventions import Damage, need
from store import Chunks, Store
from trees import BLOCK, CHARACTER, FIFO, FILE, FOLDER, SOCKET, SYMLINK, read_links, walk_directory, walk_extents


class Restore:
    def __init__(self, store, snapshot):
        self.chunks, self.snapshot, self.links, self.placed = Chunks(store, snapshot), snapshot, {}, {}

    def run(self, directory):
        first = self.snapshot.trees[0]
        os.makedirs(directory, exist_ok=True)
        for tree in self.snapshot.trees[1:]:
            os.mkdir(os.path.join(directory, tree.set_name))
            self.restore_tree(tree, os.path.join(directory, tree.set_name))
        self.restore_tree(first, directory)

    def restore_tree(self, tree, path):
        self.links, self.placed = read_links(self.chunks, tree.links), collections.defaultdict(list)
        self.fill_directory(tree.top, path)
        for number, (count, _) in self.links.items():
            need(count == len(self.placed[number]), "a link count is not the number of names")

    def fill_directory(self, inode, path):
        for name, kind, number, child in walk_directory(self.chunks, inode.root) if inode.root else ():
            place = os.path.join(path, name)
            if child is None:
                need(number in self.links, "a file is not in the link table")
                child = self.links[number][1]
                self.placed[number].append(place)
                if len(self.placed[number]) > 1:
                    os.link(self.placed[number][0], place, follow_symlinks=False)
                    continue
            need(child.type == kind, "an entry and its inode differ in type")
            self.place(child, place)
        set_attributes(inode, path)

    def place(self, inode, path):
        if inode.type == FOLDER:
            os.mkdir(path, 0o700)
            self.fill_directory(inode, path)
            return
        if inode.type == FILE:
            self.write_file(inode, path)
        elif inode.type == SYMLINK:
            os.symlink(inode.target, path)
        else:
            form = {FIFO: stat.S_IFIFO, SOCKET: stat.S_IFSOCK, CHARACTER: stat.S_IFCHR, BLOCK: stat.S_IFBLK}[inode.type]
            os.mknod(path, form | 0o600, inode.device)
        set_attributes(inode, path)

    def write_file(self, inode, path):
        with open(path, "xb", buffering=0) as file:
            covered = 0
            for offset, length, chunk, start, hint in walk_extents(self.chunks, inode):
                data = self.chunks.find(chunk, hint)
                need(offset >= covered and 1 <= length <= len(data) - start, "an extent is wrong")
                covered = offset + length
                need(covered <= inode.size, "an extent is beyond the end of its file")
                os.pwrite(file.fileno(), data[start:start + length], offset)
            os.ftruncate(file.fileno(), inode.size)


def set_attributes(inode, path):
    if os.geteuid() == 0:
        os.chown(path, inode.uid, inode.gid, follow_symlinks=False)
    if inode.type != SYMLINK:
        os.chmod(path, inode.mode)
    for name, value in inode.xattrs:
        os.setxattr(path, name, value, follow_symlinks=False)
    os.utime(path, ns=(inode.atime, inode.mtime), follow_symlinks=False)


def read_secret(options):
    """(type of the slots that it opens, the secret)"""
    with open(options.passphrase_file or options.key_file or options.recovery_key_file, "rb") as file:
        data = file.read()
    if options.passphrase_file:
        return PASSPHRASE, data[:-1] if data.endswith(b"\n") else data
    return (KEY_FILE, data) if options.key_file else (RECOVERY_KEY, recovery_key(data.decode()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    secrets = parser.add_mutually_exclusive_group(required=True)
    for name in ("--passphrase-file", "--key-file", "--recovery-key-file"):
        secrets.add_argument(name)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list").add_argument("store")
    restore = commands.add_parser("restore")
    for name in ("store", "snapshot", "directory"):
        restore.add_argument(name)
    options = parser.parse_args()
    store = Store(options.store, *read_secret(options))
    if options.command == "list":
        for snapshot in store.snapshots:
            kind = ("set", "mount", "checkpoint")[snapshot.snapshot_class - 1]
            dropped = ["(dropped at " + replica.hex() + ")" for replica in store.statements.dropped_at(snapshot.hash)]
            print(snapshot.hash.hex(), snapshot.time, kind, os.fsdecode(snapshot.title()), *dropped)
        return
    found = [one for one in store.snapshots if one.title() == os.fsencode(options.snapshot) and one.snapshot_class != 3]
    need(found, f"there is no snapshot {options.snapshot}")
    Restore(store, found[0]).run(os.fsencode(options.directory))


if __name__ == "__main__":
    try:
        main()
    except (Damage, OSError, ValueError, KeyError) as error:
        sys.exit(f"read_store.py: {error}")
