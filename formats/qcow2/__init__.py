"""QEMU copy-on-write images, versions 2 and 3.

A header leads to three kinds of structure, all made of clusters: the map (L1 tables to L2 tables
to guest clusters, one tree for the disk and one for each internal snapshot), the refcounts (how
often each cluster of the file is referred to), and extras (snapshot table, dirty bitmaps, LUKS
header). Nothing in the format has a checksum, but map and refcounts are written at different
times to different places and must say the same: that comparison finds lost and bent pointers.
"""

from collections.abc import Mapping

from formats.core.model import Format, WriteModel, no_conclusion
from formats.qcow2.extents import qcow2_extents
from formats.qcow2.inspection import inspect_qcow2, probe_qcow2

CHECKS: Mapping[str, str] = {
    "qcow2.header.version": "The version is one this code reads, and fits the later fields.",
    "qcow2.header.cluster_bits": "Clusters have a size that the format allows.",
    "qcow2.header.length": "The header has a length that the format allows.",
    "qcow2.header.padding": "Padding at the header's end is zero.",
    "qcow2.header.incompatible_features": "No feature is set that this code does not know.",
    "qcow2.header.optional_features": "No optional feature is set that is unknown or misplaced.",
    "qcow2.header.dirty": "The image was closed: its refcounts are up to date.",
    "qcow2.header.corrupt": "No program has found the image corrupt and marked it so.",
    "qcow2.header.compression_type": "The compression type is known and fits its feature bit.",
    "qcow2.header.crypt_method": "The content is not encrypted.",
    "qcow2.header.refcount_order": "Refcounts have a width that the format allows.",
    "qcow2.extension.length": "Header extensions lie inside the first cluster.",
    "qcow2.extension.duplicate": "No header extension appears twice.",
    "qcow2.crypto.header": "An image has a LUKS header exactly where it is encrypted with LUKS.",
    "qcow2.backing.name": "The backing file's name can be read, and is there beside its format.",
    "qcow2.data_file.name": "An image with external data names its data file.",
    "qcow2.data_file.present": "The external data file is there.",
    "qcow2.data_file.size": "The external data file reaches the end of what it must hold.",
    "qcow2.bitmaps.consistent": "Dirty bitmaps and the mark that they are up to date go together.",
    "qcow2.bitmaps.directory": "The directory of dirty bitmaps can be followed.",
    "qcow2.bitmaps.table": "Each dirty bitmap has the length of the disk, in whole clusters.",
    "qcow2.bitmaps.limit": "There are no more bitmap tables than this code reads.",
    "qcow2.snapshots.place": "The snapshot table has a place and a number of entries it can have.",
    "qcow2.snapshots.entry": "Each internal snapshot leads to an L1 table.",
    "qcow2.refcount_table.place": "The refcount table has a place and a size it can have.",
    "qcow2.refcount_table.entry": "Each refcount block is where a block can be.",
    "qcow2.refcount.limit": "There are no more clusters than this code compares with refcounts.",
    "qcow2.l1.place": "The active L1 table has a place and a size it can have.",
    "qcow2.l1.size": "The active L1 table reaches the end of the disk.",
    "qcow2.l1.entry": "Each L2 table is where a table can be.",
    "qcow2.l1.reserved": "Reserved bits of L1 entries are zero.",
    "qcow2.l1.copied": "L1 entries are marked for writing in place exactly where they may be.",
    "qcow2.l2.entry": "Each guest cluster is where a cluster can be, and its flags fit together.",
    "qcow2.l2.reserved": "Reserved bits of L2 entries are zero.",
    "qcow2.l2.copied": "L2 entries are marked for writing in place exactly where they may be.",
    "qcow2.l2.beyond_disk": "Nothing is mapped behind the end of the disk but VM state.",
    "qcow2.map.limit": "The map is no longer than what this code walks.",
    "qcow2.cluster.missing": "No cluster is referred to more often than its refcount says.",
    "qcow2.cluster.leaked": "No cluster has a refcount higher than the references to it.",
    "qcow2.cluster.overlap": "No cluster belongs to two structures.",
    "qcow2.cluster.decode": "Each compressed cluster decodes to one cluster.",
    "qcow2.cluster.payload": "Stored source data, looked at for anything but zeros.",
    "qcow2.file.needed": "The file reaches the end of everything its own map refers to.",
}

FORMAT = Format(
    name="qcow2",
    title="QEMU copy-on-write image (qcow2)",
    suffixes=(".qcow2",),
    references=(
        "QEMU, docs/interop/qcow2.rst (Qcow2 Image File Format)",
        "QEMU 7.2.22, qemu-img and block/qcow2*.c, for what the program accepts",
    ),
    revision=1,
    write_model=WriteModel.REWRITTEN,
    open_ended=True,
    integrity=(
        "No checksums, so no byte is vouched for. Map and refcounts are compared in full; "
        "compressed clusters are decoded, which finds some damage inside them. A changed byte in "
        "plain data is found by the baseline only."
    ),
    limitations=(
        "A parent is known by name only. A zero flag or subcluster bit changed by accident, and a "
        "disk size changed within the reach of its L1 table, cannot be seen. Encrypted content "
        "stays closed. Data in an external data file has no extents of its own."
    ),
    samples="qemu-img 7.2.22 (Debian 12)",
    checks=CHECKS,
    probe=probe_qcow2,
    inspect=inspect_qcow2,
    extents=qcow2_extents,
    conclude=no_conclusion,
    first_bytes=frozenset(b"Q"),
)
