"""The first walk over the L2 tables: what is stored, how long the file must be, what is wrong."""

from dataclasses import dataclass

import numpy as np

from formats.core.model import Source
from formats.qcow2.findings import Findings, Ints
from formats.qcow2.l2 import (
    SUBCLUSTERS,
    Entries,
    MapReader,
    followable,
    report_entries,
    stored_ends,
    stored_subclusters,
)
from formats.qcow2.references import Spans


@dataclass(slots=True)
class Totals:
    """Counts over the active disk, except ``compressed_anywhere`` (snapshots too).

    ``data_end`` is the end of the last guest cluster that is stored, on the disk.
    """

    payload_bytes: int = 0
    data_clusters: int = 0
    compressed_clusters: int = 0
    zero_clusters: int = 0
    compressed_anywhere: int = 0
    entries: int = 0
    data_end: int = 0


def survey_map(source: Source, reader: MapReader, findings: Findings) -> tuple[Totals, Spans]:
    """Look at every entry once, and return what they add up to and where each table points."""
    totals = Totals()
    spans = no_spans(reader)
    for entries in reader.chunks(source):
        totals.entries += len(entries.index)
        report_entries(entries, reader, findings)
        add_zero_clusters(entries, reader, totals)
        good = entries.choose(followable(entries, reader))
        widen(spans, good, reader.header.cluster_bits)
        add_stored(good, reader, totals, findings)
    for name in ("entry", "reserved", "beyond_disk"):
        findings.match(f"qcow2.l2.{name}", totals.entries)
    return totals, spans


def find_spans(source: Source, reader: MapReader) -> Spans:
    """Return where each table points, without looking at anything else."""
    spans = no_spans(reader)
    for entries in reader.chunks(source):
        good = entries.choose(followable(entries, reader))
        widen(spans, good, reader.header.cluster_bits)
    return spans


def no_spans(reader: MapReader) -> Spans:
    """Return spans of tables that point nowhere yet."""
    count = len(reader.tables.offset)
    return Spans(np.full(count, np.iinfo(np.int64).max), np.full(count, -1))


def widen(spans: Spans, entries: Entries, cluster_bits: int) -> None:
    """Note where each table of a chunk points."""
    np.minimum.at(spans.first, entries.table, entries.offset >> cluster_bits)
    np.maximum.at(spans.last, entries.table, (entries.end - 1) >> cluster_bits)


def add_stored(entries: Entries, reader: MapReader, totals: Totals, findings: Findings) -> None:
    """Add what a chunk of good entries stores, and how long the file must be for it."""
    header = reader.header
    stored = stored_subclusters(entries, header)
    ends = stored_ends(entries, stored, reader)
    disk = reader.on_disk(entries)
    parts = np.bitwise_count(stored[disk])
    totals.payload_bytes += int(parts.sum(dtype=np.int64)) * header.cluster_size // SUBCLUSTERS
    totals.data_clusters += int(np.count_nonzero((stored != 0) & disk & ~entries.compressed))
    totals.compressed_clusters += int(np.count_nonzero(disk & entries.compressed))
    totals.compressed_anywhere += int(np.count_nonzero(entries.compressed))
    if header.external_data:
        # In a data file a guest cluster's end is its host end.
        totals.data_end = max(totals.data_end, int(ends[disk].max(initial=0)))
    else:
        findings.need(int(ends.max(initial=0)))


def add_zero_clusters(entries: Entries, reader: MapReader, totals: Totals) -> None:
    """Count clusters of the active disk that are stated to read as zeros."""
    stored = stored_subclusters(entries, reader.header)
    idle = ~entries.compressed & (stored == 0) & reader.on_disk(entries)
    if entries.subclusters is None:
        idle &= entries.descriptor & np.uint64(1) != 0
    totals.zero_clusters += int(np.count_nonzero(idle))


def used_clusters(entries: Entries, reader: MapReader) -> Ints:
    """Return the host clusters that hold source data of the active disk, in no order."""
    good = followable(entries, reader) & reader.on_disk(entries)
    good &= stored_subclusters(entries, reader.header) != 0
    chosen = entries.choose(good)
    bits = reader.header.cluster_bits
    first, last = chosen.offset >> bits, (chosen.end - 1) >> bits
    longer = [first[last >= first + step] + step for step in (1, 2)]
    return np.concatenate((first, *longer))
