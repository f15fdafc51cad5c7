"""The block allocation table: where blocks are, and whether they can all be there.

The table of a 64 TiB disk has 67 million entries, so it is read in pieces of whole chunks: the
payload entries that share one sector bitmap block, and the bitmap's entry after them. Which parts
of the file are taken is kept as one byte per mebibyte of file, the unit of the format.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from formats.core.findings import Findings, read_under
from formats.core.model import Bearing, Evidence, ExtentBatch, Outcome, Payload, Source
from formats.vhdx.metadata import Disk
from formats.vhdx.regions import Region
from formats.vhdx.structures import MEBIBYTE

ENTRY_BYTES = 8

PIECE_ENTRIES_MAX = 65_536
"""Entries read at once; a chunk has at most 32,769 and a batch of extents as many rows as this."""

FILE_MEBIBYTES_MAX = 1 << 27
"""128 TiB of file: twice the largest disk. Beyond it nothing is known of overlaps."""

MARK_CELLS_MAX = 1 << 20

# [MS-VHDX] 2.4: a bitmap block is 1 MiB, with a bit for each of 2**23 sectors.
BITMAP_SECTORS = 1 << 23

# [MS-VHDX] 2.5.1.1. It gives 3 to unmapped blocks and reserves 4 and 5; the 0.95 draft gave 5,
# and QEMU reads both (block/vhdx.h).
ZERO = 2
FULLY_PRESENT = 6
PARTIALLY_PRESENT = 7
STATES_RESERVED = (4,)

# [MS-VHDX] 2.5.1.2.
BITMAP_NOT_PRESENT = 0
BITMAP_PRESENT = 6

# [MS-VHDX] 2.5.1: state in bits 0 to 2, mebibytes in bits 20 to 63, zeros between them.
STATE_MASK = np.uint64(0x7)
RESERVED_MASK = np.uint64(0xFFFF8)
OFFSET_SHIFT = np.uint64(20)

# QEMU before 8.0 copied a neighbour's state into the unused bitmap entries of dynamic disks (its
# commit "block/vhdx: fix dynamic VHDX BAT corruption"): PAYLOAD_BLOCK_ZERO, without an offset.
UNUSED_BITMAP_ENTRIES = (0, 2)

BEYOND = Evidence(
    "vhdx.bat.beyond",
    Outcome.MISMATCHED,
    expected="no block behind the disk's end",
    actual="a block",
    bearing=Bearing.DOUBTFUL,
)

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Table:
    """Where the table is and how it maps the disk."""

    offset: int
    length: int
    disk: Disk

    @property
    def chunk_ratio(self) -> int:
        """Payload blocks per bitmap block, [MS-VHDX] 2.4: from 16 to 32,768."""
        return BITMAP_SECTORS * self.disk.sector_bytes // self.disk.block_bytes

    @property
    def block_count(self) -> int:
        """Payload blocks of the disk."""
        return -(-self.disk.disk_bytes // self.disk.block_bytes)

    @property
    def entry_count(self) -> int:
        """Entries the disk needs, [MS-VHDX] 2.5: only children have the last chunk's bitmap."""
        if self.disk.has_parent:
            return -(-self.block_count // self.chunk_ratio) * (self.chunk_ratio + 1)
        return self.block_count + (self.block_count - 1) // self.chunk_ratio

    @property
    def last_bytes(self) -> int:
        """How much of the last block belongs to the disk."""
        return self.disk.disk_bytes - (self.block_count - 1) * self.disk.block_bytes

    @property
    def block_mebibytes(self) -> int:
        """Length of a payload block in the file."""
        return self.disk.block_bytes // MEBIBYTE


@dataclass(frozen=True, slots=True)
class Piece:
    """Some chunks of the table. Rows are chunks; columns are states and places, in mebibytes.

    ``index`` is the first entry. What the last chunk lacks of entries is filled up with zeros.
    """

    index: int
    payload_state: Numbers
    payload_place: Numbers
    bitmap_state: Numbers
    bitmap_place: Numbers
    reserved: Flags

    def entries_of(self, flags: Flags) -> Numbers:
        """Return the table indexes of payload entries that are flagged."""
        chunk, column = np.nonzero(flags)
        found: Numbers = self.index + chunk * (flags.shape[1] + 1) + column
        return found

    def bitmap_entries_of(self, flags: Flags) -> Numbers:
        """Return the table indexes of bitmap entries that are flagged."""
        ratio = self.payload_state.shape[1]
        found: Numbers = self.index + np.flatnonzero(flags) * (ratio + 1) + ratio
        return found


@dataclass(frozen=True, slots=True)
class Reach:
    """What the table refers to; bytes where it does not say ``count``.

    ``needed`` ends with the last byte of the disk, ``allocated`` with the last block. ``unused``
    is what of the file is neither a block nor anything else.
    """

    needed: int = 0
    allocated: int = 0
    block_count: int = 0
    partial_count: int = 0
    bitmap_count: int = 0
    payload: int = 0
    beyond_count: int = 0
    unused: int = 0


def pieces(source: Source, table: Table) -> Iterator[Piece]:
    """Yield the whole table; raises `Truncated` where the file ends before it."""
    width = table.chunk_ratio + 1
    step = PIECE_ENTRIES_MAX // width * width
    for index in range(0, table.entry_count, step):
        stored = min(step, table.entry_count - index)
        place = table.offset + index * ENTRY_BYTES
        content = read_under("vhdx.bat.present", source, place, stored * ENTRY_BYTES)
        entries = np.zeros(-(-stored // width) * width, np.uint64)
        entries[:stored] = np.frombuffer(content, "<u8")
        yield parse_piece(entries.reshape(-1, width), index)


def parse_piece(entries: npt.NDArray[np.uint64], index: int) -> Piece:
    """Split entries into their fields."""
    state = (entries & STATE_MASK).astype(np.int64)
    place = (entries >> OFFSET_SHIFT).astype(np.int64)
    return Piece(
        index=index,
        payload_state=state[:, :-1],
        payload_place=place[:, :-1],
        bitmap_state=state[:, -1],
        bitmap_place=place[:, -1],
        reserved=((entries & RESERVED_MASK) != 0).reshape(-1),
    )


def present(piece: Piece) -> Flags:
    """Flag the payload blocks that the file stores."""
    flags: Flags = piece.payload_state >= FULLY_PRESENT
    return flags


def live(piece: Piece, table: Table) -> Flags:
    """Flag the payload entries of blocks before the disk's end."""
    chunks, ratio = piece.payload_state.shape
    first = piece.index // (ratio + 1) * ratio
    flags: Flags = (first + np.arange(chunks * ratio)).reshape(chunks, ratio) < table.block_count
    return flags


def last_block(table: Table) -> int:
    """Return the table index of the last block of the disk."""
    return table.block_count - 1 + (table.block_count - 1) // table.chunk_ratio


def bitmaps(piece: Piece, table: Table) -> Flags:
    """Flag the bitmap blocks that the file stores; only children have any."""
    flags: Flags = (piece.bitmap_state == BITMAP_PRESENT) & table.disk.has_parent
    return flags


def check_table(
    view: Source, size: int, table: Table, taken: tuple[Region, ...], findings: Findings
) -> Reach:
    """Check every entry, and return what the table refers to in a file of ``size`` bytes."""
    used = occupied(size, taken, findings)
    reach = Reach()
    bad_before = len(findings.rows)
    for piece in pieces(view, table):
        check_states(piece, table, findings)
        check_bitmaps(piece, table, findings)
        check_places(piece, table, used, findings)
        reach = extended(reach, piece, table, size)
    reach = replace(reach, unused=int(np.count_nonzero(used == 0)) * MEBIBYTE)
    check_rest(view, table, findings)
    if not any(row.bad for row in findings.rows[bad_before:]):
        length = table.entry_count * ENTRY_BYTES
        for check in ("vhdx.bat.state", "vhdx.bat.overlap"):
            findings.matched(check, table.offset, length, count=table.entry_count)
    return reach


def occupied(size: int, taken: tuple[Region, ...], findings: Findings) -> npt.NDArray[np.uint8]:
    """Return one byte per mebibyte of file, set where header section, log and regions lie."""
    count = -(-size // MEBIBYTE)
    if count > FILE_MEBIBYTES_MAX:
        findings.add(
            Evidence(
                "vhdx.bat.limit",
                Outcome.UNSUPPORTED,
                expected=f"at most {FILE_MEBIBYTES_MAX} MiB of file",
                actual=f"{count} MiB",
            )
        )
    used = np.zeros(min(count, FILE_MEBIBYTES_MAX), np.uint8)
    used[:1] = 1
    for region in taken:
        used[region.offset // MEBIBYTE : region.end // MEBIBYTE] = 1
    return used


def add_entries(
    row: Evidence, indexes: Numbers, values: Numbers | None, table: Table, findings: Findings
) -> None:
    """Add one bad row per entry, at the entry's place in the file."""
    row = replace(row, outcome=Outcome.MISMATCHED, length=ENTRY_BYTES)
    actual = row.actual or ""
    findings.add_each(
        row,
        table.offset + indexes * ENTRY_BYTES,
        lambda which: actual if values is None else f"{actual}{int(values[which])}",
    )


def check_states(piece: Piece, table: Table, findings: Findings) -> None:
    """Check states and reserved bits of payload entries ([MS-VHDX] 2.5.1.1)."""
    state = piece.payload_state
    bad = np.isin(state, STATES_RESERVED)
    if not table.disk.has_parent:
        bad |= state == PARTIALLY_PRESENT
    if bad.any():
        expected = "0 to 3, 6 or 7" if table.disk.has_parent else "0 to 3 or 6"
        row = Evidence("vhdx.bat.state", Outcome.MISMATCHED, expected=expected, actual="state ")
        add_entries(row, piece.entries_of(bad), state[bad], table, findings)
    misplaced = (state == ZERO) & (piece.payload_place != 0)
    if misplaced.any():
        # Hyper-V fails to read such a disk (QEMU's commit "block: vhdx - force FileOffsetMB field
        # to '0' for certain block states"); QEMU reads it. A lost bit of state 6 looks the same.
        row = Evidence(
            "vhdx.bat.zero_place",
            Outcome.MISMATCHED,
            expected="no place for a block of zeros",
            actual="MiB ",
            bearing=Bearing.DOUBTFUL,
        )
        places = piece.payload_place[misplaced]
        add_entries(row, piece.entries_of(misplaced), places, table, findings)
    if piece.reserved.any():
        # Readers mask these bits (QEMU 7.2), so the block may be found; the entry is not whole.
        indexes = piece.index + np.flatnonzero(piece.reserved)
        row = Evidence(
            "vhdx.bat.reserved",
            Outcome.MISMATCHED,
            expected="reserved bits of zero",
            actual="other bits",
            bearing=Bearing.DOUBTFUL,
        )
        add_entries(row, indexes, None, table, findings)
    beyond = present(piece) & ~live(piece, table)
    if beyond.any():
        add_entries(BEYOND, piece.entries_of(beyond), None, table, findings)


def check_rest(view: Source, table: Table, findings: Findings) -> None:
    """Look for blocks behind the last entry: signs of a disk that was larger once.

    Regions are whole mebibytes, and writers set aside no more than the disk needs (seen: all).
    """
    start = table.offset + table.entry_count * ENTRY_BYTES
    length = min(table.offset + table.length, view.size) - start
    length = min(length, MEBIBYTE) // ENTRY_BYTES * ENTRY_BYTES
    if length <= 0:
        return
    entries = np.frombuffer(view.read_at(start, length), "<u8")
    stored = np.flatnonzero((entries & STATE_MASK) >= FULLY_PRESENT)
    add_entries(BEYOND, table.entry_count + stored, None, table, findings)


def check_bitmaps(piece: Piece, table: Table, findings: Findings) -> None:
    """Check bitmap entries, and that partial blocks have one ([MS-VHDX] 2.5.1.1, 2.5.1.2)."""
    state = piece.bitmap_state
    if not table.disk.has_parent:
        # Nothing reads these entries.
        odd = ~np.isin(state, UNUSED_BITMAP_ENTRIES) | (piece.bitmap_place != 0)
        if odd.any():
            row = Evidence(
                "vhdx.bat.bitmap_state",
                Outcome.MISMATCHED,
                expected="no bitmap in a disk without a parent",
                actual="state ",
                bearing=Bearing.REDUNDANT,
            )
            add_entries(row, piece.bitmap_entries_of(odd), state[odd], table, findings)
        return
    bad = ~np.isin(state, (BITMAP_NOT_PRESENT, BITMAP_PRESENT))
    if bad.any():
        row = Evidence(
            "vhdx.bat.bitmap_state", Outcome.MISMATCHED, expected="0 or 6", actual="state "
        )
        add_entries(row, piece.bitmap_entries_of(bad), state[bad], table, findings)
    partial = (piece.payload_state == PARTIALLY_PRESENT).any(axis=1)
    missing = partial & (state == BITMAP_NOT_PRESENT)
    if missing.any():
        row = Evidence(
            "vhdx.bat.bitmap_present",
            Outcome.MISMATCHED,
            expected="a bitmap for blocks partially present",
            actual="none",
        )
        add_entries(row, piece.bitmap_entries_of(missing), None, table, findings)


def check_places(
    piece: Piece, table: Table, used: npt.NDArray[np.uint8], findings: Findings
) -> None:
    """Check that blocks lie behind the headers, clear of regions, log and each other."""
    flags = present(piece)
    groups = (
        (piece.entries_of(flags), piece.payload_place[flags], table.block_mebibytes),
        (
            piece.bitmap_entries_of(bitmaps(piece, table)),
            piece.bitmap_place[bitmaps(piece, table)],
            1,
        ),
    )
    for indexes, places, width in groups:
        clash = mark(used, places, width)
        if clash.any():
            row = Evidence(
                "vhdx.bat.overlap",
                Outcome.MISMATCHED,
                expected="a place of its own",
                actual="taken at MiB ",
            )
            add_entries(row, indexes[clash], places[clash], table, findings)


def mark(used: npt.NDArray[np.uint8], places: Numbers, width: int) -> Flags:
    """Take ``width`` mebibytes at each place; flag those of which something was taken before.

    What lies behind the file's end is left alone: that the file is too short is said elsewhere.
    """
    clash = np.zeros(len(places), bool)
    step = MARK_CELLS_MAX // width
    for first in range(0, len(places), step):
        rows = np.flatnonzero(places[first : first + step] < len(used)) + first
        if not len(rows):
            continue
        cells = np.minimum(places[rows, None] + np.arange(width), len(used) - 1)
        clash[rows] = (used[cells] != 0).any(axis=1)
        order = np.argsort(places[rows], kind="stable")
        close = np.diff(places[rows][order]) < width
        clash[rows[order[1:][close]]] = True
        used[cells] = 1
    return clash


def extended(reach: Reach, piece: Piece, table: Table, size: int) -> Reach:
    """Return ``reach`` with what this piece refers to."""
    flags = present(piece) & live(piece, table)
    places = piece.payload_place[flags]
    has_bitmap = bitmaps(piece, table)
    ends = places + table.block_mebibytes
    bitmap_ends = piece.bitmap_place[has_bitmap] + 1
    allocated = max(int(ends.max(initial=0)), int(bitmap_ends.max(initial=0))) * MEBIBYTE
    slack = table.disk.block_bytes - table.last_bytes
    is_last = piece.entries_of(flags) == last_block(table)
    whole = max(int(ends[~is_last].max(initial=0)), int(bitmap_ends.max(initial=0))) * MEBIBYTE
    clipped = int(ends[is_last].max(initial=0)) * MEBIBYTE - slack
    has_last = bool(is_last.any())
    size_mebibytes = size // MEBIBYTE
    beyond = int(np.count_nonzero(ends[~is_last] > size_mebibytes))
    return replace(
        reach,
        needed=max(reach.needed, whole, clipped if has_last else 0),
        allocated=max(reach.allocated, allocated),
        block_count=reach.block_count + len(places),
        partial_count=reach.partial_count
        + int(np.count_nonzero(piece.payload_state[flags] == PARTIALLY_PRESENT)),
        bitmap_count=reach.bitmap_count + len(bitmap_ends),
        payload=reach.payload + len(places) * table.disk.block_bytes - (slack if has_last else 0),
        beyond_count=reach.beyond_count + beyond + (has_last and clipped > size),
    )


def payload_batches(source: Source, view: Source, table: Table) -> Iterator[ExtentBatch]:
    """Yield the stored blocks inside the file; neighbours in the file are joined."""
    for piece in pieces(view, table):
        flags = present(piece) & live(piece, table)
        places = piece.payload_place[flags]
        inside = places <= source.size // MEBIBYTE
        is_last = piece.entries_of(flags) == last_block(table)
        lengths = np.where(is_last, table.last_bytes, table.disk.block_bytes)
        starts = places[inside] * MEBIBYTE
        ends = np.minimum(starts + lengths[inside], source.size)
        offset, length = joined(starts, ends)
        if len(offset):
            yield ExtentBatch(Payload(), "vhdx.block.content", 0, offset, length)


def joined(starts: Numbers, ends: Numbers) -> tuple[Numbers, Numbers]:
    """Return ranges that touch or overlap as one, sorted and not empty."""
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    opens = np.ones(len(starts), bool)
    opens[1:] = starts[1:] > ends[:-1]
    closes = np.append(opens[1:], True)[: len(starts)]
    offset, length = starts[opens], ends[closes] - starts[opens]
    filled = length > 0
    return offset[filled], length[filled]
