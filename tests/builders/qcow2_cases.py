"""qcow2 images that are sound, and everything that can be done to them.

A case says what is damaged, which check must tell, where, and how bad that is.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from formats.core.model import Bearing, Outcome
from tests.builders.qcow2 import COPIED, FIELDS, OFFSETS, Image, extension, field_of, patch, put
from tests.damage import flip, swap, zero

NEEDED, REDUNDANT, DOUBTFUL = Bearing.NEEDED, Bearing.REDUNDANT, Bearing.DOUBTFUL
BACKING_FORMAT, BITMAPS, CRYPTO = 0xE2792ACA, 0x23852875, 0x0537BE77
DATA_FILE = 0x44415441


@dataclass(frozen=True)
class Case:
    """A sound image, what happens to it, and what must be found where.

    ``offset`` may be the name of a header field, or computed from the sound image.
    """

    name: str
    make: Callable[[], bytes]
    damage: Callable[[bytes], bytes]
    check: str
    offset: int | str | Callable[[bytes], int | None]
    bearing: Bearing = NEEDED
    outcome: Outcome = Outcome.MISMATCHED
    # What the sound image may show already: it is a lesser state, not damage.
    usual: frozenset[str] = frozenset()

    def place(self, content: bytes) -> int | None:
        match self.offset:
            case str():
                return FIELDS[self.offset][0]
            case int():
                return self.offset
            case _:
                return self.offset(content)


def sample(**options) -> bytes:
    """Four data clusters in two L2 tables of 64 entries, in a file of 512-byte clusters."""
    image = Image(size=128 * 512, **options)
    for guest in (0, 1, 5, 70):
        image.data(guest, bytes([guest + 1]) * 512)
    return image.finish()


def crowded() -> bytes:
    """Three refcount blocks of 256 clusters, for 600 data clusters."""
    image = Image(size=600 * 512)
    for guest in range(600):
        image.data(guest, b"x")
    return image.finish()


def snapshotted(**options) -> bytes:
    image = Image(size=64 * 512, **options)
    for guest in (0, 1, 5):
        image.data(guest, bytes([guest + 1]) * 512)
    image.snapshot()
    return image.finish()


def extended(bitmap: int = 0xF) -> bytes:
    image = Image(cluster_bits=14, size=64 << 14, incompatible=16)
    image.data(3, b"x" * 4096, bitmap=bitmap)
    return image.finish()


def compressed() -> bytes:
    packer = zlib.compressobj(wbits=-12)
    stream = packer.compress(b"word" * 128) + packer.flush()
    image = Image()
    image.packed({4: stream})
    return image.finish()


def bitmapped() -> bytes:
    """One dirty bitmap of 64 bits with granularity 512, in a cluster of its own."""
    image = Image(autoclear=1)
    image.data(0, b"x")
    bit_cluster = image.take(bytes([0x81]) + bytes(7))
    table = image.take(struct.pack(">Q", bit_cluster))
    row = struct.pack(">QIIBBHI", table, 1, 2, 1, 9, 3, 0) + b"bm0"
    directory = image.take(row + bytes(-len(row) % 8))
    image.extensions = extension(BITMAPS, struct.pack(">IIQQ", 1, 0, 32, directory))
    return image.finish()


def external(**options) -> bytes:
    image = Image(incompatible=4, extensions=extension(DATA_FILE, b"guest.data"), **options)
    image.maps[0] = {0: (COPIED, 0), 2: (2 * 512 | COPIED, 0)}
    return image.finish()


def locked() -> bytes:
    image = Image(crypt=2)
    offset = image.take(b"LUKS\xba\xbe\0\1" + bytes(500))
    image.extensions = extension(CRYPTO, struct.pack(">QQ", offset, 508))
    return image.finish()


def child() -> bytes:
    return Image(backing=b"base.qcow2", extensions=extension(BACKING_FORMAT, b"qcow2")).finish()


def l1(content: bytes, index: int = 0) -> int:
    return field_of(content, "l1_table_offset") + index * 8


def entry(content: bytes, guest: int, entry_bytes: int = 8) -> int:
    """Return where the descriptor of a guest cluster stands."""
    per_table = (1 << field_of(content, "cluster_bits")) // entry_bytes
    table = word(content, l1(content, guest // per_table)) & OFFSETS
    return table + guest % per_table * entry_bytes


def word(content: bytes, offset: int) -> int:
    return int.from_bytes(content[offset : offset + 8], "big")


def block(content: bytes) -> int:
    """Return where the first refcount block is."""
    return word(content, field_of(content, "refcount_table_offset"))


def host(content: bytes, guest: int) -> int:
    """Return where a guest cluster is."""
    return word(content, entry(content, guest)) & OFFSETS


def count_of(content: bytes, offset: int) -> int:
    """Return where the 16-bit refcount of a 512-byte cluster stands."""
    return block(content) + offset // 512 * 2


def extension_at(content: bytes, kind: int) -> int:
    return content.index(struct.pack(">I", kind))


def to(name: str, value: int) -> Callable[[bytes], bytes]:
    """Return what sets a header field."""
    return lambda content: patch(content, name, value)


def count_leaked(content: bytes) -> bytes:
    return put(content, count_of(content, host(content, 0)), 2, ">H")


def count_lost(content: bytes) -> bytes:
    return put(content, count_of(content, host(content, 0)), 0, ">H")


def swapped_tables(content: bytes) -> bytes:
    """Exchange an L2 table and a data cluster."""
    first, second = sorted((entry(content, 0), host(content, 0)))
    return swap(content, first, second, 512)


DIRTY_STATE = frozenset({"qcow2.header.dirty"})
LOCKED = frozenset({"qcow2.header.crypt_method"})
NO_DATA_FILE = frozenset({"qcow2.data_file.present"})

HEADER_CASES = (
    Case(
        "unknown version",
        sample,
        to("version", 7),
        "qcow2.header.version",
        "version",
        outcome=Outcome.UNSUPPORTED,
    ),
    Case("3 turned into 2", sample, to("version", 2), "qcow2.header.version", "version", DOUBTFUL),
    Case(
        "2 turned into 3",
        lambda: sample(version=2),
        to("version", 3),
        "qcow2.header.length",
        "header_length",
    ),
    Case(
        "tiny clusters", sample, to("cluster_bits", 8), "qcow2.header.cluster_bits", "cluster_bits"
    ),
    Case(
        "giant clusters",
        sample,
        to("cluster_bits", 22),
        "qcow2.header.cluster_bits",
        "cluster_bits",
    ),
    Case(
        "clusters too small for subclusters",
        sample,
        to("incompatible_features", 16),
        "qcow2.header.cluster_bits",
        "cluster_bits",
    ),
    Case(
        "unknown feature",
        sample,
        to("incompatible_features", 1 << 40),
        "qcow2.header.incompatible_features",
        "incompatible_features",
        outcome=Outcome.UNSUPPORTED,
    ),
    Case(
        "unknown optional feature",
        sample,
        to("compatible_features", 1 << 7),
        "qcow2.header.optional_features",
        "compatible_features",
        REDUNDANT,
        Outcome.UNSUPPORTED,
    ),
    Case(
        "unknown autoclear feature",
        sample,
        to("autoclear_features", 1 << 7),
        "qcow2.header.optional_features",
        "autoclear_features",
        REDUNDANT,
        Outcome.UNSUPPORTED,
    ),
    Case(
        "raw data file without a data file",
        sample,
        to("autoclear_features", 2),
        "qcow2.header.optional_features",
        "autoclear_features",
    ),
    Case(
        "dirty",
        sample,
        to("incompatible_features", 1),
        "qcow2.header.dirty",
        "incompatible_features",
        REDUNDANT,
    ),
    Case(
        "corrupt",
        sample,
        to("incompatible_features", 2),
        "qcow2.header.corrupt",
        "incompatible_features",
    ),
    Case(
        "compression type without its bit",
        sample,
        to("compression_type", 1),
        "qcow2.header.compression_type",
        "compression_type",
    ),
    Case(
        "compression bit without its type",
        sample,
        to("incompatible_features", 8),
        "qcow2.header.compression_type",
        "compression_type",
    ),
    Case(
        "unknown compression type",
        lambda: sample(incompatible=8, compression=1),
        to("compression_type", 5),
        "qcow2.header.compression_type",
        "compression_type",
        outcome=Outcome.UNSUPPORTED,
    ),
    Case(
        "encrypted",
        sample,
        to("crypt_method", 1),
        "qcow2.header.crypt_method",
        "crypt_method",
        outcome=Outcome.UNSUPPORTED,
    ),
    Case("short header", sample, to("header_length", 96), "qcow2.header.length", "header_length"),
    Case(
        "crooked header", sample, to("header_length", 108), "qcow2.header.length", "header_length"
    ),
    Case("long header", sample, to("header_length", 1024), "qcow2.header.length", "header_length"),
    Case(
        "header that skips its extensions",
        child,
        to("header_length", 112 + 64),
        "qcow2.header.length",
        "header_length",
        DOUBTFUL,
    ),
    Case(
        "padding",
        sample,
        lambda content: flip(content, 107),
        "qcow2.header.padding",
        105,
        REDUNDANT,
    ),
    Case(
        "refcount width",
        sample,
        to("refcount_order", 7),
        "qcow2.header.refcount_order",
        "refcount_order",
    ),
    Case("disk too large for L1", sample, to("size", 1 << 40), "qcow2.l1.size", "l1_size"),
    Case("disk of more than 63 bits", sample, to("size", 1 << 63), "qcow2.l1.size", "l1_size"),
    Case("L1 too short", sample, to("l1_size", 1), "qcow2.l1.size", "l1_size"),
    Case("L1 beyond reason", sample, to("l1_size", 1 << 31), "qcow2.l1.size", "l1_size"),
    Case("L1 nowhere", sample, to("l1_table_offset", 0), "qcow2.l1.place", "l1_table_offset"),
    Case(
        "L1 at a crooked place",
        sample,
        lambda content: flip(content, 47),
        "qcow2.l1.place",
        "l1_table_offset",
    ),
    Case(
        "L1 behind all refcounts",
        sample,
        to("l1_table_offset", 1 << 40),
        "qcow2.l1.place",
        "l1_table_offset",
    ),
    Case(
        "L1 partly behind all refcounts",
        sample,
        to("l1_size", 1 << 20),
        "qcow2.l1.place",
        "l1_table_offset",
    ),
    Case(
        "no refcount table",
        sample,
        to("refcount_table_clusters", 0),
        "qcow2.refcount_table.place",
        "refcount_table_offset",
    ),
    Case(
        "refcount table beyond reason",
        sample,
        to("refcount_table_clusters", 1 << 20),
        "qcow2.refcount_table.place",
        "refcount_table_offset",
    ),
    Case(
        "refcount table at a crooked place",
        sample,
        lambda content: flip(content, 55, 3),
        "qcow2.refcount_table.place",
        "refcount_table_offset",
    ),
    Case(
        "disk cut short by a whole L2 table",
        sample,
        to("size", 64 * 512),
        "qcow2.l2.beyond_disk",
        lambda content: entry(content, 70),
        DOUBTFUL,
    ),
    Case(
        "disk cut short in the header",
        sample,
        to("size", 70 * 512),
        "qcow2.l2.beyond_disk",
        lambda content: entry(content, 70),
        DOUBTFUL,
    ),
)

EXTENSION_CASES = (
    Case(
        "extension longer than its cluster",
        child,
        lambda content: put(content, extension_at(content, BACKING_FORMAT) + 4, 4096, ">I"),
        "qcow2.extension.length",
        lambda content: extension_at(content, BACKING_FORMAT),
    ),
    Case(
        "extension longer than the room before the backing name",
        child,
        lambda content: put(content, extension_at(content, BACKING_FORMAT) + 4, 100, ">I"),
        "qcow2.extension.length",
        lambda content: extension_at(content, BACKING_FORMAT),
    ),
    Case(
        "end mark longer than its cluster",
        sample,
        lambda content: flip(content, 117),
        "qcow2.extension.length",
        112,
    ),
    Case(
        "extension twice",
        lambda: Image(extensions=extension(5, b"1") + extension(DATA_FILE, b"a")).finish(),
        lambda content: put(content, 112, DATA_FILE, ">I"),
        "qcow2.extension.duplicate",
        128,
    ),
    Case(
        "backing name of no length",
        child,
        to("backing_file_size", 0),
        "qcow2.backing.name",
        "backing_file_offset",
    ),
    Case(
        "backing name longer than allowed",
        lambda: Image(cluster_bits=12, backing=b"x" * 1000).finish(),
        to("backing_file_size", 1024),
        "qcow2.backing.name",
        "backing_file_offset",
    ),
    Case(
        "backing name outside the first cluster",
        child,
        to("backing_file_offset", 510),
        "qcow2.backing.name",
        "backing_file_offset",
    ),
    Case(
        "backing name lost beside its format",
        child,
        to("backing_file_offset", 0),
        "qcow2.backing.name",
        "backing_file_offset",
        DOUBTFUL,
    ),
    Case(
        "backing name of control characters",
        child,
        lambda content: put(content, content.index(b"base"), 7, ">B"),
        "qcow2.backing.name",
        lambda content: content.index(b"base"),
    ),
    Case(
        "data file without a name",
        external,
        lambda content: put(content, extension_at(content, DATA_FILE), 5, ">I"),
        "qcow2.data_file.name",
        "incompatible_features",
        usual=NO_DATA_FILE,
    ),
    Case(
        "LUKS without its header",
        locked,
        lambda content: put(content, extension_at(content, CRYPTO), 5, ">I"),
        "qcow2.crypto.header",
        "crypt_method",
        usual=LOCKED,
    ),
    Case(
        "LUKS header in an open image",
        locked,
        to("crypt_method", 0),
        "qcow2.crypto.header",
        lambda content: extension_at(content, CRYPTO) + 8,
        usual=LOCKED,
    ),
    Case(
        "LUKS header at a crooked place",
        locked,
        lambda content: flip(content, extension_at(content, CRYPTO) + 15),
        "qcow2.crypto.header",
        lambda content: extension_at(content, CRYPTO) + 8,
        usual=LOCKED,
    ),
    Case(
        "LUKS signature",
        locked,
        lambda content: flip(content, content.index(b"LUKS")),
        "qcow2.crypto.header",
        lambda content: content.index(b"LUKS"),
        usual=LOCKED,
    ),
)

BITMAP_CASES = (
    Case(
        "bitmaps out of date",
        bitmapped,
        to("autoclear_features", 0),
        "qcow2.bitmaps.consistent",
        "autoclear_features",
        REDUNDANT,
    ),
    Case(
        "bitmaps lost",
        sample,
        to("autoclear_features", 1),
        "qcow2.bitmaps.consistent",
        "autoclear_features",
        REDUNDANT,
    ),
    Case(
        "bitmaps extension of another length",
        bitmapped,
        lambda content: put(content, extension_at(content, BITMAPS) + 4, 16, ">I"),
        "qcow2.bitmaps.directory",
        lambda content: extension_at(content, BITMAPS) + 8,
    ),
    Case(
        "bitmaps extension with reserved bits",
        bitmapped,
        lambda content: flip(content, extension_at(content, BITMAPS) + 12),
        "qcow2.bitmaps.directory",
        lambda content: extension_at(content, BITMAPS) + 8,
    ),
    Case(
        "more bitmaps than entries",
        bitmapped,
        lambda content: put(content, extension_at(content, BITMAPS) + 8, 2, ">I"),
        "qcow2.bitmaps.directory",
        lambda content: word(content, extension_at(content, BITMAPS) + 24),
    ),
    Case(
        "bitmap name longer than the directory",
        bitmapped,
        lambda content: put(content, content.index(b"bm0") - 6, 900, ">H"),
        "qcow2.bitmaps.directory",
        lambda content: word(content, extension_at(content, BITMAPS) + 24),
    ),
    Case(
        "bitmap with extra data",
        bitmapped,
        lambda content: put(content, content.index(b"bm0") - 4, 4, ">I"),
        "qcow2.bitmaps.directory",
        lambda content: content.index(b"bm0") - 24,
        outcome=Outcome.UNSUPPORTED,
    ),
    Case(
        "bitmap of another type",
        bitmapped,
        lambda content: put(content, content.index(b"bm0") - 8, 2, ">B"),
        "qcow2.bitmaps.directory",
        lambda content: content.index(b"bm0") - 24,
    ),
    Case(
        "bitmap table at a crooked place",
        bitmapped,
        lambda content: flip(content, content.index(b"bm0") - 17),
        "qcow2.bitmaps.directory",
        lambda content: content.index(b"bm0") - 24,
    ),
    Case(
        "bitmap longer than the disk",
        bitmapped,
        lambda content: put(content, content.index(b"bm0") - 16, 2, ">I"),
        "qcow2.bitmaps.table",
        lambda content: content.index(b"bm0") - 24,
    ),
    Case(
        "bitmap entry with reserved bits",
        bitmapped,
        lambda content: flip(content, word(content, content.index(b"bm0") - 24)),
        "qcow2.bitmaps.table",
        lambda content: word(content, content.index(b"bm0") - 24),
    ),
    Case(
        "bitmap entry of ones beside an offset",
        bitmapped,
        lambda content: flip(content, word(content, content.index(b"bm0") - 24) + 7),
        "qcow2.bitmaps.table",
        lambda content: word(content, content.index(b"bm0") - 24),
    ),
    Case(
        "bitmap entry behind all refcounts",
        bitmapped,
        lambda content: flip(content, word(content, content.index(b"bm0") - 24) + 2),
        "qcow2.bitmaps.table",
        lambda content: word(content, content.index(b"bm0") - 24),
    ),
)

SNAPSHOT_CASES = (
    Case(
        "snapshots at a crooked place",
        snapshotted,
        lambda content: flip(content, 71),
        "qcow2.snapshots.place",
        "nb_snapshots",
    ),
    Case(
        "no snapshots at a crooked place",
        sample,
        lambda content: flip(content, 71),
        "qcow2.snapshots.place",
        "nb_snapshots",
    ),
    Case(
        "more snapshots than allowed",
        snapshotted,
        to("nb_snapshots", 65_537),
        "qcow2.snapshots.place",
        "nb_snapshots",
    ),
    Case(
        "snapshot without an L1 table",
        snapshotted,
        lambda content: put(content, field_of(content, "snapshots_offset"), 0),
        "qcow2.snapshots.entry",
        lambda content: field_of(content, "snapshots_offset"),
    ),
    Case(
        "snapshot whose L1 table is too short for its disk",
        snapshotted,
        lambda content: put(content, field_of(content, "snapshots_offset") + 8, 0, ">I"),
        "qcow2.snapshots.entry",
        lambda content: field_of(content, "snapshots_offset"),
    ),
    Case(
        "snapshot with too much extra data",
        snapshotted,
        lambda content: put(content, field_of(content, "snapshots_offset") + 36, 1025, ">I"),
        "qcow2.snapshots.entry",
        lambda content: field_of(content, "snapshots_offset"),
    ),
    Case(
        "snapshot with too little extra data",
        snapshotted,
        lambda content: put(content, field_of(content, "snapshots_offset") + 36, 8, ">I"),
        "qcow2.snapshots.entry",
        lambda content: field_of(content, "snapshots_offset"),
        REDUNDANT,
    ),
    Case(
        "snapshot lost",
        snapshotted,
        to("nb_snapshots", 0),
        "qcow2.cluster.leaked",
        512,
        DOUBTFUL,
    ),
)

MAP_CASES = (
    Case(
        "L1 entry with reserved bits",
        sample,
        lambda content: flip(content, l1(content)),
        "qcow2.l1.reserved",
        l1,
        REDUNDANT,
    ),
    Case(
        "L1 entry at a crooked place",
        extended,
        lambda content: flip(content, l1(content) + 6, 2),
        "qcow2.l1.entry",
        l1,
    ),
    Case(
        "L1 entry behind all refcounts",
        sample,
        lambda content: flip(content, l1(content) + 2),
        "qcow2.l1.entry",
        l1,
    ),
    Case(
        "L1 entry without its offset",
        sample,
        lambda content: put(content, l1(content), COPIED),
        "qcow2.l1.entry",
        l1,
        DOUBTFUL,
    ),
    Case(
        "L1 entry not marked as copied",
        sample,
        lambda content: flip(content, l1(content), 7),
        "qcow2.l1.copied",
        l1,
        REDUNDANT,
    ),
    Case(
        "L1 entry lost",
        sample,
        lambda content: zero(content, l1(content, 1), 8),
        "qcow2.cluster.leaked",
        lambda content: host(content, 70),
        DOUBTFUL,
    ),
    Case(
        "two L1 entries exchanged for one",
        sample,
        lambda content: put(content, l1(content, 1), word(content, l1(content))),
        "qcow2.cluster.missing",
        lambda content: host(content, 0),
    ),
    Case(
        "L2 entry with reserved bits",
        sample,
        lambda content: flip(content, entry(content, 0) + 7, 4),
        "qcow2.l2.reserved",
        lambda content: entry(content, 0),
        REDUNDANT,
    ),
    Case(
        "L2 entry behind all refcounts",
        sample,
        lambda content: flip(content, entry(content, 5) + 2, 3),
        "qcow2.l2.entry",
        lambda content: entry(content, 5),
    ),
    Case(
        "L2 entry at a crooked place",
        extended,
        lambda content: flip(content, entry(content, 3, 16) + 6, 1),
        "qcow2.l2.entry",
        lambda content: entry(content, 3, 16),
    ),
    Case(
        "L2 entry without its offset",
        sample,
        lambda content: put(content, entry(content, 0), COPIED),
        "qcow2.l2.entry",
        lambda content: entry(content, 0),
        DOUBTFUL,
    ),
    Case(
        "L2 entry not marked as copied",
        sample,
        lambda content: flip(content, entry(content, 0), 7),
        "qcow2.l2.copied",
        lambda content: entry(content, 0),
        REDUNDANT,
    ),
    Case(
        "shared cluster marked as copied",
        snapshotted,
        lambda content: flip(content, entry(content, 1), 7),
        "qcow2.l2.copied",
        lambda content: entry(content, 1),
        REDUNDANT,
    ),
    Case(
        "compressed cluster marked as copied",
        compressed,
        lambda content: flip(content, entry(content, 4), 7),
        "qcow2.l2.copied",
        lambda content: entry(content, 4),
        REDUNDANT,
    ),
    Case(
        "L2 entry lost",
        sample,
        lambda content: zero(content, entry(content, 5), 8),
        "qcow2.cluster.leaked",
        lambda content: host(content, 5),
        DOUBTFUL,
    ),
    Case(
        "L2 entry that points to its neighbour's cluster",
        sample,
        lambda content: put(content, entry(content, 1), word(content, entry(content, 0))),
        "qcow2.cluster.missing",
        lambda content: host(content, 0),
    ),
    Case(
        "L2 entry that points to an L2 table",
        sample,
        lambda content: put(content, entry(content, 1), entry(content, 0) | COPIED),
        "qcow2.cluster.overlap",
        lambda content: entry(content, 0),
    ),
    Case(
        "L2 entry that points to the refcounts",
        sample,
        lambda content: put(content, entry(content, 1), block(content) | COPIED),
        "qcow2.cluster.overlap",
        block,
    ),
    Case(
        "L2 entry that points to the L1 table",
        sample,
        lambda content: put(content, entry(content, 1), l1(content) | COPIED),
        "qcow2.cluster.overlap",
        l1,
    ),
    Case(
        "snapshot that shares the active L1 table",
        snapshotted,
        lambda content: put(content, field_of(content, "snapshots_offset"), l1(content)),
        "qcow2.cluster.overlap",
        l1,
    ),
    Case(
        "plain cluster among compressed ones",
        compressed,
        lambda content: put(content, entry(content, 9), 512 | COPIED),
        "qcow2.cluster.overlap",
        512,
    ),
    Case(
        "zero flag in version 2",
        lambda: sample(version=2),
        lambda content: flip(content, entry(content, 0) + 7),
        "qcow2.l2.entry",
        lambda content: entry(content, 0),
    ),
    Case(
        "subcluster both stored and zero",
        extended,
        lambda content: flip(content, entry(content, 3, 16) + 8 + 3),
        "qcow2.l2.entry",
        lambda content: entry(content, 3, 16) + 8,
    ),
    Case(
        "subclusters stored nowhere",
        extended,
        lambda content: put(content, entry(content, 7, 16) + 8, 1),
        "qcow2.l2.entry",
        lambda content: entry(content, 7, 16) + 8,
    ),
    Case(
        "zero flag beside subclusters",
        extended,
        lambda content: flip(content, entry(content, 3, 16) + 7),
        "qcow2.l2.reserved",
        lambda content: entry(content, 3, 16),
        REDUNDANT,
    ),
    Case(
        "guest cluster at another's place in the data file",
        external,
        lambda content: put(content, entry(content, 2), 3 * 512 | COPIED),
        "qcow2.l2.entry",
        lambda content: entry(content, 2),
        usual=NO_DATA_FILE,
    ),
    Case(
        "compressed cluster in a data file",
        external,
        lambda content: flip(content, entry(content, 2), 6),
        "qcow2.l2.entry",
        lambda content: entry(content, 2),
        usual=NO_DATA_FILE,
    ),
    Case(
        "cluster in the data file without its mark",
        external,
        lambda content: flip(content, entry(content, 2), 7),
        "qcow2.l2.copied",
        lambda content: entry(content, 2),
        REDUNDANT,
        usual=NO_DATA_FILE,
    ),
    Case(
        "compressed cluster that does not decode",
        compressed,
        lambda content: zero(content, 512, 20),
        "qcow2.cluster.decode",
        512,
    ),
)

COUNT_CASES = (
    Case(
        "count too high",
        sample,
        count_leaked,
        "qcow2.cluster.leaked",
        lambda content: host(content, 0),
        DOUBTFUL,
    ),
    Case(
        "count too low",
        sample,
        count_lost,
        "qcow2.cluster.missing",
        lambda content: host(content, 0),
    ),
    Case(
        "free cluster counted",
        sample,
        lambda content: put(content, count_of(content, len(content)) + 20, 1, ">H"),
        "qcow2.cluster.leaked",
        # Ten clusters behind the end of the file: no place in it.
        lambda _content: None,
        DOUBTFUL,
    ),
    Case(
        "refcount block at a crooked place",
        sample,
        lambda content: flip(content, field_of(content, "refcount_table_offset") + 7, 3),
        "qcow2.refcount_table.entry",
        lambda content: field_of(content, "refcount_table_offset"),
        DOUBTFUL,
    ),
    Case(
        "second refcount block at a crooked place",
        crowded,
        lambda content: flip(content, field_of(content, "refcount_table_offset") + 15, 3),
        "qcow2.refcount_table.entry",
        lambda content: field_of(content, "refcount_table_offset") + 8,
        DOUBTFUL,
    ),
    Case(
        "refcount block behind all refcounts",
        sample,
        lambda content: flip(content, field_of(content, "refcount_table_offset") + 4),
        "qcow2.refcount_table.entry",
        lambda content: field_of(content, "refcount_table_offset"),
        DOUBTFUL,
    ),
    Case(
        "refcount block at two places",
        sample,
        lambda content: put(
            content, field_of(content, "refcount_table_offset") + 8, block(content)
        ),
        "qcow2.cluster.overlap",
        block,
    ),
    Case(
        "refcount block lost",
        sample,
        lambda content: zero(content, field_of(content, "refcount_table_offset"), 8),
        "qcow2.l1.place",
        "l1_table_offset",
    ),
    Case(
        "refcounts zeroed",
        sample,
        lambda content: zero(content, block(content), 512),
        "qcow2.cluster.missing",
        0,
    ),
    Case(
        "map and data exchanged",
        sample,
        swapped_tables,
        "qcow2.cluster.leaked",
        lambda content: host(content, 0),
        DOUBTFUL,
    ),
    Case(
        "count too low in a dirty image",
        lambda: sample(incompatible=1),
        count_lost,
        "qcow2.cluster.missing",
        lambda content: host(content, 0),
        REDUNDANT,
        usual=DIRTY_STATE,
    ),
    Case(
        "count too high in a dirty image",
        lambda: sample(incompatible=1),
        count_leaked,
        "qcow2.cluster.leaked",
        lambda content: host(content, 0),
        REDUNDANT,
        usual=DIRTY_STATE,
    ),
    Case(
        "cluster mapped twice in a dirty image",
        lambda: sample(incompatible=1),
        lambda content: put(content, entry(content, 1), word(content, entry(content, 0))),
        "qcow2.cluster.overlap",
        lambda content: host(content, 0),
        usual=DIRTY_STATE,
    ),
)

CASES = (
    *HEADER_CASES,
    *EXTENSION_CASES,
    *BITMAP_CASES,
    *SNAPSHOT_CASES,
    *MAP_CASES,
    *COUNT_CASES,
)
