"""Loops without the engine: what the machine, and the same library calls alone, can do.

They plan nothing, record nothing, forgive nothing. What they are to call is worked out before the
clock starts.
"""

import itertools
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import xxhash

from benchmarks.options import MIB
from formats.core.codecs import open_stream
from formats.core.model import Algorithm, Codec, Declared, Examined, ExtentBatch, Payload
from formats.core.source import EdgeCached
from scanner.config import PROBE_EDGE_BYTES, UNIT_BYTES, WINDOW_BYTES
from scanner.engine.neighbours import FolderNeighbours
from scanner.engine.storage import FileStorage

DIRECT_BYTES = 4 * MIB
ALIGNMENT = 4096

Call: TypeAlias = Callable[[memoryview], object]
"""A library call on some bytes of a window."""

Calls: TypeAlias = dict[int, list[tuple[int, int, Call]]]
"""What to call on which range of the file, by the window where the range begins."""


@dataclass(frozen=True, slots=True)
class Window:
    """One read, and the calls on its bytes; ``torn`` elements reach over its end."""

    offset: int
    length: int
    inside: tuple[tuple[int, int, Call], ...] = ()
    torn: tuple[tuple[int, int, Call], ...] = ()


def read_only(path: Path, threads: int) -> Callable[[], int]:
    """Return the work of reading a file and looking at nothing."""
    return partial(in_threads, path, threads, plain_windows(path, WINDOW_BYTES), read_window)


def direct(path: Path, threads: int) -> Callable[[], int]:
    """Return the work of reading past the page cache: what the device gives to reads in order."""
    windows = plain_windows(path, DIRECT_BYTES)
    return partial(in_threads, path, threads, windows, read_window, os.O_DIRECT)


def bare(path: Path, threads: int) -> Callable[[], int]:
    """Return the work of digesting every block and making the calls the file's format asks for."""
    return partial(in_threads, path, threads, windows_with_calls(path), digest_window)


def in_threads(
    path: Path,
    threads: int,
    units: Sequence[Sequence[Window]],
    step: Callable[[int, Window, memoryview], None],
    flags: int = 0,
) -> int:
    """Hand units out to threads, each with one buffer, and return the file's size."""
    descriptor = os.open(path, os.O_RDONLY | flags)
    numbers = itertools.count()  # next() on it is one step of the interpreter
    largest = max((window.length for unit in units for window in unit), default=0)

    def work() -> None:
        buffer = aligned(largest)
        while (number := next(numbers)) < len(units):
            for window in units[number]:
                step(descriptor, window, buffer)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    size = os.fstat(descriptor).st_size
    os.close(descriptor)
    return size


def read_window(descriptor: int, window: Window, buffer: memoryview) -> None:
    """Read a window."""
    os.preadv(descriptor, [buffer[: window.length]], window.offset)


def digest_window(descriptor: int, window: Window, buffer: memoryview) -> None:
    """Read a window, digest its blocks and make its calls."""
    memory = buffer[: window.length]
    os.preadv(descriptor, [memory], window.offset)
    for start in range(0, window.length, MIB):
        xxhash.xxh3_128_digest(memory[start : start + MIB])
    for start, end, call in window.inside:
        call(memory[start - window.offset : end - window.offset])
    for start, end, call in window.torn:
        call(memoryview(os.pread(descriptor, end - start, start)))


def plain_windows(path: Path, window_bytes: int) -> list[list[Window]]:
    """Cut a file into units of windows.

    The last window of a file is whole: O_DIRECT asks for aligned lengths.
    """
    size = path.stat().st_size
    return [
        [
            Window(offset, window_bytes)
            for offset in range(start, min(start + UNIT_BYTES, size), window_bytes)
        ]
        for start in range(0, size, UNIT_BYTES)
    ]


def windows_with_calls(path: Path) -> list[list[Window]]:
    """Cut a file into units of windows with the calls that its format's batches ask for."""
    with FileStorage(path) as storage:
        size = storage.size
        windows = {
            offset: Window(offset, min(WINDOW_BYTES, size - offset))
            for offset in range(0, size, WINDOW_BYTES)
        }
        inside: Calls = {}
        torn: Calls = {}
        looked_at: set[int] = set()
        for batch in batches_of(path, storage):
            for offset, length, plain in rows_of(batch):
                spread(batch, offset, length, plain, inside, torn, looked_at)
    done = [
        Window(offset, window.length, tuple(inside.get(offset, ())), tuple(torn.get(offset, ())))
        for offset, window in windows.items()
    ]
    per_unit = UNIT_BYTES // WINDOW_BYTES
    return [done[first : first + per_unit] for first in range(0, len(done), per_unit)]


def batches_of(path: Path, storage: FileStorage) -> list[ExtentBatch]:
    """Return what the file's format asks to look at; nothing where no format knows the file."""
    import formats  # noqa: PLC0415 - the loops that do not need it start sooner

    known = formats.identify(EdgeCached(storage, PROBE_EDGE_BYTES))
    if known is None:
        return []
    neighbours = FolderNeighbours(path.parent, path.parent, FileStorage)
    try:
        return list(known.extents(storage, known.inspect(storage, neighbours)))
    finally:
        neighbours.close()


def rows_of(batch: ExtentBatch) -> list[tuple[int, int, int]]:
    """Return offset, stored and plain length of every extent."""
    plain = batch.stored_length if batch.plain_length is None else batch.plain_length
    return list(
        zip(batch.offset.tolist(), batch.stored_length.tolist(), plain.tolist(), strict=True)
    )


def spread(
    batch: ExtentBatch,
    offset: int,
    length: int,
    plain: int,
    inside: Calls,
    torn: Calls,
    looked_at: set[int],
) -> None:
    """File one extent's calls under the windows they belong to.

    Payload asks for one look in each unit: the first byte that is not zero ends it, and the
    material that is measured has one soon.
    """
    match batch.check:
        case Examined(kernel=kernel, stride=stride):
            for start, end, crosses in pieces(offset, length, stride):
                window = start - start % WINDOW_BYTES
                call = partial(run_kernel, kernel, start, offset)
                (torn if crosses else inside).setdefault(window, []).append((start, end, call))
        case Declared(algorithm=Algorithm.ZEROS, codec=None):
            for start, end, _crosses in pieces(offset, length, 1):
                inside.setdefault(start - start % WINDOW_BYTES, []).append((start, end, any_byte))
        case Declared(codec=Codec() as codec, algorithm=None):
            window = offset - offset % WINDOW_BYTES
            crosses = offset + length > window + WINDOW_BYTES
            row = (offset, offset + length, partial(decode, codec, plain))
            (torn if crosses else inside).setdefault(window, []).append(row)
        case Payload():
            for start, end in first_looks(offset, offset + length):
                unit, window = start // UNIT_BYTES, start - start % WINDOW_BYTES
                if unit not in looked_at:
                    looked_at.add(unit)
                    inside.setdefault(window, []).append((start, end, any_byte))
        case _:
            message = f"no bare loop for {batch.check}"
            raise NotImplementedError(message)


def first_looks(start: int, end: int) -> list[tuple[int, int]]:
    """Return the first piece, up to a window's end, of a range in each unit it touches."""
    found = []
    while start < end:
        window_end = start - start % WINDOW_BYTES + WINDOW_BYTES
        found.append((start, min(end, window_end)))
        start = start - start % UNIT_BYTES + UNIT_BYTES
    return found


def pieces(offset: int, length: int, stride: int) -> list[tuple[int, int, bool]]:
    """Cut an extent into runs of whole elements inside windows, and elements across two."""
    found = []
    position, last = offset, offset + length
    while position < last:
        border = position - position % WINDOW_BYTES + WINDOW_BYTES
        whole = position + (min(border, last) - position) // stride * stride
        if border >= last:
            whole = last
        if whole > position:
            found.append((position, whole, False))
        position = whole
        if position < last:
            found.append((position, min(position + stride, last), True))
            position = min(position + stride, last)
    return found


def run_kernel(
    kernel: Callable[..., object], offset: int, origin: int, memory: memoryview
) -> object:
    """Call a format's kernel as the engine does."""
    return kernel(np.frombuffer(memory, np.uint8), offset, origin)


def decode(codec: Codec, plain_length: int, memory: memoryview) -> object:
    """Decode one extent in one call."""
    return open_stream(codec).decompress(memory, max_length=plain_length)


def any_byte(memory: memoryview) -> object:
    """Look for a byte that is not zero."""
    return np.frombuffer(memory, np.uint8).any()


def aligned(length: int) -> memoryview:
    """Return memory as O_DIRECT wants it."""
    block = np.zeros(length + ALIGNMENT, np.uint8)
    shift = -block.ctypes.data % ALIGNMENT
    return block[shift : shift + length].data
