"""The block allocation table: where blocks are, and whether they can all be there."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from formats.core.findings import Findings
from formats.core.model import (
    EXTENT_ROWS_MAX,
    Bearing,
    Evidence,
    Examined,
    ExtentBatch,
    KernelResult,
    Outcome,
    Payload,
    Source,
)
from formats.vhd.structures import SECTOR_BYTES, UNUSED_ENTRY

ENTRY_BYTES = 4

# [VHD] "Block Size": products were tested with blocks of 512 KiB and 2 MiB; entries of 32 bits
# count sectors, so no such file passes 2 TiB. That many blocks of 512 KiB are 16 MiB of table.
ENTRIES_MAX = 1 << 22

READ_BYTES = 1 << 20

GAPS_MAX = 64
"""Holes between blocks looked into; a file that was never damaged has none."""

OPEN_END = 1 << 62
"""Behind every file."""

# Windows 10 begins a block where its data is aligned to 4 KiB, up to so many bytes after the last.
GAP_ALIGNMENT_BYTES = 4096

Sectors = npt.NDArray[np.uint32]
Numbers = npt.NDArray[np.int64]
Ranges = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Geometry:
    """What is needed to find every block of a disk again; sizes in bytes."""

    table_offset: int
    entry_count: int
    block_bytes: int
    disk_bytes: int

    @property
    def live_count(self) -> int:
        """Entries that hold a part of the disk; writers round up (seen: QEMU 7.2)."""
        return -(-self.disk_bytes // self.block_bytes)

    @property
    def bitmap_bytes(self) -> int:
        """[VHD] "BAT and Data Blocks": a bit per sector, padded to a sector, before the data."""
        sectors = self.block_bytes // SECTOR_BYTES
        return -(-sectors // (8 * SECTOR_BYTES)) * SECTOR_BYTES

    @property
    def stored_bytes(self) -> int:
        """A block as stored: bitmap and data."""
        return self.bitmap_bytes + self.block_bytes

    @property
    def stored_sectors(self) -> int:
        """A block as stored, in sectors."""
        return self.stored_bytes // SECTOR_BYTES

    @property
    def last_bytes(self) -> int:
        """How much of the last block belongs to the disk."""
        return self.disk_bytes - (self.live_count - 1) * self.block_bytes


@dataclass(frozen=True, slots=True)
class Allocation:
    """The entries in use: their indexes, and the sectors of the file where their blocks begin.

    There may be millions, so both columns stay as narrow as the table.
    """

    index: Sectors
    sector: Sectors


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a disk reaches into its file; bytes.

    ``needed`` ends with the last byte that belongs to the disk, ``allocated`` with the last block.
    """

    needed: int
    allocated: int
    block_count: int
    payload: int
    beyond_count: int


def read_table(source: Source, geometry: Geometry) -> Allocation:
    """Read the entries in use, as far as the file goes and at most `ENTRIES_MAX`."""
    count = min(geometry.entry_count, ENTRIES_MAX)
    present = max(source.size - geometry.table_offset, 0) // ENTRY_BYTES
    indexes, sectors = [np.zeros(0, np.uint32)], [np.zeros(0, np.uint32)]
    step = READ_BYTES // ENTRY_BYTES
    for first in range(0, min(count, present), step):
        length = min(step, count - first, present - first)
        stored = source.read_at(geometry.table_offset + first * ENTRY_BYTES, length * ENTRY_BYTES)
        entries = np.frombuffer(stored, ">u4")
        used = np.flatnonzero(entries != UNUSED_ENTRY)
        indexes.append((used + first).astype(np.uint32))
        sectors.append(entries[used].astype(np.uint32))
    return Allocation(np.concatenate(indexes), np.concatenate(sectors))


def measure(allocation: Allocation, geometry: Geometry, size: int) -> Extent:
    """Return how far the disk reaches into a file of ``size`` bytes."""
    last = geometry.live_count - 1
    whole = allocation.sector[allocation.index < last]
    ending = allocation.sector[allocation.index == last]
    table_end = geometry.table_offset + geometry.live_count * ENTRY_BYTES
    whole_end = int(whole.max()) * SECTOR_BYTES + geometry.stored_bytes if len(whole) else 0
    last_start = int(ending[0]) * SECTOR_BYTES if len(ending) else 0
    last_end = last_start + geometry.bitmap_bytes + geometry.last_bytes if len(ending) else 0
    allocated = last_start + geometry.stored_bytes if len(ending) else 0
    beyond = int(np.count_nonzero(whole > (size - geometry.stored_bytes) // SECTOR_BYTES))
    return Extent(
        needed=max(table_end, whole_end, last_end),
        allocated=max(table_end, whole_end, allocated),
        block_count=len(whole) + len(ending),
        payload=len(whole) * geometry.block_bytes + len(ending) * geometry.last_bytes,
        beyond_count=beyond + (last_end > size),
    )


def check_limit(geometry: Geometry, findings: Findings) -> None:
    """Say so where the table is longer than this code reads."""
    if geometry.live_count <= ENTRIES_MAX:
        return
    findings.add(
        Evidence(
            "vhd.bat.limit",
            Outcome.UNSUPPORTED,
            geometry.table_offset,
            geometry.live_count * ENTRY_BYTES,
            f"at most {ENTRIES_MAX} blocks",
            f"{geometry.live_count} blocks",
        )
    )


def check_places(
    allocation: Allocation, geometry: Geometry, taken: Ranges, findings: Findings
) -> None:
    """Check that blocks lie clear of ``taken`` ranges and of each other."""
    sector, width = allocation.sector, geometry.stored_sectors
    bad = np.zeros(len(sector), bool)
    for start, end in taken:
        first, behind = start // SECTOR_BYTES - width + 1, -(-end // SECTOR_BYTES)
        bad |= (sector >= max(first, 0)) & (sector <= min(behind - 1, UNUSED_ENTRY))
    report("vhd.bat.range", np.flatnonzero(bad), allocation, geometry, findings)
    shared = np.zeros(0, np.intp)
    if (np.diff(np.sort(sector)) < width).any():
        order = np.argsort(sector, kind="stable")
        shared = order[1:][np.diff(sector[order]) < width]
    report("vhd.bat.overlap", shared, allocation, geometry, findings)


def report(
    check: str,
    rows: npt.NDArray[np.intp],
    allocation: Allocation,
    geometry: Geometry,
    findings: Findings,
) -> None:
    """Add one bad row per entry in ``rows``, or one good row for all."""
    if not len(rows):
        findings.matched(check, None, 0, count=len(allocation.index))
        return
    row = Evidence(check, Outcome.MISMATCHED, None, ENTRY_BYTES, "a place of its own")
    offsets = geometry.table_offset + allocation.index[rows].astype(np.int64) * ENTRY_BYTES
    sectors = allocation.sector[rows]
    findings.add_each(
        row, offsets, lambda which: f"a block at 0x{int(sectors[which]) * SECTOR_BYTES:x}"
    )


def check_gaps(
    source: Source,
    allocation: Allocation,
    geometry: Geometry,
    taken: Ranges,
    findings: Findings,
) -> None:
    """Look for a block that the table has lost: a hole of a block's size with something in it.

    Nothing in the format frees a block; [VHD] "Mapping a Disk Sector" wants what a file grows by
    to be zeros until it is used. Assumed: no program leaves old blocks behind when it compacts.
    """
    holes = list(find_holes(np.sort(allocation.sector), geometry, taken))
    for start, end in holes[:GAPS_MAX]:
        look_into(source, start, end, geometry, findings)
    if len(holes) > GAPS_MAX:
        findings.add(
            Evidence(
                "vhd.bat.lost_block",
                Outcome.UNSUPPORTED,
                expected=f"at most {GAPS_MAX} holes",
                actual="more",
                bearing=Bearing.DOUBTFUL,
            )
        )


def find_holes(ordered: Sectors, geometry: Geometry, taken: Ranges) -> Iterator[tuple[int, int]]:
    """Yield ranges a block fits in, between blocks and ``taken`` ranges; not many too many."""
    width = geometry.stored_sectors
    wide = np.flatnonzero(np.diff(ordered) >= 2 * width)[: GAPS_MAX + 1]
    before = ordered[[*wide, -1]] if len(ordered) else ordered
    after = ordered[[0, *(wide + 1)]] if len(ordered) else ordered
    starts = [0, *((before.astype(np.int64) + width) * SECTOR_BYTES).tolist()]
    ends = [*(after.astype(np.int64) * SECTOR_BYTES).tolist(), OPEN_END]
    for start, end in zip(starts, ends, strict=True):
        reached = start
        for low, high in [*sorted(taken), (end, OPEN_END)]:
            if min(low, end) - reached >= geometry.stored_bytes:
                yield reached, min(low, end)
            reached = max(reached, high)


def look_into(source: Source, start: int, end: int, geometry: Geometry, findings: Findings) -> None:
    """Report the hole from ``start`` to ``end`` if it begins with a bitmap that has bits set."""
    probe_bytes = min(GAP_ALIGNMENT_BYTES + geometry.bitmap_bytes, READ_BYTES, end - start)
    if end > source.size or not any(source.read_at(start, probe_bytes)):
        return
    findings.add(
        Evidence(
            "vhd.bat.lost_block",
            Outcome.MISMATCHED,
            start,
            end - start,
            "an entry for what is stored here",
            "none",
            Bearing.DOUBTFUL,
        )
    )


def block_batches(source: Source, geometry: Geometry) -> Iterator[ExtentBatch]:
    """Yield bitmaps and data of all blocks inside the file, in order of offset."""
    allocation = read_table(source, geometry)
    bitmap_bytes, last = geometry.bitmap_bytes, geometry.live_count - 1
    inside = (allocation.index <= last) & (allocation.sector < -(-source.size // SECTOR_BYTES))
    index, sector = allocation.index[inside], allocation.sector[inside]
    order = np.argsort(sector, kind="stable")
    for first in range(0, len(order), EXTENT_ROWS_MAX):
        rows = order[first : first + EXTENT_ROWS_MAX]
        following = order[first + 1 : first + EXTENT_ROWS_MAX + 1]
        start = sector[rows].astype(np.int64) * SECTOR_BYTES
        room = np.full(len(rows), OPEN_END)
        room[: len(following)] = sector[following].astype(np.int64) * SECTOR_BYTES
        room -= start
        stored = np.where(index[rows] == last, geometry.last_bytes, geometry.block_bytes)
        # Blocks that share a place are clipped to it, and the last one of a file that was cut.
        length = np.minimum(np.minimum(stored, room), source.size - start - bitmap_bytes)
        marks = np.minimum(bitmap_bytes, room)
        yield from batches_of(start, marks, bitmap_bytes, length)


def batches_of(
    start: Numbers, marks: Numbers, bitmap_bytes: int, length: Numbers
) -> Iterator[ExtentBatch]:
    """Yield one batch of bitmaps and one of data, of the blocks of which there is any data."""
    there = length > 0
    if not there.any():
        return
    start = start[there]
    yield ExtentBatch(
        Examined(check_bitmap, bitmap_bytes),
        "vhd.block.bitmap",
        0,
        start,
        marks[there],
        bearing=Bearing.DOUBTFUL,
    )
    yield ExtentBatch(Payload(), "vhd.block.content", 0, start + bitmap_bytes, length[there])


def check_bitmap(elements: npt.NDArray[np.uint8], offset: int, _origin: int) -> KernelResult:
    """Look at one block's sector bitmap: a block is stored because something was written to it.

    An entry that points a little beside its block, or a hole in the file, shows as no sector at
    all. Assumed: no program stores a block of which nothing counts; seen: none does.
    """
    marked = bool(elements.any())
    row = Evidence(
        "vhd.block.bitmap",
        Outcome.MATCHED if marked else Outcome.MISMATCHED,
        offset,
        len(elements),
        None if marked else "a sector that counts",
        None if marked else "none",
        Bearing.DOUBTFUL,
    )
    return KernelResult((row,))
