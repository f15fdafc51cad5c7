"""The cross-check: everything that refers to a host cluster, against the refcount it has.

L2 tables are read again for every window that they point into; a table's first and last cluster
are known from the first walk, so the tables of an image written in order are read about once more.
"""

from dataclasses import dataclass

import numpy as np

from formats.core.model import Bearing, Source
from formats.qcow2.comparison import Judge, compare
from formats.qcow2.findings import Findings, Ints
from formats.qcow2.header import HeaderLayout
from formats.qcow2.l1 import COPIED, OFFSET_MASK, L1Entries
from formats.qcow2.l2 import Entries, MapReader, Report, followable
from formats.qcow2.refcounts import COUNT_UNKNOWN, Refcounts, fill_counts
from formats.qcow2.references import (
    ALONE,
    DATA,
    PACKED,
    TABLE,
    WINDOW_CLUSTERS,
    Claims,
    Spans,
    Window,
)

# 64 TiB of clusters of 64 KiB.
WINDOWS_MAX = 256
# The last window that is looked for: 1 PiB of clusters of 64 KiB.
WINDOW_NUMBERS_MAX = 4096


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """All that refers to clusters, and all that counts them."""

    reader: MapReader
    refcounts: Refcounts
    claims: Claims
    spans: Spans
    active: L1Entries
    tree_count: int

    @property
    def cluster_bits(self) -> int:
        """Number of bits of an offset inside a cluster."""
        return self.reader.header.cluster_bits


def cross_check(source: Source, check: CrossCheck, findings: Findings) -> None:
    """Compare references with refcounts over the whole file."""
    header = check.reader.header
    chosen, left_out = choose_windows(source.size, check)
    if left_out:
        findings.unsupported(
            "qcow2.refcount.limit",
            HeaderLayout.refcount_table_offset.offset,
            12,
            f"{WINDOWS_MAX} windows of {WINDOW_CLUSTERS} clusters",
            "more",
        )
    judge = Judge(check.cluster_bits, source.size, check.tree_count, header.dirty, findings)
    for first, count in chosen:
        counts, references = np.zeros(count, np.uint16), np.zeros(count, np.uint16)
        window = Window(first, counts, references, np.zeros(count, np.uint8))
        fill_counts(source, check.refcounts, header.cluster_size, first, counts)
        refer_all(source, check, window, findings)
        compare(window, judge)
    compared = sum(count for _, count in chosen)
    for name in ("missing", "leaked", "overlap"):
        findings.match(f"qcow2.cluster.{name}", compared)
    if not header.dirty:
        findings.match("qcow2.l1.copied", len(check.active.index))
        findings.match("qcow2.l2.copied", int(np.count_nonzero(check.reader.tables.active)))


def choose_windows(size: int, check: CrossCheck) -> tuple[list[tuple[int, int]], bool]:
    """Return first cluster and count of every window that holds something, and if some are left."""
    bits = check.cluster_bits
    end = max(-(-size >> bits), check.refcounts.covered_clusters)
    end = min(end, -(-check.reader.limit_bytes >> bits))
    numbers = occupied_windows(check)
    for number in check.spans.window_numbers(WINDOW_CLUSTERS)[:WINDOW_NUMBERS_MAX]:
        if check.spans.touching(number * WINDOW_CLUSTERS, WINDOW_CLUSTERS).any():
            numbers.add(number)
    number_max = min(-(-end // WINDOW_CLUSTERS), WINDOW_NUMBERS_MAX)
    firsts = [number * WINDOW_CLUSTERS for number in sorted(numbers) if number < number_max]
    left_out = len(firsts) > WINDOWS_MAX or end > WINDOW_NUMBERS_MAX * WINDOW_CLUSTERS
    return [(first, min(WINDOW_CLUSTERS, end - first)) for first in firsts[:WINDOWS_MAX]], left_out


def occupied_windows(check: CrossCheck) -> set[int]:
    """Return which windows hold refcounts or structures; others may still hold data."""
    refcounts, bits = check.refcounts, check.cluster_bits
    places = np.concatenate((refcounts.block_index, refcounts.lost_index))
    firsts = places * refcounts.entries_per_block // WINDOW_CLUSTERS
    # A block of more counts than a window has clusters fills several windows.
    steps = max(1, refcounts.entries_per_block // WINDOW_CLUSTERS)
    clusters = (
        refcounts.block_offset >> bits,
        check.reader.tables.offset >> bits,
        *check.claims.single,
        *check.claims.excused,
    )
    parts = [firsts + step for step in range(steps)]
    parts.extend(part // WINDOW_CLUSTERS for part in clusters)
    numbers = set(np.unique(np.concatenate(parts)).tolist())
    for start, count in check.claims.runs:
        numbers.update((start // WINDOW_CLUSTERS, (start + count - 1) // WINDOW_CLUSTERS))
    return numbers


def refer_all(source: Source, check: CrossCheck, window: Window, findings: Findings) -> None:
    """Count everything that refers to the window's clusters."""
    bits, header = check.cluster_bits, check.reader.header
    for start, count in check.claims.runs:
        window.refer_run(start, count)
    for clusters in (check.refcounts.block_offset >> bits, *check.claims.single):
        window.refer(clusters, None, ALONE)
    tables = check.reader.tables
    window.refer(tables.offset >> bits, tables.weight, TABLE)
    # Where refcounts may be out of date, they say nothing of the flags that follow from them.
    if not header.dirty:
        check_l1_copied(check.active, bits, window, findings)
    if not header.external_data:
        # [spec]: clusters of a data file have no refcounts.
        rows = check.spans.touching(window.first, len(window.counts))
        for entries in check.reader.chunks(source, rows):
            refer_entries(entries, check, window, findings)
    for clusters in check.claims.excused:
        window.excuse(clusters)


def refer_entries(entries: Entries, check: CrossCheck, window: Window, findings: Findings) -> None:
    """Count a chunk of L2 entries, and check their copied flags."""
    reader, bits = check.reader, check.cluster_bits
    entries = entries.choose(followable(entries, reader))
    weight = reader.tables.weight[entries.table]
    first, last = entries.offset >> bits, (entries.end - 1) >> bits
    packed = entries.compressed
    if packed.any():
        refer_packed(first[packed], last[packed], weight[packed], window)
        window.refer(first[~packed], weight[~packed], DATA)
    else:
        window.refer(first, None if (weight == 1).all() else weight, DATA)
    if not reader.header.dirty:
        check_copied(entries, first, check, window, findings)


def refer_packed(first: Ints, last: Ints, weight: Ints, window: Window) -> None:
    """Count compressed clusters: each cluster that their sectors touch, at most three."""
    window.refer(first, weight, PACKED)
    for step in (1, 2):
        longer = last >= first + step
        window.refer(first[longer] + step, weight[longer], PACKED)


def check_copied(
    entries: Entries, first: Ints, check: CrossCheck, window: Window, findings: Findings
) -> None:
    """Report entries of the active disk whose copied flag contradicts the refcount."""
    # [spec] "L2 table entry", bit 63. A writer may overwrite a cluster so marked in place, which
    # is fatal to a snapshot; a reader never looks at the flag, so a restore is not concerned.
    active = check.reader.tables.active[entries.table] & window.inside(first)
    chosen = entries.choose(active)
    counts = window.counts[first[active] - window.first]
    flagged = chosen.descriptor & COPIED != 0
    wrong = (flagged != ((counts == 1) & ~chosen.compressed)) & (counts != COUNT_UNKNOWN)
    Report(chosen, check.reader, findings).wrong(
        "qcow2.l2.copied",
        wrong,
        "the copied flag exactly where the refcount is 1",
        Bearing.REDUNDANT,
    )


def check_l1_copied(active: L1Entries, bits: int, window: Window, findings: Findings) -> None:
    """Report active L1 entries whose copied flag contradicts the refcount."""
    clusters = (active.entry & OFFSET_MASK).astype(np.int64) >> bits
    inside = window.inside(clusters)
    counts = window.counts[clusters[inside] - window.first]
    flagged = active.entry[inside] & COPIED != 0
    wrong = (flagged != (counts == 1)) & (counts != COUNT_UNKNOWN)
    findings.mismatch_entries(
        "qcow2.l1.copied",
        active.place[inside][wrong],
        active.entry[inside][wrong],
        "the copied flag exactly where the refcount is 1",
        Bearing.REDUNDANT,
    )
