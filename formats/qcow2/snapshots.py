"""The table of internal snapshots ([spec] "Snapshots")."""

from dataclasses import dataclass
from datetime import UTC, datetime

from formats.core.layout import Layout, u16, u32, u64
from formats.core.model import Bearing, Source
from formats.qcow2.extensions import printable
from formats.qcow2.findings import Findings
from formats.qcow2.header import (
    L1_BYTES_MAX,
    SIZE_MAX,
    VERSION_FEATURES,
    Header,
    HeaderLayout,
    placeable,
)
from formats.qcow2.l1 import Tree

# [QEMU] block/qcow2.h refuses more.
SNAPSHOTS_MAX = 65_536
EXTRA_DATA_BYTES_MAX = 1024
# A table with more entries that lead nowhere is not read to its end.
LOST_MAX = 100


class SnapshotLayout(Layout, size=40, order=">"):
    """The fixed part of an entry."""

    l1_table_offset = u64(0)
    l1_size = u32(8)
    id_str_size = u16(12)
    name_size = u16(14)
    date_sec = u32(16)
    date_nsec = u32(20)
    vm_clock_nsec = u64(24)
    vm_state_size = u32(32)
    extra_data_size = u32(36)


class ExtraLayout(Layout, size=16, order=">"):
    """The part of the extra data that every version 3 image has."""

    vm_state_size_large = u64(0)
    disk_size = u64(8)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One internal snapshot."""

    offset: int
    tree: Tree
    id_str: str
    name: str
    date: str
    vm_state_size: int


@dataclass(frozen=True, slots=True)
class SnapshotTable:
    """All snapshots that could be read, and where their table is."""

    snapshots: tuple[Snapshot, ...] = ()
    offset: int = 0
    length: int = 0


def read_snapshots(
    source: Source, header: Header, limit_bytes: int, findings: Findings
) -> SnapshotTable:
    """Return the snapshots, as far as their table holds together.

    ``limit_bytes`` is up to where refcounts reach.
    """
    # Seen: [QEMU] refuses an image without snapshots whose table has a crooked offset.
    offset = header.snapshots_offset
    used = header.nb_snapshots > 0 or offset % header.cluster_size or offset > SIZE_MAX
    if not used:
        return SnapshotTable()
    if header.nb_snapshots > SNAPSHOTS_MAX or not placeable(
        offset, SnapshotLayout.size, header, limit_bytes
    ):
        findings.mismatch(
            "qcow2.snapshots.place",
            HeaderLayout.nb_snapshots.offset,
            12,
            f"at most {SNAPSHOTS_MAX} snapshots in whole clusters",
            f"{header.nb_snapshots} at {header.snapshots_offset:#x}",
        )
        if header.nb_snapshots:
            findings.map_whole = False
        return SnapshotTable()
    findings.match("qcow2.snapshots.place")
    snapshots, lost = [], 0
    end = offset
    for _ in range(header.nb_snapshots):
        read = read_snapshot(source, offset, header, limit_bytes, findings)
        if read is None:
            findings.map_whole = False
            break
        snapshot, end = read
        if snapshot is None:
            lost += 1
        else:
            snapshots.append(snapshot)
        if lost == LOST_MAX:
            break
        # The last name may end the file: [QEMU] does not write the padding behind it.
        offset = -(-end // 8) * 8
    findings.match("qcow2.snapshots.entry", len(snapshots))
    return SnapshotTable(tuple(snapshots), header.snapshots_offset, end - header.snapshots_offset)


def read_snapshot(
    source: Source, offset: int, header: Header, limit_bytes: int, findings: Findings
) -> tuple[Snapshot | None, int] | None:
    """Return one snapshot and its entry's end; None where the table cannot be followed further.

    A snapshot whose L1 table cannot be followed is None, with the end of its entry.
    """
    findings.need(offset + SnapshotLayout.size)
    if offset + SnapshotLayout.size > source.size:
        return None
    row = SnapshotLayout.parse(source.read_at(offset, SnapshotLayout.size))
    if row.extra_data_size > EXTRA_DATA_BYTES_MAX:
        findings.mismatch(
            "qcow2.snapshots.entry",
            offset,
            SnapshotLayout.size,
            f"at most {EXTRA_DATA_BYTES_MAX} bytes of extra data",
            str(row.extra_data_size),
        )
        return None
    start = offset + SnapshotLayout.size
    length = row.extra_data_size + row.id_str_size + row.name_size
    findings.need(start + length)
    if start + length > source.size:
        return None
    rest = source.read_at(start, length)
    snapshot = build_snapshot(row, offset, rest, header, findings)
    found = placed(snapshot, header, limit_bytes, findings)
    return snapshot if found else None, start + length


def build_snapshot(
    row: SnapshotLayout, offset: int, rest: bytes, header: Header, findings: Findings
) -> Snapshot:
    """Return a snapshot as its entry says."""
    vm_state_size, disk_bytes = row.vm_state_size, header.size
    if row.extra_data_size >= ExtraLayout.size:
        extra = ExtraLayout.parse(rest)
        vm_state_size, disk_bytes = extra.vm_state_size_large, extra.disk_size
    elif header.version >= VERSION_FEATURES:
        # [spec] must; [QEMU] takes the disk's own size instead.
        findings.mismatch(
            "qcow2.snapshots.entry",
            offset,
            SnapshotLayout.size,
            f"at least {ExtraLayout.size} bytes of extra data",
            str(row.extra_data_size),
            Bearing.REDUNDANT,
        )
    names = row.extra_data_size + row.id_str_size
    return Snapshot(
        offset,
        Tree(row.l1_table_offset, row.l1_size, disk_bytes, active=False),
        printable(rest[row.extra_data_size : names]),
        printable(rest[names:]),
        datetime.fromtimestamp(row.date_sec, UTC).isoformat(),
        vm_state_size,
    )


def placed(snapshot: Snapshot, header: Header, limit_bytes: int, findings: Findings) -> bool:
    """Report an L1 table that cannot be followed, and return whether this one can."""
    tree = snapshot.tree
    per_table = header.entries_per_table << header.cluster_bits
    if (
        -(-tree.disk_bytes // per_table) <= tree.entry_count
        and tree.length <= L1_BYTES_MAX
        and (not tree.length or placeable(tree.offset, tree.length, header, limit_bytes))
    ):
        return True
    findings.mismatch(
        "qcow2.snapshots.entry",
        snapshot.offset,
        SnapshotLayout.size,
        "an L1 table for its disk, in whole clusters",
        f"{tree.length} bytes at {tree.offset:#x}",
    )
    findings.map_whole = False
    return False
