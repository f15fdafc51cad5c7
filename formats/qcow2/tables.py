"""Reading tables in bounded pieces: the only loops over a file's clusters are in here."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from formats.core.model import Source
from formats.qcow2.findings import Ints, Words

CHUNK_BYTES_MAX = 1 << 20
"""Tables are read and looked at in pieces of this size (or of one cluster, at most 2 MiB)."""


@dataclass(frozen=True, slots=True)
class TableChunk:
    """Whole tables ``first`` up to ``first + len(content)`` of a list, one row of bytes each."""

    first: int
    content: npt.NDArray[np.uint8]


def read_words(source: Source, offset: int, count: int) -> Iterator[tuple[int, Words]]:
    """Yield big-endian 64-bit words in pieces, each with the index of its first."""
    per_piece = CHUNK_BYTES_MAX // 8
    for first in range(0, count, per_piece):
        words = min(per_piece, count - first)
        piece = source.read_at(offset + first * 8, words * 8)
        yield first, np.frombuffer(piece, ">u8").astype(np.uint64)


def read_tables(source: Source, offsets: Ints, table_bytes: int) -> Iterator[TableChunk]:
    """Yield tables of equal size; ``offsets`` are sorted, unique and inside the file.

    Neighbours in the file are read in one call.
    """
    per_chunk = max(1, CHUNK_BYTES_MAX // table_bytes)
    for first in range(0, len(offsets), per_chunk):
        part = offsets[first : first + per_chunk]
        breaks = np.flatnonzero(np.diff(part) != table_bytes) + 1
        starts = [0, *breaks.tolist()]
        ends = [*breaks.tolist(), len(part)]
        pieces = [
            source.read_at(int(part[start]), (end - start) * table_bytes)
            for start, end in zip(starts, ends, strict=True)
        ]
        content = np.frombuffer(b"".join(pieces), np.uint8).reshape(len(part), table_bytes)
        yield TableChunk(first, content)
