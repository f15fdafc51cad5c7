"""L1 tables: from the active disk and from each internal snapshot to their L2 tables."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from formats.core.model import Bearing, Source
from formats.qcow2.findings import Findings, Ints, Words
from formats.qcow2.header import L1_BYTES_MAX, Header, HeaderLayout, placeable
from formats.qcow2.tables import read_words

# [spec] "L1 table entry" and "Standard Cluster Descriptor".
COPIED = np.uint64(1 << 63)
OFFSET_MASK = np.uint64(0x00FF_FFFF_FFFF_FE00)
L1_RESERVED = ~(OFFSET_MASK | COPIED)

# All L1 tables of an image together: a thousand snapshots of 4 TiB, or one disk of 512 TiB.
L1_BYTES_TOTAL_MAX = 64 << 20
L2_TABLES_MAX = 1 << 21
# L2 tables that are read, together: 32 TiB of clusters of 64 KiB.
L2_BYTES_MAX = 4 << 30


@dataclass(frozen=True, slots=True)
class Tree:
    """One L1 table: the active disk's, or a snapshot's. ``disk_bytes`` is what it maps."""

    offset: int
    entry_count: int
    disk_bytes: int
    active: bool

    @property
    def length(self) -> int:
        """Length in bytes of the table."""
        return self.entry_count * 8


@dataclass(frozen=True, slots=True)
class L2Tables:
    """The L2 tables of all trees, each once, sorted by offset; one row per table.

    ``weight`` is how many L1 entries refer to it, ``l1_index`` the first of these, ``disk_bytes``
    the longest disk it belongs to, ``active`` whether the active disk reaches it.
    """

    offset: Ints
    weight: Ints
    l1_index: Ints
    disk_bytes: Ints
    active: npt.NDArray[np.bool_]

    def choose(self, rows: npt.NDArray[np.bool_]) -> "L2Tables":
        """Return some of the tables."""
        return L2Tables(
            self.offset[rows],
            self.weight[rows],
            self.l1_index[rows],
            self.disk_bytes[rows],
            self.active[rows],
        )


@dataclass(frozen=True, slots=True)
class L1Entries:
    """Used entries of one L1 table that can be followed.

    ``index`` is an entry's number, ``place`` where it stands in the file.
    """

    index: Ints
    place: Ints
    entry: Words

    def choose(self, rows: npt.NDArray[np.bool_]) -> "L1Entries":
        """Return some of the entries."""
        return L1Entries(self.index[rows], self.place[rows], self.entry[rows])


def active_tree(header: Header, limit_bytes: int, findings: Findings) -> Tree | None:
    """Return the active L1 table, or None where the header does not say where it is."""
    tree = Tree(header.l1_table_offset, header.l1_size, header.size, active=True)
    if not header.l1_size:
        return None
    if tree.length > L1_BYTES_MAX or not placeable(tree.offset, tree.length, header, limit_bytes):
        findings.mismatch(
            "qcow2.l1.place",
            HeaderLayout.l1_table_offset.offset,
            8,
            "whole clusters inside the file",
            f"{tree.length} bytes at {tree.offset:#x}",
        )
        findings.map_whole = False
        return None
    findings.match("qcow2.l1.place")
    return tree


def read_l1(
    source: Source, tree: Tree, header: Header, limit_bytes: int, findings: Findings
) -> L1Entries:
    """Return an L1 table's entries, after reporting those that cannot be followed.

    ``limit_bytes`` is up to where refcounts reach.
    """
    findings.need(tree.offset + tree.length)
    if tree.offset + tree.length > source.size:
        findings.map_whole = False
        return no_entries()
    indexes, entries = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
    for first, words in read_words(source, tree.offset, tree.entry_count):
        used = np.flatnonzero(words)
        indexes.append(first + used)
        entries.append(words[used])
    index = np.concatenate(indexes)
    found = L1Entries(index, tree.offset + index * 8, np.concatenate(entries))
    return found.choose(check_l1(found, header, limit_bytes, findings))


def no_entries() -> L1Entries:
    """Return the entries of a table that has none."""
    return L1Entries(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint64))


def check_l1(
    found: L1Entries, header: Header, limit_bytes: int, findings: Findings
) -> npt.NDArray[np.bool_]:
    """Return which entries can be followed."""
    place, offset = found.place, found.entry & OFFSET_MASK
    reserved = found.entry & L1_RESERVED != 0
    # Seen: [QEMU] masks these bits away when it reads, and complains of them when it checks.
    findings.mismatch_entries(
        "qcow2.l1.reserved",
        place[reserved],
        found.entry[reserved],
        "reserved bits 0",
        Bearing.REDUNDANT,
    )
    lost = (offset == 0) & (found.entry & COPIED != 0)
    findings.mismatch_entries(
        "qcow2.l1.entry",
        place[lost],
        found.entry[lost],
        "an offset beside the copied flag",
        Bearing.DOUBTFUL,
    )
    wrong: npt.NDArray[np.bool_] = offset & np.uint64(header.cluster_size - 1) != 0
    wrong |= offset >= np.uint64(limit_bytes)
    findings.mismatch_entries(
        "qcow2.l1.entry", place[wrong], found.entry[wrong], "whole clusters that have a refcount"
    )
    if wrong.any():
        findings.map_whole = False
    placed: npt.NDArray[np.bool_] = offset != 0
    return placed & ~wrong


def gather_tables(
    source: Source,
    trees: tuple[Tree, ...],
    header: Header,
    limit_bytes: int,
    findings: Findings,
) -> tuple[L2Tables, L1Entries]:
    """Return the L2 tables of all trees that lie inside the file, and the active L1 entries."""
    offsets, indexes, sizes, actives = [], [], [], []
    active = no_entries()
    room_bytes, room_tables = L1_BYTES_TOTAL_MAX, L2_TABLES_MAX
    for tree in trees:
        room_bytes -= tree.length
        if room_bytes < 0 or room_tables <= 0:
            over_limit(findings)
            break
        found = read_l1(source, tree, header, limit_bytes, findings)
        if tree.active:
            active = found
        room_tables -= len(found.index)
        offsets.append((found.entry & OFFSET_MASK).astype(np.int64))
        indexes.append(found.index)
        sizes.append(np.full(len(found.index), min(tree.disk_bytes, 1 << 62), np.int64))
        actives.append(np.full(len(found.index), tree.active))
    if not offsets:
        nothing = np.empty(0, np.int64)
        return L2Tables(nothing, nothing, nothing, nothing, np.empty(0, np.bool_)), active
    index = np.concatenate(indexes)
    findings.match("qcow2.l1.entry", len(index))
    findings.match("qcow2.l1.reserved", len(index))
    tables = merge_tables(
        np.concatenate(offsets), index, np.concatenate(sizes), np.concatenate(actives)
    )
    return readable_tables(tables, source.size, header, findings), active


def merge_tables(
    offset: Ints, index: Ints, disk_bytes: Ints, active: npt.NDArray[np.bool_]
) -> L2Tables:
    """Return each table once."""
    unique, back, weight = np.unique(offset, return_inverse=True, return_counts=True)
    first = np.full(len(unique), np.iinfo(np.int64).max)
    np.minimum.at(first, back, index)
    longest = np.zeros(len(unique), np.int64)
    np.maximum.at(longest, back, disk_bytes)
    reached = np.zeros(len(unique), np.bool_)
    reached[back[active]] = True
    return L2Tables(unique, weight.astype(np.int64), first, longest, reached)


def readable_tables(tables: L2Tables, size: int, header: Header, findings: Findings) -> L2Tables:
    """Return the tables that lie inside the file, up to the limit of what is read."""
    ends = tables.offset + header.cluster_size
    findings.need(int(ends.max(initial=0)))
    inside = ends <= size
    if not inside.all():
        findings.map_whole = False
    chosen = tables.choose(inside)
    rows_max = min(L2_TABLES_MAX, L2_BYTES_MAX // header.cluster_size)
    if len(chosen.offset) > rows_max:
        over_limit(findings)
        chosen = chosen.choose(np.arange(len(chosen.offset)) < rows_max)
    return chosen


def over_limit(findings: Findings) -> None:
    """Report that the map is longer than what this code walks."""
    findings.map_whole = False
    findings.unsupported(
        "qcow2.map.limit",
        HeaderLayout.l1_table_offset.offset,
        8,
        f"{L1_BYTES_TOTAL_MAX} bytes of L1, {L2_BYTES_MAX} bytes of L2 tables",
        "more",
    )
