"""Refcounts: how often each host cluster should be referred to, as the image says.

[spec] "Host cluster management": a table of pointers to blocks of one cluster; a block holds one
count per host cluster, ``1 << refcount_order`` bits wide.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from formats.core.model import Bearing, Source
from formats.qcow2.findings import Findings, Ints
from formats.qcow2.header import (
    OFFSET_UNLIMITED,
    REFCOUNT_ORDER_MAX,
    REFCOUNT_TABLE_BYTES_MAX,
    Header,
    HeaderLayout,
    placeable,
)
from formats.qcow2.tables import read_tables, read_words

Counts = npt.NDArray[np.uint16]

# Counts of 16 bits are what nearly every image has; wider ones are told apart up to here only.
COUNT_MAX = 65_534
COUNT_UNKNOWN = 65_535


@dataclass(frozen=True, slots=True)
class Refcounts:
    """The refcount table as far as it can be followed.

    ``block_index`` is a block's place in the table, ``block_offset`` where it is; sorted by place.
    ``lost_index`` are the places of blocks that cannot be read. ``whole`` says that the table
    itself could be read: without it nothing is known of any cluster.
    """

    order: int
    entries_per_block: int
    whole: bool
    block_index: Ints
    block_offset: Ints
    lost_index: Ints

    @property
    def covered_clusters(self) -> int:
        """Clusters up to the last one that some block counts."""
        places = (self.block_index, self.lost_index)
        last = max(int(part.max(initial=-1)) for part in places)
        return (last + 1) * self.entries_per_block

    def limit_bytes(self, header: Header, size: int) -> int:
        """Up to which offset something can be allocated in a file of ``size`` bytes."""
        if not self.whole:
            return OFFSET_UNLIMITED
        limit = self.covered_clusters << header.cluster_bits
        # With lazy refcounts a block that counts the newest clusters may not be written yet.
        return min(max(limit, size) if header.dirty else limit, OFFSET_UNLIMITED)


def read_refcount_table(source: Source, header: Header, findings: Findings) -> Refcounts:
    """Return the blocks of the refcount table, after reporting bad pointers."""
    nothing = np.empty(0, np.int64)
    order = min(header.refcount_order, REFCOUNT_ORDER_MAX)
    entries_per_block = header.cluster_size * 8 >> order
    absent = Refcounts(order, entries_per_block, False, nothing, nothing, nothing)  # noqa: FBT003
    offset = header.refcount_table_offset
    table_bytes = header.refcount_table_clusters << header.cluster_bits
    if not 0 < table_bytes <= REFCOUNT_TABLE_BYTES_MAX or not placeable(
        offset, table_bytes, header, OFFSET_UNLIMITED
    ):
        findings.mismatch(
            "qcow2.refcount_table.place",
            HeaderLayout.refcount_table_offset.offset,
            12,
            f"1 to {REFCOUNT_TABLE_BYTES_MAX} bytes of whole clusters",
            f"{table_bytes} bytes at {offset:#x}",
        )
        return absent
    findings.match("qcow2.refcount_table.place")
    findings.need(offset + table_bytes)
    if offset + table_bytes > source.size or header.refcount_order > REFCOUNT_ORDER_MAX:
        return absent
    index, pointer = follow_table(source, header, findings)
    findings.match("qcow2.refcount_table.entry", len(index))
    ends = pointer + header.cluster_size
    findings.need(int(ends[pointer > 0].max(initial=0)))
    inside = (pointer > 0) & (ends <= source.size)
    return Refcounts(order, entries_per_block, True, index[inside], pointer[inside], index[~inside])  # noqa: FBT003


def follow_table(source: Source, header: Header, findings: Findings) -> tuple[Ints, Ints]:
    """Return place and pointer of every allocated block; the pointer is 0 where it is wrong."""
    count = header.refcount_table_clusters << (header.cluster_bits - 3)
    indexes, words = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
    for first, piece in read_words(source, header.refcount_table_offset, count):
        used = np.flatnonzero(piece)
        indexes.append(first + used)
        words.append(piece[used])
    index, entries = np.concatenate(indexes), np.concatenate(words)
    # A block is a cluster that some block counts, so it lies below what all of them cover.
    covered = (
        (int(index[-1]) + 1) * (header.cluster_size * 8 >> header.refcount_order)
        if len(index)
        else 0
    )
    wrong = entries & np.uint64(header.cluster_size - 1) != 0
    wrong |= entries >> np.uint64(header.cluster_bits) >= np.uint64(covered)
    # A restore reads no refcounts, but without them nothing speaks for the map.
    findings.mismatch_entries(
        "qcow2.refcount_table.entry",
        header.refcount_table_offset + index[wrong] * 8,
        entries[wrong],
        "whole clusters inside the file",
        Bearing.DOUBTFUL,
    )
    return index, np.where(wrong, np.uint64(0), entries).astype(np.int64)


def fill_counts(
    source: Source, refcounts: Refcounts, cluster_size: int, first: int, counts: Counts
) -> None:
    """Fill ``counts`` for the clusters from ``first`` on.

    Clusters of no block have count 0, those of a block that cannot be read `COUNT_UNKNOWN`.
    """
    if not refcounts.whole:
        counts[:] = COUNT_UNKNOWN
        return
    per_block = refcounts.entries_per_block
    low, high = first // per_block, -(-(first + len(counts)) // per_block)
    for lost in refcounts.lost_index[within(refcounts.lost_index, low, high)].tolist():
        start = max(0, lost * per_block - first)
        counts[start : (lost + 1) * per_block - first] = COUNT_UNKNOWN
    chosen = within(refcounts.block_index, low, high)
    by_offset = np.argsort(refcounts.block_offset[chosen], kind="stable")
    starts = refcounts.block_index[chosen][by_offset] * per_block - first
    # One block at two places is damage, and shows as an overlap; it is read for both.
    offsets, borders = np.unique(refcounts.block_offset[chosen][by_offset], return_index=True)
    borders = np.append(borders, len(starts))
    for chunk in read_tables(source, offsets, cluster_size):
        for row, block in enumerate(chunk.content, chunk.first):
            for start in starts[borders[row] : borders[row + 1]].tolist():
                fill_block(block, start, refcounts.order, counts)


def fill_block(block: npt.NDArray[np.uint8], start: int, order: int, counts: Counts) -> None:
    """Copy that part of a block which falls into ``counts``; the block begins at ``start``."""
    skipped = max(0, -start)
    room = counts[start + skipped :]
    # Both numbers are multiples of eight: windows and blocks begin at such clusters.
    first_byte, bytes_max = (skipped << order) >> 3, -(-len(room) << order) >> 3
    values = unpack_counts(block[first_byte : first_byte + bytes_max], order)
    room[: len(values)] = values[: len(room)]


def within(values: Ints, low: int, high: int) -> slice:
    """Return where sorted ``values`` lie in ``low`` up to ``high``."""
    return slice(int(np.searchsorted(values, low)), int(np.searchsorted(values, high)))


def unpack_counts(block: npt.NDArray[np.uint8], order: int) -> Counts:
    """Return the counts of a block, those above `COUNT_MAX` as `COUNT_MAX`."""
    bits = 1 << order
    if bits < 8:  # noqa: PLR2004 - several counts in a byte, the first in its lowest bits
        shifts = np.arange(0, 8, bits, dtype=np.uint8)
        wide = (block[:, None] >> shifts) & np.uint8((1 << bits) - 1)
        return wide.reshape(-1).astype(np.uint16)
    words = block.view(f">u{bits // 8}").astype(f"u{bits // 8}")
    if bits > 8:  # noqa: PLR2004 - a byte cannot hold the limit
        words = np.minimum(words, words.dtype.type(COUNT_MAX))
    return words.astype(np.uint16)
