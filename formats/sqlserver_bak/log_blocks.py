"""Look at log blocks as they pass: each block's checksum, and whether the next one follows.

A log stream is a chain of blocks of whole 512-byte sectors. Every block names its virtual log file
and its number, which is its distance in sectors from that file's start, so a block can be known
from any window without having seen the one before it: a sector is the first of a block where both
numbers are right. A block that is cut by the window's edge is left in pieces.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from formats.core.checksums import rotate_left, rotate_xor, sector_xors
from formats.core.model import Columns, KernelResult
from formats.sqlserver_bak.pages import FOLD_ROWS
from formats.sqlserver_bak.state import LogStream

LOG_SECTOR_BYTES = 512
# Seen in SQL Server 2005 to 2022, offsets in a block: size 6, virtual log file 12, number 16,
# checksum 24.
HEADER_WORDS = 8

LOG_RUNS = np.dtype([("offset", "<u8"), ("sectors", "<u4"), ("blocks", "<u4"), ("summed", "<u4")])
"""Successive blocks that lie whole in a window; ``summed`` sectors are under a checksum."""

LOG_BAD = np.dtype([("offset", "<u8"), ("bytes", "<u4"), ("stored", "<u4"), ("computed", "<u4")])

BLOCK_SECTORS_MAX = 0xFFFF // LOG_SECTOR_BYTES

LOG_PIECES = np.dtype(
    [
        ("offset", "<u8"),
        ("sectors", "<u4"),
        ("block_sectors", "<u4"),
        ("stored", "<u4"),
        ("sums", "<u4", (BLOCK_SECTORS_MAX,)),
    ]
)
"""The first part of a block that does not lie whole before the window's edge or the next block;
or, with ``block_sectors`` 0, what stands before the first block of a window. ``sums`` are those of
its first sectors."""

LOG_TABLES: Mapping[str, np.dtype[np.void]] = {
    "log_runs": LOG_RUNS,
    "log_bad": LOG_BAD,
    "log_pieces": LOG_PIECES,
    "log_folds": FOLD_ROWS,
}

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class LogPlaces:
    """Where log streams begin and which blocks belong there; a column each, sorted by offset."""

    offset: Ints
    saved: Ints
    sequence: Ints
    block: Ints

    def at(self, origin: int) -> tuple[int, int, int]:
        """Return saved sectors, virtual log file and first block of the stream at ``origin``."""
        row = int(np.searchsorted(self.offset, origin))
        return (
            int(self.saved[row]) // LOG_SECTOR_BYTES,
            int(self.sequence[row]),
            int(self.block[row]),
        )


def log_places(streams: Sequence[LogStream]) -> LogPlaces:
    """Return the columns of a set's log streams."""
    table = np.array(
        [(item.offset, item.saved, item.sequence, item.block) for item in streams], np.int64
    ).reshape(-1, 4)
    return LogPlaces(*(np.ascontiguousarray(column) for column in table.T))


def examine_log(
    places: LogPlaces, elements: npt.NDArray[np.uint8], offset: int, origin: int
) -> KernelResult:
    """Tabulate the sectors at ``offset`` of the log stream that begins at ``origin``."""
    sector_count = len(elements) // LOG_SECTOR_BYTES
    if not sector_count:
        return KernelResult()
    elements = elements[: sector_count * LOG_SECTOR_BYTES]
    sums = sector_xors(elements)
    tally: dict[str, Columns] = {
        "log_folds": np.array([(offset, sector_count, rotate_xor(sums))], FOLD_ROWS)
    }
    saved, sequence, first_block = places.at(origin)
    position = (offset - origin) // LOG_SECTOR_BYTES
    kept = min(sector_count, saved - position)
    if kept > 0:
        sectors = elements.reshape(-1, LOG_SECTOR_BYTES)[:kept]
        words = sectors[:, : HEADER_WORDS * 4].copy().view("<u4")
        starts, sizes = find_blocks(words, sequence, first_block + position)
        tally |= tabulate(words, sums[:kept], starts, sizes, offset)
    return KernelResult(tally=tally)


def find_blocks(words: Words, sequence: int, number: int) -> tuple[Ints, Ints]:
    """Return where blocks begin among the sectors, and their sizes in sectors."""
    sizes = (words[:, 1] >> np.uint32(16)).astype(np.int64)
    numbers = np.arange(number, number + len(words), dtype=np.int64)
    begins = (words[:, 3] == sequence) & (words[:, 4] == numbers)
    begins &= (sizes > 0) & (sizes % LOG_SECTOR_BYTES == 0)
    starts = np.flatnonzero(begins)
    return starts, sizes[starts] // LOG_SECTOR_BYTES


def tabulate(
    words: Words, sums: Words, starts: Ints, sizes: Ints, offset: int
) -> dict[str, Columns]:
    """Return the rows of whole blocks, and of pieces."""
    following = np.append(starts[1:], len(sums))
    whole = starts + sizes <= following
    pieces = [
        (start, min(start + size, after), size, int(words[start, 6]))
        for start, size, after in zip(
            starts[~whole].tolist(), sizes[~whole].tolist(), following[~whole].tolist(), strict=True
        )
    ]
    head = int(starts[0]) if len(starts) else len(sums)
    if head:
        pieces.insert(0, (0, head, 0, 0))
    rows: dict[str, Columns] = {}
    if pieces:
        rows["log_pieces"] = piece_rows(offset, pieces, sums)
    if whole.any():
        rows |= whole_blocks(words, sums, starts[whole], sizes[whole], offset)
    return rows


def piece_rows(offset: int, pieces: Sequence[tuple[int, int, int, int]], sums: Words) -> Columns:
    """Return one row per piece: its first sector, its end, its block's size and checksum."""
    rows = np.zeros(len(pieces), LOG_PIECES)
    for row, (start, end, block_sectors, stored) in zip(rows, pieces, strict=True):
        kept = min(end - start, BLOCK_SECTORS_MAX)
        row["offset"] = offset + start * LOG_SECTOR_BYTES
        row["sectors"], row["block_sectors"], row["stored"] = end - start, block_sectors, stored
        row["sums"][:kept] = sums[start : start + kept]
    return rows


def whole_blocks(
    words: Words, sums: Words, starts: Ints, sizes: Ints, offset: int
) -> dict[str, Columns]:
    """Check every whole block and return rows of runs of them, and of those that fail."""
    stored = words[starts, 6]
    computed = without_field(folds_of(sums, starts, sizes), stored, sizes)
    summed = stored != 0
    wrong = np.flatnonzero(summed & (computed != stored))
    places = offset + starts * LOG_SECTOR_BYTES
    rows: dict[str, Columns] = {"log_runs": run_rows(starts, sizes, summed, places)}
    if len(wrong):
        bad = np.zeros(len(wrong), LOG_BAD)
        bad["offset"], bad["bytes"] = places[wrong], sizes[wrong] * LOG_SECTOR_BYTES
        bad["stored"], bad["computed"] = stored[wrong], computed[wrong]
        rows["log_bad"] = bad
    return rows


def without_field(folds: Words, stored: Words, sizes: Ints) -> Words:
    """Take a checksum's own share out of the fold of its block, where it counts as zero."""
    share: Words = folds ^ rotate_left(stored, ((sizes - 1) & 31).astype(np.uint32))
    return share


def folds_of(sums: Words, starts: Ints, sizes: Ints) -> Words:
    """Fold the sectors of each block as ``acc = rotl32(acc, 1) ^ sum``."""
    ends = starts + sizes
    sectors = np.arange(len(sums))
    # How far each sector is turned: by the number of sectors behind it in its block.
    owner = np.maximum(np.searchsorted(starts, sectors, side="right") - 1, 0)
    turned = rotate_left(sums, ((ends[owner] - 1 - sectors) & 31).astype(np.uint32))
    # Even entries fold a block, odd ones what lies between it and the next.
    edges = np.stack((starts, ends), axis=1).reshape(-1)
    padded = np.append(turned, np.uint32(0))
    folds: Words = np.bitwise_xor.reduceat(padded, edges)[::2]
    return folds


def run_rows(starts: Ints, sizes: Ints, summed: npt.NDArray[np.bool_], places: Ints) -> Columns:
    """Return one row per run of blocks that follow each other."""
    breaks = np.flatnonzero(starts[1:] != starts[:-1] + sizes[:-1]) + 1
    heads = np.concatenate(([0], breaks))
    rows = np.zeros(len(heads), LOG_RUNS)
    rows["offset"] = places[heads]
    rows["sectors"] = np.add.reduceat(sizes, heads)
    rows["blocks"] = np.diff(np.append(heads, len(starts)))
    rows["summed"] = np.add.reduceat(np.where(summed, sizes, 0), heads)
    return rows
