"""Header extensions and the backing file name: everything between the header and its cluster's end.

[spec] "Header extensions": type, length, content, rounded up to 8 bytes; type 0 ends the list.
"""

from dataclasses import dataclass, field

from formats.core.errors import Truncated
from formats.core.layout import Layout, raw, u8, u32, u64
from formats.core.model import Bearing, Source
from formats.qcow2.findings import Findings
from formats.qcow2.header import (
    BITMAPS_CONSISTENT,
    CRYPT_LUKS,
    HEADER_BYTES_V3,
    Header,
    HeaderLayout,
    placeable,
)

END = 0x00000000
BACKING_FORMAT = 0xE2792ACA
FEATURE_NAMES = 0x6803F857
BITMAPS = 0x23852875
CRYPTO_HEADER = 0x0537BE77
DATA_FILE = 0x44415441
KNOWN = frozenset({BACKING_FORMAT, FEATURE_NAMES, BITMAPS, CRYPTO_HEADER, DATA_FILE})

# A cluster of 2 MiB could hold 262,144 empty extensions; six types are known.
EXTENSIONS_MAX = 256
# [spec] "backing_file_size" must.
BACKING_NAME_BYTES_MAX = 1023
# [QEMU] keeps the data file's name in a buffer of PATH_MAX; assumed to be enough for any.
DATA_FILE_NAME_BYTES_MAX = 4096
FEATURE_ROWS_MAX = 192
FORMAT_NAME_BYTES_MAX = 64

# [QEMU] allows 65,535 bitmaps with names of 1,023 bytes.
BITMAP_DIRECTORY_BYTES_MAX = 65_535 * 1_048
# Assumed: LUKS 1 with eight key slots of 512-bit keys takes 4 MiB.
LUKS_BYTES_MAX = 64 << 20

LUKS_MAGIC = b"LUKS\xba\xbe"


class ExtensionHead(Layout, size=8, order=">"):
    """What every extension starts with."""

    type = u32(0)
    length = u32(4)


class BitmapsLayout(Layout, size=24, order=">"):
    """[spec] "Bitmaps extension"."""

    nb_bitmaps = u32(0)
    reserved = u32(4)
    bitmap_directory_size = u64(8)
    bitmap_directory_offset = u64(16)


class CryptoLayout(Layout, size=16, order=">"):
    """[spec] "Full disk encryption header pointer"."""

    offset = u64(0)
    length = u64(8)


class FeatureLayout(Layout, size=48, order=">"):
    """[spec] "Feature name table", one row."""

    type = u8(0)
    bit = u8(1)
    name = raw(2, 46)


@dataclass(frozen=True, slots=True)
class BitmapsExtension:
    """Where the directory of persistent dirty bitmaps is."""

    nb_bitmaps: int
    directory_offset: int
    directory_size: int


@dataclass(frozen=True, slots=True)
class Extensions:
    """What the extensions of one image say."""

    backing_format: str | None = None
    data_file: str | None = None
    bitmaps: BitmapsExtension | None = None
    crypto: tuple[int, int] | None = None
    features: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(slots=True)
class Found:
    """Raw extensions by type, the first of each: offset of the content, and the content."""

    content: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def read_extensions(
    source: Source, header: Header, limit_bytes: int, findings: Findings
) -> Extensions:
    """Return what the extensions say, after reporting what is wrong with them.

    ``limit_bytes`` is up to where refcounts reach.
    """
    check_start(source, header, findings)
    found = find_extensions(source, header, findings)
    findings.match("qcow2.extension.length", len(found.content))
    return Extensions(
        backing_format=text_of(found, BACKING_FORMAT, FORMAT_NAME_BYTES_MAX),
        data_file=text_of(found, DATA_FILE, DATA_FILE_NAME_BYTES_MAX),
        bitmaps=bitmaps_of(found, header, limit_bytes, findings),
        crypto=crypto_of(source, found, header, limit_bytes, findings),
        features=features_of(found),
        unknown=tuple(found.unknown),
    )


def check_start(source: Source, header: Header, findings: Findings) -> None:
    """Report a header length that skips extensions."""
    # [spec] allows longer headers, with fields that are none of ours. Extensions never start
    # inside a header, though, and every image written by [QEMU] has one directly behind it.
    for end in (HEADER_BYTES_V3, HeaderLayout.size):
        if end < header.header_length and end + ExtensionHead.size <= source.size:
            head = ExtensionHead.parse(source.read_at(end, ExtensionHead.size))
            if head.type in KNOWN and end + head.length <= header.cluster_size:
                findings.mismatch(
                    "qcow2.header.length",
                    HeaderLayout.header_length.offset,
                    4,
                    f"{end}, where extensions start",
                    str(header.header_length),
                    Bearing.DOUBTFUL,
                )
    findings.match("qcow2.header.length")


def find_extensions(source: Source, header: Header, findings: Findings) -> Found:
    """Walk the list of extensions, as far as it holds together."""
    found = Found()
    offset = header.header_length
    # [QEMU] lets the backing file name end the area, as it is stored behind it.
    end = header.backing_file_offset or header.cluster_size
    end = min(end, header.cluster_size)
    for _ in range(EXTENSIONS_MAX):
        if offset + ExtensionHead.size > end:
            return found
        head = ExtensionHead.parse(read_needed(source, offset, ExtensionHead.size))
        start = offset + ExtensionHead.size
        findings.need(start)
        if head.length > end - start:
            findings.mismatch(
                "qcow2.extension.length", offset, 8, f"at most {end - start}", str(head.length)
            )
            return found
        # Seen: [QEMU] looks at the length of the end mark too, before it knows it for one.
        if head.type == END:
            return found
        findings.need(start + head.length)
        keep_extension(source, head, start, found, findings)
        offset = start + -(-head.length // 8) * 8
    findings.unsupported(
        "qcow2.extension.length", offset, 8, f"at most {EXTENSIONS_MAX} extensions", "more"
    )
    return found


def keep_extension(
    source: Source, head: ExtensionHead, start: int, found: Found, findings: Findings
) -> None:
    """Keep one extension that lies inside the header's cluster."""
    if head.type not in KNOWN:
        found.unknown.append(f"{head.type:#010x}")
    elif head.type in found.content:
        # [spec] must: each type at most once. Which of the two counts, nothing tells.
        findings.mismatch(
            "qcow2.extension.duplicate", start - 8, 8, "once", f"{head.type:#010x} again"
        )
    else:
        found.content[head.type] = start, read_needed(source, start, head.length)


def read_needed(source: Source, offset: int, length: int) -> bytes:
    """Read a part of the header's cluster; a file that ends there has no map at all."""
    if offset + length > source.size:
        raise Truncated(offset, length, source.size, check="qcow2.header.length")
    return source.read_at(offset, length)


def text_of(found: Found, kind: int, length_max: int) -> str | None:
    """Return the text of an extension, printable, or None where there is none."""
    if kind not in found.content:
        return None
    return printable(found.content[kind][1][:length_max])


def printable(stored: bytes) -> str:
    """Return stored text; bytes that are no UTF-8 are spelled out."""
    return stored.rstrip(b"\0").decode("utf-8", "backslashreplace")


def features_of(found: Found) -> tuple[str, ...]:
    """Return the image's own names of features, as "bitmap.bit name"."""
    kinds = {0: "incompatible", 1: "compatible", 2: "autoclear"}
    _, content = found.content.get(FEATURE_NAMES, (0, b""))
    rows = min(len(content) // FeatureLayout.size, FEATURE_ROWS_MAX)
    parsed = (FeatureLayout.parse(content, row * FeatureLayout.size) for row in range(rows))
    return tuple(
        f"{kinds.get(row.type, row.type)}.{row.bit} {printable(row.name)}" for row in parsed
    )


def bitmaps_of(
    found: Found, header: Header, limit_bytes: int, findings: Findings
) -> BitmapsExtension | None:
    """Return where the bitmaps are, if the image says that they are consistent."""
    consistent = bool(header.autoclear_features & BITMAPS_CONSISTENT)
    if BITMAPS not in found.content:
        if consistent:
            # [spec] calls this an error; [QEMU] opens the image. The bitmaps are lost, which the
            # next incremental backup will notice; the disk's content is not concerned.
            findings.mismatch(
                "qcow2.bitmaps.consistent",
                HeaderLayout.autoclear_features.offset,
                8,
                "a bitmaps extension",
                "none",
                Bearing.REDUNDANT,
            )
        return None
    offset, content = found.content[BITMAPS]
    if len(content) != BitmapsLayout.size:
        findings.mismatch(
            "qcow2.bitmaps.directory",
            offset,
            len(content),
            f"{BitmapsLayout.size} bytes",
            f"{len(content)} bytes",
        )
        return None
    row = BitmapsLayout.parse(content)
    if not consistent:
        # [spec]: a program that does not know bitmaps has written to the image; what they say is
        # out of date, and [QEMU] ignores them.
        findings.mismatch(
            "qcow2.bitmaps.consistent",
            HeaderLayout.autoclear_features.offset,
            8,
            "set",
            "clear",
            Bearing.REDUNDANT,
        )
    elif (
        not row.nb_bitmaps
        or row.reserved
        or row.bitmap_directory_size > BITMAP_DIRECTORY_BYTES_MAX
        or not placeable(
            row.bitmap_directory_offset, row.bitmap_directory_size, header, limit_bytes
        )
    ):
        findings.mismatch(
            "qcow2.bitmaps.directory",
            offset,
            len(content),
            "bitmaps in a directory of whole clusters",
            f"{row.nb_bitmaps} at {row.bitmap_directory_offset:#x}, reserved {row.reserved:#x}",
        )
        return None
    findings.match("qcow2.bitmaps.consistent")
    return BitmapsExtension(row.nb_bitmaps, row.bitmap_directory_offset, row.bitmap_directory_size)


def crypto_of(
    source: Source, found: Found, header: Header, limit_bytes: int, findings: Findings
) -> tuple[int, int] | None:
    """Return offset and length of the LUKS header, after checking that there is one."""
    wanted = header.crypt_method == CRYPT_LUKS
    if CRYPTO_HEADER not in found.content:
        if wanted:
            findings.mismatch(
                "qcow2.crypto.header", HeaderLayout.crypt_method.offset, 4, "a LUKS header", "none"
            )
        return None
    offset, content = found.content[CRYPTO_HEADER]
    if not wanted or len(content) != CryptoLayout.size:
        # [spec] must: the extension is there exactly for LUKS. [QEMU] refuses the image.
        findings.mismatch(
            "qcow2.crypto.header",
            offset,
            len(content),
            f"{CryptoLayout.size} bytes, with LUKS only",
            f"{len(content)} bytes, method {header.crypt_method}",
        )
        return None
    row = CryptoLayout.parse(content)
    if row.length > LUKS_BYTES_MAX or not placeable(row.offset, row.length, header, limit_bytes):
        findings.mismatch(
            "qcow2.crypto.header",
            offset,
            len(content),
            "whole clusters inside the file",
            f"{row.length} bytes at {row.offset:#x}",
        )
        return None
    findings.need(row.offset + row.length)
    check_luks(source, row.offset, findings)
    findings.match("qcow2.crypto.header")
    return row.offset, row.length


def check_luks(source: Source, offset: int, findings: Findings) -> None:
    """Report a LUKS header that does not start like one."""
    if offset + len(LUKS_MAGIC) > source.size:
        return
    if source.read_at(offset, len(LUKS_MAGIC)) != LUKS_MAGIC:
        findings.mismatch(
            "qcow2.crypto.header", offset, len(LUKS_MAGIC), "LUKS signature", "other bytes"
        )


def read_backing_name(
    source: Source, header: Header, extensions: Extensions, findings: Findings
) -> str | None:
    """Return the backing file's name as stored, or None where there is none."""
    offset, length = header.backing_file_offset, header.backing_file_size
    if not offset:
        if extensions.backing_format:
            # Seen: [QEMU] writes the format of a backing file only beside its name. Without the
            # name the image would be restored as if holes were zeros.
            findings.mismatch(
                "qcow2.backing.name",
                HeaderLayout.backing_file_offset.offset,
                8,
                "a backing file name beside its format",
                "none",
                Bearing.DOUBTFUL,
            )
        return None
    if not 0 < length <= min(BACKING_NAME_BYTES_MAX, header.cluster_size - offset):
        findings.mismatch(
            "qcow2.backing.name",
            HeaderLayout.backing_file_offset.offset,
            12,
            f"1 to {BACKING_NAME_BYTES_MAX} bytes in the first cluster",
            f"{length} at {offset:#x}",
        )
        return None
    findings.need(offset + length)
    stored = read_needed(source, offset, length)
    if any(byte < ord(" ") for byte in stored):
        findings.mismatch("qcow2.backing.name", offset, length, "a file name", "control characters")
    findings.match("qcow2.backing.name")
    return printable(stored)
