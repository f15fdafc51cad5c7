"""Loops over many small files: what opening and reading them costs without the engine."""

import itertools
import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import xxhash

from benchmarks.caches import files_under
from benchmarks.options import MIB


def read_all(path: Path, threads: int) -> Callable[[], int]:
    """Return the work of opening, reading and closing every file, in order of path."""
    return partial(in_threads, sorted(map(str, files_under(path))), threads, nothing)


def read_and_digest(path: Path, threads: int) -> Callable[[], int]:
    """Return the same work with a digest of every file."""
    paths = sorted(map(str, files_under(path)))
    return partial(in_threads, paths, threads, xxhash.xxh3_128_digest)


def nothing(_memory: memoryview) -> object:
    """Look at nothing."""


def in_threads(paths: Sequence[str], threads: int, look: Callable[[memoryview], object]) -> int:
    """Hand files out to threads, each with one buffer; return the bytes of all of them."""
    numbers = itertools.count()  # next() on it is one step of the interpreter
    totals = [0] * threads

    def work(worker: int) -> None:
        buffer = memoryview(bytearray(MIB))
        while (number := next(numbers)) < len(paths):
            totals[worker] += read_file(paths[number], buffer, look)

    workers = [threading.Thread(target=work, args=(index,)) for index in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(totals)


def read_file(path: str, buffer: memoryview, look: Callable[[memoryview], object]) -> int:
    """Open, stat, read, look at and close one file; return its size."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOATIME)
    size = os.fstat(descriptor).st_size
    done = 0
    while done < size:
        count = os.preadv(descriptor, [buffer], done)
        look(buffer[:count])
        done += count
    os.close(descriptor)
    return size


def walk(path: Path) -> Callable[[], int]:
    """Return the work of statting every file of a tree: the least a second scan can do."""
    return partial(walk_folders, str(path))


def walk_folders(root: str) -> int:
    """Walk and stat; return the sum of the files' sizes."""
    total = 0
    pending = [root]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total
