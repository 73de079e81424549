"""Restoring over a file whose memory is there already.

A restore into a new directory on tmpfs is bound by the kernel handing out fresh memory, which is the same for all and hides the tool. cp and the
tools' own restores truncate or remove what they replace, and so give the memory back first. Therefore each tool writes all files, one after the
other, to its standard output, and that is one file on tmpfs that has been written before and is not truncated.
"""
import contextlib
import os
import sys

from .measuring import bytes_in, shell


@contextlib.contextmanager
def written_before(place, source):
    """A file to be standard output, big enough for the bytes of directory `source` and what frames them in an archive."""
    path, wanted = place / "in-place", bytes_in(source)
    shell(f"head -c {wanted + (1 << 20)} /dev/zero >{path}")
    with open(path, "r+b", buffering=0) as file:
        yield file
        arrived = os.lseek(file.fileno(), 0, os.SEEK_CUR)
    path.unlink()
    if arrived < wanted:
        sys.exit(f"bench: {arrived} bytes were restored where {wanted} were saved")
