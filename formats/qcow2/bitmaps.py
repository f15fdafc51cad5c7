"""Persistent dirty bitmaps ([spec] "Bitmaps").

They are not needed for the disk's content, but [QEMU] refuses an image whose bitmaps it cannot
load.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from formats.core.layout import Layout, u8, u16, u32, u64
from formats.core.model import Bearing, Source
from formats.qcow2.extensions import BitmapsExtension, printable
from formats.qcow2.findings import Findings, Ints
from formats.qcow2.header import BITMAPS_CONSISTENT, Header, placeable
from formats.qcow2.l1 import OFFSET_MASK
from formats.qcow2.references import Claims
from formats.qcow2.tables import read_words

# [QEMU] block/qcow2-bitmap.c refuses more of each.
BITMAPS_MAX = 65_535
BITMAP_BYTES_MAX = 512 << 20
GRANULARITY_BITS_MIN = 9
GRANULARITY_BITS_MAX = 31
# Entries of all bitmap tables together: 256 GiB of bits in clusters of 64 KiB.
TABLE_ENTRIES_MAX = 1 << 22

DIRTY_TRACKING = 1
IN_USE = 1
FLAGS_KNOWN = 0b111
# A directory with more entries that lead nowhere is not read to its end.
LOST_MAX = 100
ALL_ONES = np.uint64(1)


class DirectoryLayout(Layout, size=24, order=">"):
    """[spec] "Bitmap directory", the fixed part of an entry."""

    bitmap_table_offset = u64(0)
    bitmap_table_size = u32(8)
    flags = u32(12)
    type = u8(16)
    granularity_bits = u8(17)
    name_size = u16(18)
    extra_data_size = u32(20)


@dataclass(frozen=True, slots=True)
class Bitmap:
    """One bitmap; ``place`` is where its directory entry stands."""

    place: int
    name: str
    granularity_bits: int
    type: int
    flags: int
    table_offset: int
    table_size: int
    extra_data_size: int


@dataclass(frozen=True, slots=True)
class Concern:
    """How bad it is when something about bitmaps is wrong; they may be out of date anyway."""

    findings: Findings
    bearing: Bearing

    def mismatch(self, check: str, offset: int, length: int, expected: str, actual: str) -> None:
        """Keep a structure that contradicts the format."""
        self.findings.mismatch(check, offset, length, expected, actual, self.bearing)

    def need(self, end: int) -> None:
        """Note that bytes are needed, unless the bitmaps are out of date."""
        if self.bearing is Bearing.NEEDED:
            self.findings.need(end)

    def lose(self) -> None:
        """Note that clusters of bitmaps stay unknown; those out of date are not missed."""
        if self.bearing is Bearing.NEEDED:
            self.findings.map_whole = False


def read_bitmaps(
    source: Source,
    header: Header,
    extension: BitmapsExtension | None,
    limit_bytes: int,
    claims: Claims,
    findings: Findings,
) -> tuple[Bitmap, ...]:
    """Return the bitmaps, and claim their clusters.

    ``limit_bytes`` is up to where refcounts reach.
    """
    if extension is None:
        return ()
    stale = not header.autoclear_features & BITMAPS_CONSISTENT
    concern = Concern(findings, Bearing.REDUNDANT if stale else Bearing.NEEDED)
    mine = Claims()
    mine.hold(extension.directory_offset, extension.directory_size, header.cluster_bits)
    bitmaps: list[Bitmap] = []
    lost, room = 0, TABLE_ENTRIES_MAX
    for bitmap in directory_entries(source, extension, concern):
        bitmaps.append(bitmap)
        if not check_bitmap(bitmap, header, limit_bytes, concern):
            lost += 1
            concern.lose()
            if lost == LOST_MAX:
                break
            continue
        room -= bitmap.table_size
        if room < 0:
            findings.unsupported(
                "qcow2.bitmaps.limit", bitmap.place, 24, f"{TABLE_ENTRIES_MAX} entries", "more"
            )
            concern.lose()
            break
        if bitmap.extra_data_size:
            # Seen: [QEMU] refuses the image, as it knows no extra data.
            findings.unsupported(
                "qcow2.bitmaps.directory",
                bitmap.place,
                24,
                "no extra data",
                f"{bitmap.extra_data_size} bytes",
                concern.bearing,
            )
        mine.hold(bitmap.table_offset, bitmap.table_size * 8, header.cluster_bits)
        mine.single.append(read_table(source, bitmap, header, limit_bytes, concern))
    findings.match("qcow2.bitmaps.directory", len(bitmaps))
    findings.match("qcow2.bitmaps.table", len(bitmaps))
    add_claims(mine, claims, stale=stale)
    return tuple(bitmaps)


def add_claims(mine: Claims, claims: Claims, *, stale: bool) -> None:
    """Add what bitmaps occupy; bitmaps that are out of date only excuse a refcount."""
    if stale:
        runs = [np.arange(first, first + count) for first, count in mine.runs]
        claims.excused.extend((*runs, *mine.single))
    else:
        claims.runs.extend(mine.runs)
        claims.single.extend(mine.single)


def directory_entries(
    source: Source, extension: BitmapsExtension, concern: Concern
) -> Iterator[Bitmap]:
    """Yield the directory's entries, as far as it holds together."""
    start, count = extension.directory_offset, 0
    offset, end = start, start + extension.directory_size
    concern.need(end)
    if end > source.size:
        concern.lose()
        return
    while offset < end and count < BITMAPS_MAX:
        bitmap, offset = read_entry(source, offset, end)
        if bitmap is None:
            break
        yield bitmap
        count += 1
    if offset < end or count != extension.nb_bitmaps:
        concern.lose()
        concern.mismatch(
            "qcow2.bitmaps.directory",
            start,
            extension.directory_size,
            f"{extension.nb_bitmaps} bitmaps",
            f"{count} bitmaps",
        )


def read_entry(source: Source, offset: int, end: int) -> tuple[Bitmap | None, int]:
    """Return one entry and the offset of the next; None where it does not fit before ``end``."""
    if offset + DirectoryLayout.size > end:
        return None, offset
    row = DirectoryLayout.parse(source.read_at(offset, DirectoryLayout.size))
    name_offset = offset + DirectoryLayout.size + row.extra_data_size
    if name_offset + row.name_size > end:
        return None, offset
    bitmap = Bitmap(
        offset,
        printable(source.read_at(name_offset, row.name_size)),
        row.granularity_bits,
        row.type,
        row.flags,
        row.bitmap_table_offset,
        row.bitmap_table_size,
        row.extra_data_size,
    )
    return bitmap, -(-(name_offset + row.name_size) // 8) * 8


def check_bitmap(bitmap: Bitmap, header: Header, limit_bytes: int, concern: Concern) -> bool:
    """Report a directory entry that contradicts the format; return if its table can be read."""
    table_bytes = bitmap.table_size << header.cluster_bits
    placed = (
        placeable(bitmap.table_offset, bitmap.table_size * 8, header, limit_bytes)
        and bitmap.table_size > 0
        and table_bytes <= BITMAP_BYTES_MAX
    )
    grained = GRANULARITY_BITS_MIN <= bitmap.granularity_bits <= GRANULARITY_BITS_MAX
    known = bitmap.type == DIRTY_TRACKING and not bitmap.flags & ~FLAGS_KNOWN
    if not placed or not grained or not known:
        concern.mismatch(
            "qcow2.bitmaps.directory",
            bitmap.place,
            DirectoryLayout.size,
            "a dirty tracking bitmap in a table of whole clusters",
            f"{bitmap.table_size} clusters by a table at {bitmap.table_offset:#x}, "
            f"granularity 2^{bitmap.granularity_bits}",
        )
        return placed
    # Seen: [QEMU] makes the table exactly as long as the disk wants, unless the bitmap is in use.
    wanted = -(-bitmap_bytes(bitmap, header) >> header.cluster_bits)
    if bitmap.table_size != wanted and not bitmap.flags & IN_USE:
        concern.mismatch(
            "qcow2.bitmaps.table",
            bitmap.place,
            DirectoryLayout.size,
            f"{wanted} clusters for the disk",
            f"{bitmap.table_size} clusters",
        )
    return True


def bitmap_bytes(bitmap: Bitmap, header: Header) -> int:
    """Return how many bytes the bits of the whole disk take."""
    bits = -(-header.size >> bitmap.granularity_bits)
    return -(-bits // 8)


def read_table(
    source: Source, bitmap: Bitmap, header: Header, limit_bytes: int, concern: Concern
) -> Ints:
    """Return the clusters that hold a bitmap's bits."""
    nothing = np.empty(0, np.int64)
    concern.need(bitmap.table_offset + bitmap.table_size * 8)
    if bitmap.table_offset + bitmap.table_size * 8 > source.size:
        concern.lose()
        return nothing
    clusters = [nothing]
    for first, words in read_words(source, bitmap.table_offset, bitmap.table_size):
        offset = words & OFFSET_MASK
        wrong = words & ~(OFFSET_MASK | ALL_ONES) != 0
        wrong |= (offset != 0) & (words & ALL_ONES != 0)
        wrong |= offset & np.uint64(header.cluster_size - 1) != 0
        wrong |= offset >= np.uint64(limit_bytes)
        if wrong.any():
            concern.findings.mismatch_entries(
                "qcow2.bitmaps.table",
                bitmap.table_offset + (first + np.flatnonzero(wrong)) * 8,
                words[wrong],
                "an offset of whole clusters, or all zeros or ones",
                concern.bearing,
            )
            concern.lose()
        index = np.flatnonzero(~wrong & (offset != 0))
        placed = offset[index].astype(np.int64)
        if len(placed):
            need_bits(bitmap, header, first + index, placed, concern)
        clusters.append(placed >> header.cluster_bits)
    return np.concatenate(clusters)


def need_bits(bitmap: Bitmap, header: Header, index: Ints, placed: Ints, concern: Concern) -> None:
    """Note up to where the file must hold a bitmap's bits; the last cluster may hold few."""
    left = bitmap_bytes(bitmap, header) - (index << header.cluster_bits)
    concern.need(int((placed + np.clip(left, 0, header.cluster_size)).max()))
