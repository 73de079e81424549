#!/usr/bin/env python3
"""Goal: dependencies between the folders go one way, and each C library is included where docs/architecture.md says and nowhere else."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAY_INCLUDE = {
    "dedup/base": {"dedup/base"},
    "dedup": {"dedup", "dedup/base"},
    "catalog": {"catalog", "dedup", "dedup/base"},
    "replicator": {"replicator", "dedup", "dedup/base"},
    "fs": {"fs", "catalog", "replicator", "dedup", "dedup/base"},
    "tools": {"tools", "fs", "catalog", "replicator", "dedup", "dedup/base"},
}
LIBRARIES = {
    r"openssl/": {"dedup/base/checksum.cc", "dedup/base/random.cc", "dedup/base/secret.cc", "dedup/sealer.cc", "dedup/hasher.cc"},
    r"intel-ipsec-mb": {"dedup/hmac_lanes.cc"},
    r"zstd": {"dedup/compressor.cc"},
    r"lmdb\.h": {"dedup/base/lmdb_kv.cc", "dedup/base/lmdb_transactions.h"},
    r"xxhash\.h": {"dedup/base/checksum.cc"},
    r"archive": {"catalog/tar_reader.cc"},
    r"fuse": re.compile(r"fs/(fuse_|daemon)"),
    r"liburing": re.compile(r"fs/fuse_ring"),
    r"libmount": {"fs/mount_table.cc"},
    r"CLI/": re.compile(r"tools/"),
}


def folder(path):
    parts = path.split("/")
    return "dedup/base" if parts[:2] == ["dedup", "base"] else parts[0]


def allowed(library, path):
    where = LIBRARIES[library]
    if isinstance(where, set):
        return path in where or (library == r"openssl/" and re.fullmatch(r"dedup/(keyring|access_\w+|slot\w*|recovery_key)\.cc", path))
    return where.match(path)


def main():
    wrong = []
    for top in MAY_INCLUDE:
        if top == "dedup/base":
            continue
        for file in sorted((ROOT / top).rglob("*.[ch]*")):
            path = file.relative_to(ROOT).as_posix()
            for number, line in enumerate(file.read_text().splitlines(), 1):
                ours = re.match(r'#include "([^"]+)"', line)
                if ours and folder(ours[1]) not in MAY_INCLUDE[folder(path)]:
                    wrong.append(f"{path}:{number}: {folder(path)} must not include {ours[1]}")
                theirs = re.match(r"#include <([^>]+)>", line)
                for library in LIBRARIES:
                    if theirs and re.match(library, theirs[1]) and not allowed(library, path):
                        wrong.append(f"{path}:{number}: {theirs[1]} does not belong here")
    print("\n".join(wrong) or "layers and libraries are where they belong")
    return 1 if wrong else 0


sys.exit(main())
