"""A tree of many small files, all different, as an archive."""
import tarfile

IN_DIRECTORY = 100


def file_name(number):
    """A hundred files in a directory, a hundred of those in the one above."""
    directory = number // IN_DIRECTORY
    return f"{directory // 100:04}/{directory % 100:02}/{number % IN_DIRECTORY:02}"


def archive_of_files(output, count):
    for number in range(count):
        if number % IN_DIRECTORY == 0:
            above, directory = file_name(number).split("/")[:2]
            if directory == "00":
                output.write(_entry(above, tarfile.DIRTYPE, 0o755))
            output.write(_entry(f"{above}/{directory}", tarfile.DIRTYPE, 0o755))
        output.write(_entry(file_name(number), tarfile.REGTYPE, 0o644, b"file number %d\n" % number * 8))
    output.write(bytes(tarfile.RECORDSIZE))


def _entry(name, kind, mode, content=b""):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size, info.mtime = kind, mode, len(content), 1_700_000_000
    return info.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % tarfile.BLOCKSIZE)
