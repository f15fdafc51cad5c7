"""Make the material of a part, if there is room and a program for it, and remove it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import Failed, run_child
from benchmarks.options import GIB, Options
from benchmarks.report import size_text


class Skipped(Exception):
    """Something cannot be made here, and why."""


@contextmanager
def room_for(options: Options, name: str, size: int) -> Iterator[Path]:
    """Give a path in the work folder after a look at the free space; remove what is there after.

    With ``keep`` it stays, and the next run finds it: check before making it again.
    """
    path = options.work / name
    free = shutil.disk_usage(options.work).free
    wanted = size + GIB
    if not path.exists() and free < wanted:
        message = f"{size_text(wanted)} free space wanted, {free // GIB} GiB there"
        raise Skipped(message)
    try:
        yield path
    finally:
        if not options.keep:
            remove(path)


def remove(path: Path) -> None:
    """Remove a file or a tree, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def qemu_img(*words: str) -> None:
    """Let qemu-img make an image."""
    if shutil.which("qemu-img") is None:
        message = "qemu-img is not installed"
        raise Skipped(message)
    _output, status, _peak, _cpu = run_child(("qemu-img", *words), keep_output=True)
    if status:
        message = f"qemu-img {words[0]}: expected exit 0, found {status}"
        raise Failed(message)
