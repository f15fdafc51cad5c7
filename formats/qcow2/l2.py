"""L2 tables: what each entry says, as columns, and whether it may say so.

[spec] "L2 table entry", "Standard Cluster Descriptor", "Compressed Clusters Descriptor" and
"Extended L2 Entries".
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from formats.core.model import Bearing, Source
from formats.qcow2.findings import Findings, Ints, Words
from formats.qcow2.header import VERSION_FEATURES, Header
from formats.qcow2.l1 import COPIED, OFFSET_MASK, L2Tables
from formats.qcow2.tables import read_tables

Bools = npt.NDArray[np.bool_]

COMPRESSED = np.uint64(1 << 62)
ZERO = np.uint64(1)
STANDARD_RESERVED = ~(OFFSET_MASK | COPIED | COMPRESSED | ZERO)
SUBCLUSTERS = 32
ALLOCATED_MASK = np.uint64(0xFFFF_FFFF)
SECTOR_BYTES = 512


@dataclass(frozen=True, slots=True)
class Entries:
    """Used entries of some L2 tables, one row each.

    ``table`` is the row of the entry's table in its `L2Tables`, ``index`` the entry's place in the
    table. ``offset`` up to ``end`` are bytes of the file that holds the clusters; a compressed
    cluster's ``end`` is rounded up to sectors. ``subclusters`` is None without extended entries.
    """

    table: Ints
    index: Ints
    descriptor: Words
    subclusters: Words | None
    compressed: Bools
    offset: Ints
    end: Ints

    def choose(self, rows: Bools) -> "Entries":
        """Return some of the entries."""
        if rows.all():
            return self
        return Entries(
            self.table[rows],
            self.index[rows],
            self.descriptor[rows],
            None if self.subclusters is None else self.subclusters[rows],
            self.compressed[rows],
            self.offset[rows],
            self.end[rows],
        )


@dataclass(frozen=True, slots=True)
class MapReader:
    """All that is needed to walk the map again: after `inspect` has found it, it stays so.

    ``limit_bytes`` is up to where refcounts reach. ``vm_state`` is whether some snapshot holds the
    state of a running machine, which is mapped behind the disk.
    """

    header: Header
    tables: L2Tables
    limit_bytes: int
    vm_state: bool = False

    def chunks(self, source: Source, rows: Bools | None = None) -> Iterator[Entries]:
        """Yield the used entries of all tables, or of those in ``rows``, in bounded pieces."""
        numbers = np.arange(len(self.tables.offset)) if rows is None else np.flatnonzero(rows)
        offsets = self.tables.offset[numbers]
        for chunk in read_tables(source, offsets, self.header.cluster_size):
            used = used_entries(chunk.content, self.header)
            yield Entries(
                numbers[chunk.first + used.table],
                used.index,
                used.descriptor,
                used.subclusters,
                used.compressed,
                used.offset,
                used.end,
            )

    def place(self, entries: Entries) -> Ints:
        """Return where in the file each entry stands."""
        place: Ints = self.tables.offset[entries.table] + entries.index * self.header.entry_bytes
        return place

    def guest_cluster(self, entries: Entries) -> Ints:
        """Return which cluster of the disk each entry maps."""
        guest: Ints = (
            self.tables.l1_index[entries.table] * self.header.entries_per_table + entries.index
        )
        return guest

    def on_disk(self, entries: Entries) -> Bools:
        """Return which entries belong to the active virtual disk."""
        inside: Bools = self.guest_cluster(entries) < self.header.disk_clusters
        return inside & self.tables.active[entries.table]


def used_entries(content: npt.NDArray[np.uint8], header: Header) -> Entries:
    """Return the entries of a chunk of tables that are not all zeros."""
    words = content.reshape(-1).view(">u8")
    if header.extended_l2:
        descriptors, bitmaps = words[0::2], words[1::2]
        used = np.flatnonzero((descriptors != 0) | (bitmaps != 0))
        subclusters: Words | None = bitmaps[used].astype(np.uint64)
    else:
        descriptors, subclusters = words, None
        used = np.flatnonzero(words)
    descriptor = descriptors[used].astype(np.uint64)
    compressed = descriptor & COMPRESSED != 0
    offset = (descriptor & OFFSET_MASK).astype(np.int64)
    end = offset + header.cluster_size
    if compressed.any():
        packed = descriptor[compressed]
        offset[compressed], end[compressed] = compressed_range(packed, header.cluster_bits)
    bits = header.entries_per_table.bit_length() - 1
    return Entries(
        used >> bits,
        used & (header.entries_per_table - 1),
        descriptor,
        subclusters,
        compressed,
        offset,
        end,
    )


def compressed_range(descriptor: Words, cluster_bits: int) -> tuple[Ints, Ints]:
    """Return start and sector-rounded end of compressed clusters."""
    offset_bits = 62 - (cluster_bits - 8)
    offset = (descriptor & np.uint64((1 << offset_bits) - 1)).astype(np.int64)
    sectors = (descriptor & (COMPRESSED - np.uint64(1))) >> np.uint64(offset_bits)
    first = offset // SECTOR_BYTES
    return offset, (first + sectors.astype(np.int64) + 1) * SECTOR_BYTES


def followable(entries: Entries, reader: MapReader) -> Bools:
    """Return which entries point to where a cluster can be."""
    header = reader.header
    if header.external_data:
        # [spec] "incompatible_features" bit 2 must: a guest cluster is at its own place in the
        # data file, and is not compressed. There offset 0 is the first cluster.
        at_home = entries.offset == reader.guest_cluster(entries) << header.cluster_bits
        good: Bools = at_home & ~entries.compressed
        return good & allocated(entries, reader)
    wrong: Bools = entries.offset & (header.cluster_size - 1) != 0
    wrong = (wrong & ~entries.compressed) | (entries.offset >= reader.limit_bytes)
    return ~wrong & allocated(entries, reader)


def allocated(entries: Entries, reader: MapReader) -> Bools:
    """Return which entries claim a cluster."""
    placed: Bools = entries.offset != 0
    if reader.header.external_data:
        flagged: Bools = entries.descriptor & COPIED != 0
        return placed | flagged
    return placed | entries.compressed


def reads_zero(entries: Entries, header: Header) -> Bools:
    """Return which entries say that their cluster reads as zeros, whatever it holds."""
    if header.extended_l2:
        return np.zeros(len(entries.offset), np.bool_)
    flagged: Bools = entries.descriptor & ZERO != 0
    return flagged & ~entries.compressed


def stored_subclusters(entries: Entries, header: Header) -> Words:
    """Return as a bitmap which of its 32 parts each entry stores; a whole cluster stores all."""
    full = np.full(len(entries.offset), ALLOCATED_MASK)
    if entries.subclusters is not None:
        full = np.where(entries.compressed, full, entries.subclusters & ALLOCATED_MASK)
    return np.where(reads_zero(entries, header), np.uint64(0), full)


def stored_ends(entries: Entries, stored: Words, reader: MapReader) -> Ints:
    """Return up to where each entry's bytes are needed for certain; 0 where none are.

    A standard cluster is needed up to its last stored subcluster, and no further than the disk
    goes. A compressed one ends somewhere in its last sector.
    """
    header = reader.header
    if entries.subclusters is None:
        length = np.where(stored != 0, header.cluster_size, 0)
    else:
        # frexp of a whole number gives the count of its bits.
        parts = np.frexp(stored.astype(np.float64))[1].astype(np.int64)
        length = parts * (header.cluster_size // SUBCLUSTERS)
    disk_bytes = reader.tables.disk_bytes[entries.table]
    guest = reader.guest_cluster(entries)
    last = guest == disk_bytes >> header.cluster_bits
    # Whole clusters, and VM state behind the end of the disk, are not shortened.
    remainder = disk_bytes & (header.cluster_size - 1)
    length = np.where(last & (remainder > 0), np.minimum(length, remainder), length)
    ends = np.where(length > 0, entries.offset + length, 0)
    return np.where(entries.compressed, entries.end - SECTOR_BYTES + 1, ends)


def report_entries(entries: Entries, reader: MapReader, findings: Findings) -> None:
    """Report entries that contradict the format."""
    report = Report(entries, reader, findings)
    report_offsets(report)
    report_flags(report)
    if entries.subclusters is not None:
        report_subclusters(report, entries.subclusters)
    header, table = reader.header, entries.table
    # VM state starts with the L1 entry behind the disk's last; between the two nothing can be.
    # Seen: [QEMU] frees clusters behind the new end when it shrinks an image. Without VM state
    # anywhere, whatever is mapped behind the disk says that the disk was larger.
    beyond = reader.tables.active[table] & allocated(entries, reader)
    beyond &= reader.guest_cluster(entries) >= header.disk_clusters
    if reader.vm_state:
        beyond &= reader.tables.l1_index[table] < header.disk_tables
    report.wrong(
        "qcow2.l2.beyond_disk", beyond, "nothing behind the end of the disk", Bearing.DOUBTFUL
    )


@dataclass(frozen=True, slots=True)
class Report:
    """A chunk of entries, and where what is wrong with them goes."""

    entries: Entries
    reader: MapReader
    findings: Findings

    def wrong(
        self,
        check: str,
        rows: Bools,
        expected: str,
        bearing: Bearing = Bearing.NEEDED,
        *,
        bitmap: bool = False,
    ) -> None:
        """Report some entries, by their descriptor or by their subcluster bitmap."""
        if not rows.any():
            return
        chosen = self.entries.choose(rows)
        place = self.reader.place(chosen)
        values = chosen.descriptor
        if bitmap and chosen.subclusters is not None:
            place, values = place + 8, chosen.subclusters
        self.findings.mismatch_entries(check, place, values, expected, bearing)


def report_offsets(report: Report) -> None:
    """Report entries that point to where no cluster can be."""
    entries, reader = report.entries, report.reader
    claimed = allocated(entries, reader)
    report.wrong(
        "qcow2.l2.entry",
        claimed & ~followable(entries, reader),
        "its own place in the data file"
        if reader.header.external_data
        else "whole clusters that have a refcount",
    )
    report.wrong(
        "qcow2.l2.entry",
        ~claimed & (entries.descriptor & COPIED != 0),
        "an offset beside the copied flag",
        Bearing.DOUBTFUL,
    )
    if reader.header.external_data:
        # [spec] "L2 table entry" should: there the flag alone tells a cluster at offset 0 from
        # none. Elsewhere it is held against the refcount, later.
        report.wrong(
            "qcow2.l2.copied",
            claimed & (entries.descriptor & COPIED == 0),
            "the copied flag of every cluster in the data file",
            Bearing.REDUNDANT,
        )


def report_flags(report: Report) -> None:
    """Report flags that this version does not have, and reserved bits."""
    entries, header = report.entries, report.reader.header
    zero = ~entries.compressed & (entries.descriptor & ZERO != 0)
    if header.version < VERSION_FEATURES:
        # [spec] must be 0; [QEMU] takes it for corruption and refuses to read the cluster.
        report.wrong("qcow2.l2.entry", zero, "no zero flag in version 2")
    reserved = ~entries.compressed & (entries.descriptor & STANDARD_RESERVED != 0)
    if header.extended_l2:
        reserved |= zero
    # Seen: [QEMU] masks these bits away when it reads.
    report.wrong("qcow2.l2.reserved", reserved, "reserved bits 0", Bearing.REDUNDANT)


def report_subclusters(report: Report, subclusters: Words) -> None:
    """Report subcluster bitmaps that contradict themselves or their entry."""
    entries = report.entries
    stored, zeros = subclusters & ALLOCATED_MASK, subclusters >> np.uint64(32)
    wrong = stored & zeros != 0
    wrong |= (stored != 0) & ~allocated(entries, report.reader)
    # [QEMU] answers reads of such a cluster with an I/O error.
    report.wrong(
        "qcow2.l2.entry",
        wrong & ~entries.compressed,
        "each subcluster either stored in a cluster or zero",
        bitmap=True,
    )
    report.wrong(
        "qcow2.l2.reserved",
        entries.compressed & (subclusters != 0),
        "no subclusters of a compressed cluster",
        Bearing.REDUNDANT,
        bitmap=True,
    )
