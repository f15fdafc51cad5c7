"""The header of a qcow2 image: its fields, its feature bits, and what follows from them.

References of this package: [spec] is QEMU's docs/interop/qcow2.rst, [QEMU] the program itself,
version 7.2.22 unless another one is named.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from formats.core.errors import Truncated
from formats.core.layout import Layout, raw, u8, u32, u64
from formats.core.model import Bearing, Codec, Source
from formats.qcow2.findings import Findings

MAGIC = b"QFI\xfb"

VERSION_FEATURES = 3
"""The version that brought feature bits, the zero flag and other refcount widths."""

HEADER_BYTES_V2 = 72
HEADER_BYTES_V3 = 104
PADDING_OFFSET = 105

# [spec] "Header" must: at least 9. [QEMU] refuses more than 21, and no program is known that
# writes more.
CLUSTER_BITS_MIN = 9
CLUSTER_BITS_MAX = 21
# [spec] "Header", note on extended L2 entries: 32 subclusters of at least 512 bytes.
CLUSTER_BITS_EXTENDED_MIN = 14

REFCOUNT_ORDER_V2 = 4
REFCOUNT_ORDER_MAX = 6

# [spec] "incompatible_features".
DIRTY = 1 << 0
CORRUPT = 1 << 1
EXTERNAL_DATA = 1 << 2
COMPRESSION_TYPE = 1 << 3
EXTENDED_L2 = 1 << 4
INCOMPATIBLE_KNOWN = DIRTY | CORRUPT | EXTERNAL_DATA | COMPRESSION_TYPE | EXTENDED_L2
# [spec] "compatible_features".
LAZY_REFCOUNTS = 1 << 0
# [spec] "autoclear_features".
BITMAPS_CONSISTENT = 1 << 0
RAW_EXTERNAL_DATA = 1 << 1

CRYPT_NONE, CRYPT_AES, CRYPT_LUKS = 0, 1, 2
CRYPT_NAMES: Mapping[int, str] = {CRYPT_NONE: "none", CRYPT_AES: "aes", CRYPT_LUKS: "luks"}

COMPRESSION_NAMES: Mapping[int, str] = {0: "zlib", 1: "zstd"}
CODECS: Mapping[int, Codec] = {0: Codec.DEFLATE, 1: Codec.ZSTD}

# [QEMU] block/qcow2.h refuses larger ones; at 64 KiB clusters they map 2 EiB.
L1_BYTES_MAX = 32 << 20
REFCOUNT_TABLE_BYTES_MAX = 8 << 20
SIZE_MAX = (1 << 63) - 1
# More than any offset of a descriptor (56 bits); small enough to add a length in 64 bits.
OFFSET_UNLIMITED = 1 << 62


class HeaderLayout(Layout, size=112, order=">"):
    """The header as stored ([spec] "Header"); version 2 ends before the feature bits."""

    magic = raw(0, 4)
    version = u32(4)
    backing_file_offset = u64(8)
    backing_file_size = u32(16)
    cluster_bits = u32(20)
    disk_size = u64(24)  # "size" in [spec]; a `Layout` has a size of its own
    crypt_method = u32(32)
    l1_size = u32(36)
    l1_table_offset = u64(40)
    refcount_table_offset = u64(48)
    refcount_table_clusters = u32(56)
    nb_snapshots = u32(60)
    snapshots_offset = u64(64)
    incompatible_features = u64(72)
    compatible_features = u64(80)
    autoclear_features = u64(88)
    refcount_order = u32(96)
    header_length = u32(100)
    compression_type = u8(104)
    padding = raw(PADDING_OFFSET, 7)


@dataclass(frozen=True, slots=True)
class Header:
    """The header's fields, those that a version lacks at their assumed values."""

    version: int
    backing_file_offset: int
    backing_file_size: int
    cluster_bits: int
    size: int
    crypt_method: int
    l1_size: int
    l1_table_offset: int
    refcount_table_offset: int
    refcount_table_clusters: int
    nb_snapshots: int
    snapshots_offset: int
    incompatible_features: int
    compatible_features: int
    autoclear_features: int
    refcount_order: int
    header_length: int
    compression_type: int

    @property
    def cluster_size(self) -> int:
        """Length in bytes of a cluster."""
        return 1 << self.cluster_bits

    @property
    def entry_bytes(self) -> int:
        """Length of an L2 entry."""
        return 16 if self.extended_l2 else 8

    @property
    def entries_per_table(self) -> int:
        """Entries in an L2 table, which is one cluster."""
        return self.cluster_size // self.entry_bytes

    @property
    def extended_l2(self) -> bool:
        """Whether L2 entries carry a subcluster bitmap."""
        return bool(self.incompatible_features & EXTENDED_L2)

    @property
    def external_data(self) -> bool:
        """Whether guest clusters are in another file."""
        return bool(self.incompatible_features & EXTERNAL_DATA)

    @property
    def raw_external_data(self) -> bool:
        """Whether the other file is a raw image of the whole disk."""
        return self.external_data and bool(self.autoclear_features & RAW_EXTERNAL_DATA)

    @property
    def dirty(self) -> bool:
        """Whether refcounts were being written lazily and may be out of date."""
        return bool(self.incompatible_features & DIRTY)

    @property
    def codec(self) -> Codec | None:
        """How compressed clusters are stored, where it is known."""
        return CODECS.get(self.compression_type)

    @property
    def disk_clusters(self) -> int:
        """Guest clusters of the virtual disk, the last one perhaps in part."""
        return -(-self.size >> self.cluster_bits)

    @property
    def disk_tables(self) -> int:
        """L2 tables that the virtual disk needs; later ones hold VM state."""
        return -(-self.disk_clusters // self.entries_per_table)


def read_header(source: Source) -> tuple[Header, bytes]:
    """Return the header and its bytes as read, padded with zeros; raise `Truncated`."""
    stored = source.read_at(0, min(source.size, HeaderLayout.size))
    require_header(stored, HEADER_BYTES_V2)
    padded = stored.ljust(HeaderLayout.size, b"\0")
    fields = HeaderLayout.parse(padded)
    later = fields.version >= VERSION_FEATURES
    if later:
        require_header(stored, HEADER_BYTES_V3)
    # [spec] "Additional fields": a field behind header_length is absent and counts as zero.
    has_compression = later and fields.header_length > HeaderLayout.compression_type.offset
    header = Header(
        version=fields.version,
        backing_file_offset=fields.backing_file_offset,
        backing_file_size=fields.backing_file_size,
        cluster_bits=fields.cluster_bits,
        size=fields.disk_size,
        crypt_method=fields.crypt_method,
        l1_size=fields.l1_size,
        l1_table_offset=fields.l1_table_offset,
        refcount_table_offset=fields.refcount_table_offset,
        refcount_table_clusters=fields.refcount_table_clusters,
        nb_snapshots=fields.nb_snapshots,
        snapshots_offset=fields.snapshots_offset,
        incompatible_features=fields.incompatible_features if later else 0,
        compatible_features=fields.compatible_features if later else 0,
        autoclear_features=fields.autoclear_features if later else 0,
        refcount_order=fields.refcount_order if later else REFCOUNT_ORDER_V2,
        header_length=fields.header_length if later else HEADER_BYTES_V2,
        compression_type=fields.compression_type if has_compression else 0,
    )
    return header, padded


def require_header(stored: bytes, length: int) -> None:
    """Raise `Truncated` where the file ends inside its header."""
    if len(stored) < length:
        raise Truncated(0, length, len(stored), check="qcow2.header.length")


def readable(header: Header, findings: Findings) -> bool:
    """Report what makes the rest of the file unreadable, and return whether nothing does."""
    layout = HeaderLayout
    if header.version not in (2, 3):
        findings.unsupported(
            "qcow2.header.version", layout.version.offset, 4, "2 or 3", str(header.version)
        )
        return False
    if not CLUSTER_BITS_MIN <= header.cluster_bits <= CLUSTER_BITS_MAX:
        findings.mismatch(
            "qcow2.header.cluster_bits",
            layout.cluster_bits.offset,
            4,
            f"{CLUSTER_BITS_MIN} to {CLUSTER_BITS_MAX}",
            str(header.cluster_bits),
        )
        return False
    unknown = header.incompatible_features & ~INCOMPATIBLE_KNOWN
    if unknown:
        # [spec] "incompatible_features" must: refuse an image with a bit one does not know.
        findings.unsupported(
            "qcow2.header.incompatible_features",
            layout.incompatible_features.offset,
            8,
            "known features",
            f"{unknown:#x}",
        )
        return False
    if header.extended_l2 and header.cluster_bits < CLUSTER_BITS_EXTENDED_MIN:
        findings.mismatch(
            "qcow2.header.cluster_bits",
            layout.cluster_bits.offset,
            4,
            f"at least {CLUSTER_BITS_EXTENDED_MIN} with extended L2 entries",
            str(header.cluster_bits),
        )
        return False
    findings.match("qcow2.header.cluster_bits")
    findings.match("qcow2.header.incompatible_features")
    return True


def check_header(header: Header, stored: bytes, findings: Findings) -> None:
    """Report what is wrong with fields that do not stop the inspection."""
    check_version_label(header, stored, findings)
    check_length(header, stored, findings)
    check_state_bits(header, findings)
    check_compression(header, findings)
    check_encryption(header, findings)
    check_optional_bits(header, findings)
    check_tables(header, findings)


def check_version_label(header: Header, stored: bytes, findings: Findings) -> None:
    """Report a version 3 header that calls itself version 2."""
    # Bytes 72-79 of a plain version 3 header read as the end mark of version 2's extensions, so
    # one flipped bit in the version hides every feature. Seen: [QEMU] fills the rest of a version 2
    # header with zeros.
    fields = HeaderLayout.parse(stored)
    if (
        header.version < VERSION_FEATURES
        and fields.header_length in (HEADER_BYTES_V3, HeaderLayout.size)
        and fields.refcount_order <= REFCOUNT_ORDER_MAX
    ):
        findings.mismatch(
            "qcow2.header.version",
            HeaderLayout.version.offset,
            4,
            "3, as its later fields say",
            "2",
            Bearing.DOUBTFUL,
        )
    findings.match("qcow2.header.version")


def check_length(header: Header, stored: bytes, findings: Findings) -> None:
    """Report a header length that breaks its rules, and padding that is not zero."""
    length = header.header_length
    if header.version >= VERSION_FEATURES and (
        length < HEADER_BYTES_V3 or length % 8 or length > header.cluster_size
    ):
        findings.mismatch(
            "qcow2.header.length",
            HeaderLayout.header_length.offset,
            4,
            f"{HEADER_BYTES_V3} to {header.cluster_size}, a multiple of 8",
            str(length),
        )
        return
    findings.need(length)
    if header.version < VERSION_FEATURES or length < HeaderLayout.size:
        return
    if any(HeaderLayout.parse(stored).padding):
        # [spec] "Header padding" must be zero. Seen: [QEMU] reads such an image all the same.
        findings.mismatch(
            "qcow2.header.padding", PADDING_OFFSET, 7, "zeros", "other bytes", Bearing.REDUNDANT
        )
    findings.match("qcow2.header.padding")


def check_state_bits(header: Header, findings: Findings) -> None:
    """Report an image that calls itself dirty or corrupt."""
    offset = HeaderLayout.incompatible_features.offset
    if header.dirty:
        # [spec]: only refcounts may be wrong then, and they can be made anew from L1 and L2.
        findings.mismatch(
            "qcow2.header.dirty", offset, 8, "clear", "set", bearing=Bearing.REDUNDANT
        )
    if header.incompatible_features & CORRUPT:
        findings.mismatch("qcow2.header.corrupt", offset, 8, "clear", "set")
    findings.match("qcow2.header.dirty")
    findings.match("qcow2.header.corrupt")


def check_compression(header: Header, findings: Findings) -> None:
    """Report a compression type that is unknown or contradicts its feature bit."""
    offset = HeaderLayout.compression_type.offset
    declared = bool(header.incompatible_features & COMPRESSION_TYPE)
    # [spec] "compression_type" must: the bit is set exactly when the type is not zero.
    if declared != bool(header.compression_type):
        findings.mismatch(
            "qcow2.header.compression_type",
            offset,
            1,
            "not 0" if declared else "0",
            str(header.compression_type),
        )
    elif header.codec is None:
        findings.unsupported(
            "qcow2.header.compression_type", offset, 1, "0 or 1", str(header.compression_type)
        )
    findings.match("qcow2.header.compression_type")


def check_encryption(header: Header, findings: Findings) -> None:
    """Report that content is encrypted, or that its method is unknown."""
    if header.crypt_method != CRYPT_NONE:
        findings.unsupported(
            "qcow2.header.crypt_method",
            HeaderLayout.crypt_method.offset,
            4,
            "no encryption",
            CRYPT_NAMES.get(header.crypt_method, f"method {header.crypt_method}"),
        )
    findings.match("qcow2.header.crypt_method")


def check_optional_bits(header: Header, findings: Findings) -> None:
    """Report features that a reader may ignore, but that this code does not know."""
    layout = HeaderLayout
    for field, value, known in (
        (layout.compatible_features, header.compatible_features, LAZY_REFCOUNTS),
        (
            layout.autoclear_features,
            header.autoclear_features,
            BITMAPS_CONSISTENT | RAW_EXTERNAL_DATA,
        ),
    ):
        if value & ~known:
            findings.unsupported(
                "qcow2.header.optional_features",
                field.offset,
                8,
                "known features",
                f"{value & ~known:#x}",
                Bearing.REDUNDANT,
            )
    if header.autoclear_features & RAW_EXTERNAL_DATA and not header.external_data:
        # [spec] must not be; [QEMU] refuses the image.
        findings.mismatch(
            "qcow2.header.optional_features",
            layout.autoclear_features.offset,
            8,
            "raw external data only with external data",
            f"{header.autoclear_features:#x}",
        )
    findings.match("qcow2.header.optional_features")


def check_tables(header: Header, findings: Findings) -> None:
    """Report tables that do not fit their own rules, and a disk its L1 table cannot map."""
    layout = HeaderLayout
    if header.size > SIZE_MAX or header.l1_size < header.disk_tables:
        # [QEMU] refuses the image: the L1 table must reach the end of the disk.
        findings.mismatch(
            "qcow2.l1.size",
            layout.l1_size.offset,
            4,
            f"at least {header.disk_tables} entries",
            f"{header.l1_size} entries",
        )
    if header.l1_size * 8 > L1_BYTES_MAX:
        findings.mismatch(
            "qcow2.l1.size",
            layout.l1_size.offset,
            4,
            f"at most {L1_BYTES_MAX // 8} entries",
            f"{header.l1_size} entries",
        )
    findings.match("qcow2.l1.size")
    if header.refcount_order > REFCOUNT_ORDER_MAX:
        findings.mismatch(
            "qcow2.header.refcount_order",
            layout.refcount_order.offset,
            4,
            f"at most {REFCOUNT_ORDER_MAX}",
            str(header.refcount_order),
        )
    findings.match("qcow2.header.refcount_order")


def placeable(offset: int, length: int, header: Header, limit_bytes: int) -> bool:
    """Whether a structure of its own clusters may be here.

    ``limit_bytes`` is up to where refcounts reach: behind that nothing can be allocated, however
    long the file once was.
    """
    return 0 < offset <= limit_bytes - length and not offset % header.cluster_size
