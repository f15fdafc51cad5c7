"""Inspect a qcow2 image: header, refcounts, extensions, snapshots, bitmaps, map, comparison."""

from collections.abc import Mapping

from formats.core.model import (
    Inspection,
    Kind,
    Neighbours,
    ParentRef,
    Source,
)
from formats.core.source import starts_with
from formats.qcow2.bitmaps import Bitmap, read_bitmaps
from formats.qcow2.crosscheck import CrossCheck, cross_check
from formats.qcow2.extensions import Extensions, read_backing_name, read_extensions
from formats.qcow2.extents import MapState
from formats.qcow2.findings import Findings
from formats.qcow2.header import (
    COMPRESSION_NAMES,
    CRYPT_NAMES,
    LAZY_REFCOUNTS,
    MAGIC,
    Header,
    check_header,
    read_header,
    readable,
)
from formats.qcow2.l1 import Tree, active_tree, gather_tables
from formats.qcow2.l2 import MapReader
from formats.qcow2.members import check_data_file
from formats.qcow2.refcounts import Refcounts, read_refcount_table
from formats.qcow2.references import Claims
from formats.qcow2.snapshots import SnapshotTable, read_snapshots
from formats.qcow2.survey import Totals, survey_map

# Snapshots and bitmaps that are listed as facts; all are checked.
LISTED_MAX = 256


def probe_qcow2(source: Source) -> bool:
    """Whether the file starts like a QEMU copy-on-write image of any version."""
    return starts_with(source, MAGIC)


def inspect_qcow2(source: Source, neighbours: Neighbours) -> tuple[Inspection, ...]:
    """Return the one image of the file."""
    header, stored = read_header(source)
    findings = Findings()
    if not readable(header, findings):
        return (Inspection(facts=header_facts(header), evidence=findings.evidence),)
    check_header(header, stored, findings)
    refcounts = read_refcount_table(source, header, findings)
    limit_bytes = refcounts.limit_bytes(header, source.size)
    extensions = read_extensions(source, header, limit_bytes, findings)
    backing = read_backing_name(source, header, extensions, findings)
    snapshots = read_snapshots(source, header, limit_bytes, findings)
    claims = structure_claims(header, extensions, snapshots)
    bitmaps = read_bitmaps(source, header, extensions.bitmaps, limit_bytes, claims, findings)
    totals, trees = check_map(source, header, refcounts, snapshots, claims, findings)
    members = check_data_file(header, extensions, totals.data_end, neighbours, findings)
    findings.reaches("qcow2.file.needed", source.size)
    return (
        Inspection(
            kind=Kind.INCREMENTAL if header.backing_file_offset else Kind.FULL,
            parents=(ParentRef(names=(backing,)),) if backing else (),
            source_bytes=header.size,
            payload_bytes=payload_known(totals, snapshots, findings),
            needed_bytes=findings.needed_bytes,
            members=members,
            facts={
                **header_facts(header),
                **extension_facts(extensions, backing),
                **snapshot_facts(snapshots),
                **bitmap_facts(bitmaps),
                **map_facts(totals, refcounts),
            },
            evidence=findings.evidence,
            state=MapState(header, trees, limit_bytes, totals.compressed_anywhere),
        ),
    )


def payload_known(totals: Totals, snapshots: SnapshotTable, findings: Findings) -> int | None:
    """Return how much source data is stored; None where that cannot be said.

    An empty active disk with snapshots inside is not empty: they may hold everything.
    """
    inside = bool(snapshots.snapshots) and not totals.payload_bytes
    return None if inside or not findings.map_whole else totals.payload_bytes


def structure_claims(header: Header, extensions: Extensions, snapshots: SnapshotTable) -> Claims:
    """Return the clusters of all structures that the header leads to, except the L1 tables."""
    claims = Claims()
    bits = header.cluster_bits
    claims.hold(0, header.cluster_size, bits)
    table_bytes = header.refcount_table_clusters << bits
    claims.hold(header.refcount_table_offset, table_bytes, bits)
    claims.hold(snapshots.offset, snapshots.length, bits)
    if extensions.crypto is not None:
        claims.hold(*extensions.crypto, bits)
    return claims


def check_map(
    source: Source,
    header: Header,
    refcounts: Refcounts,
    snapshots: SnapshotTable,
    claims: Claims,
    findings: Findings,
) -> tuple[Totals, tuple[Tree, ...]]:
    """Walk the map, hold it against the refcounts, and return what it adds up to."""
    limit_bytes = refcounts.limit_bytes(header, source.size)
    active = active_tree(header, limit_bytes, findings)
    inner = tuple(snapshot.tree for snapshot in snapshots.snapshots)
    trees = inner if active is None else (active, *inner)
    for tree in trees:
        claims.hold(tree.offset, tree.length, header.cluster_bits)
    tables, entries = gather_tables(source, trees, header, limit_bytes, findings)
    vm_state = any(snapshot.vm_state_size for snapshot in snapshots.snapshots)
    reader = MapReader(header, tables, limit_bytes, vm_state)
    totals, spans = survey_map(source, reader, findings)
    check = CrossCheck(reader, refcounts, claims, spans, entries, len(trees))
    cross_check(source, check, findings)
    return totals, trees


def header_facts(header: Header) -> Mapping[str, object]:
    """Return the header's own fields."""
    compression = header.compression_type
    return {
        "version": header.version,
        "cluster_bits": header.cluster_bits,
        "size": header.size,
        "crypt_method": CRYPT_NAMES.get(header.crypt_method, header.crypt_method),
        "incompatible_features": header.incompatible_features,
        "compatible_features": header.compatible_features,
        "autoclear_features": header.autoclear_features,
        "lazy_refcounts": bool(header.compatible_features & LAZY_REFCOUNTS),
        "refcount_bits": 1 << min(header.refcount_order, 64),
        "compression_type": COMPRESSION_NAMES.get(compression, compression),
        "extended_l2": header.extended_l2,
        "nb_snapshots": header.nb_snapshots,
    }


def extension_facts(extensions: Extensions, backing: str | None) -> Mapping[str, object]:
    """Return what the extensions name."""
    return {
        "backing_file": backing,
        "backing_format": extensions.backing_format,
        "data_file": extensions.data_file,
        "feature_names": list(extensions.features),
        "unknown_extensions": list(extensions.unknown),
    }


def snapshot_facts(table: SnapshotTable) -> Mapping[str, object]:
    """Return the internal snapshots."""
    return {
        "snapshots": [
            {
                "id": item.id_str,
                "name": item.name,
                "date": item.date,
                "vm_state_size": item.vm_state_size,
                "disk_size": item.tree.disk_bytes,
            }
            for item in table.snapshots[:LISTED_MAX]
        ]
    }


def bitmap_facts(bitmaps: tuple[Bitmap, ...]) -> Mapping[str, object]:
    """Return the persistent dirty bitmaps."""
    return {
        "bitmaps": [
            {"name": item.name, "granularity_bits": item.granularity_bits, "flags": item.flags}
            for item in bitmaps[:LISTED_MAX]
        ]
    }


def map_facts(totals: Totals, refcounts: Refcounts) -> Mapping[str, object]:
    """Return what the active disk's map adds up to."""
    return {
        "data_clusters": totals.data_clusters,
        "compressed_clusters": totals.compressed_clusters,
        "zero_clusters": totals.zero_clusters,
        "refcount_blocks": len(refcounts.block_index),
    }
