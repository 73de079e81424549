"""Runs behaviours on varve and on ext4 and compares with the list of differences: compare.py VARVE EXT4 DOCUMENT [NAME...]"""

import os
import pathlib
import re
import signal
import sys
import traceback

import behaviour

SECONDS_MAX = 120
here = pathlib.Path(__file__).parent


def listed_differences(document):
    """Rows of the document's table of differences: | `name` | reason |"""
    section = document.read_text().split("## Differences", 1)[1].split("\n## ", 1)[0]
    return {match[1] for match in re.finditer(r"^\| `(\w+)` \| \S", section, re.MULTILINE)}


def say_why(path, error):
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    text = str(error) or type(error).__name__
    return f"line {lines[-1] if lines else '?'}: {text if isinstance(error, AssertionError) else repr(error)}"


def run_here(path, directory):
    os.chdir(directory)
    os.umask(0o022)
    signal.alarm(SECONDS_MAX)
    exec(compile(path.read_text(), str(path), "exec"), {"__name__": "__main__"})


def run(path, root):
    """None if the behaviour holds below `root`, else why not."""
    directory = root / path.stem
    directory.mkdir()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        os.setpgid(0, 0)
        status = 0
        try:
            run_here(path, directory)
        except BaseException as error:
            os.write(writing, say_why(path, error).encode("utf-8", "replace")[:60000])
            status = 1
        os._exit(status)
    os.close(writing)
    _, status = os.waitpid(pid, 0)
    try:
        os.killpg(pid, signal.SIGKILL)  # what it left behind keeps no file open
    except (ProcessLookupError, PermissionError):
        pass
    with os.fdopen(reading, "rb") as pipe:
        why = pipe.read().decode("utf-8", "replace")
    if status == 0:
        return None
    return why or f"ended by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else why


def judge(name, on_varve, on_ext4, differences):
    """(line, whether it is as it must be)"""
    line = f"{name}: varve {'differs' if on_varve else 'holds'}, ext4 {'differs' if on_ext4 else 'holds'}"
    if on_varve and on_ext4:
        return f"{line}: holds nowhere\n    varve: {on_varve}\n    ext4: {on_ext4}", False
    if on_varve and name in differences:
        return f"{line} (listed)", True
    if on_varve:
        return f"{line}: not listed\n    varve: {on_varve}", False
    if name in differences:
        return f"{line}: listed as a difference, but it holds by now", False
    return f"{line}\n    ext4: {on_ext4}" if on_ext4 else line, True


def main():
    varve, ext4, document = (pathlib.Path(argument).resolve() for argument in sys.argv[1:4])
    wanted = sys.argv[4:]
    paths = {path.stem: path for path in sorted(here.glob("*.py")) if path.stem not in ("behaviour", "compare")}
    differences = listed_differences(document)
    failed = [f"{name} is listed in {document.name}, but there is no such behaviour" for name in differences - paths.keys()]
    for line in failed:
        print(line)
    for name in wanted or paths:
        line, good = judge(name, run(paths[name], varve), run(paths[name], ext4), differences)
        print(line, flush=True)
        if not good:
            failed.append(name)
    print(f"{len(wanted or paths)} behaviours, {len(differences)} listed differences, {len(failed)} failures")
    sys.exit(1 if failed else 0)


main()
