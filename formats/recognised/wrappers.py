"""Compressors and archives: what they wrap is not looked at yet."""

from formats.core.model import Source, WriteModel
from formats.recognised.row import Row, begins, every, piece

GZIP_FLAGS_RESERVED = 0xE0
TAR_HEADER_BYTES = 512
TAR_SUM = slice(148, 156)


def _has_gzip_flags(source: Source) -> bool:
    # RFC 1952, 2.3.1: method 8 is the only one, and reserved flags must be zero.
    flags = piece(source, 3, 1)
    return bool(flags) and not flags[0] & GZIP_FLAGS_RESERVED


def _is_tar(source: Source) -> bool:
    # POSIX pax, ustar: the sum of all header bytes, its own field counted as blanks, in octal.
    header = piece(source, 0, TAR_HEADER_BYTES)
    if len(header) < TAR_HEADER_BYTES or header[257:262] != b"ustar":
        return False
    declared = header[TAR_SUM].strip(b" \x00")
    total = sum(header) - sum(header[TAR_SUM]) + 8 * ord(" ")
    return declared.lstrip(b"0") == b"%o" % total


ROWS = (
    Row(
        name="gzip",
        title="gzip file",
        suffixes=(".gz", ".tgz"),
        test=every(begins(b"\x1f\x8b\x08"), _has_gzip_flags),
        write_model=WriteModel.WRITE_ONCE,
        reference="RFC 1952",
        seen="gzip 1.12, pigz",
    ),
    Row(
        name="zstd",
        title="zstd file",
        suffixes=(".zst", ".tzst"),
        test=begins(b"\x28\xb5\x2f\xfd"),
        write_model=WriteModel.WRITE_ONCE,
        reference="RFC 8878, 3.1.1",
        seen="zstd 1.5",
    ),
    Row(
        name="xz",
        title="xz file",
        suffixes=(".xz", ".txz"),
        test=begins(b"\xfd7zXZ\x00"),
        write_model=WriteModel.WRITE_ONCE,
        reference="The .xz File Format 1.1.0, 2.1.1.1",
        seen="xz 5.4",
    ),
    Row(
        name="lz4",
        title="lz4 file",
        suffixes=(".lz4",),
        # The second one is the legacy frame.
        test=begins(b"\x04\x22\x4d\x18", b"\x02\x21\x4c\x18"),
        write_model=WriteModel.WRITE_ONCE,
        reference="LZ4 Frame Format Description 1.6.2",
    ),
    Row(
        name="bzip2",
        title="bzip2 file",
        suffixes=(".bz2", ".tbz2"),
        # Level, then the mark of a block (pi) or of an empty stream's end (its square root).
        test=begins(
            *(
                b"BZh%d%s" % (level, mark)
                for level in range(1, 10)
                for mark in (
                    b"\x31\x41\x59\x26\x53\x59",
                    b"\x17\x72\x45\x38\x50\x90",
                )
            ),
        ),
        write_model=WriteModel.WRITE_ONCE,
        reference="bzip2 source, compress.c",
    ),
    Row(
        name="lzop",
        title="lzop file",
        suffixes=(".lzo", ".tzo"),
        test=begins(b"\x89LZO\x00\r\n\x1a\n"),
        write_model=WriteModel.WRITE_ONCE,
        reference="lzop source, lzop.c: lzop_magic",
    ),
    Row(
        name="sevenzip",
        title="7z archive",
        suffixes=(".7z",),
        test=begins(b"7z\xbc\xaf\x27\x1c"),
        write_model=WriteModel.REWRITTEN,
        reference="7-Zip, DOC/7zFormat.txt",
    ),
    Row(
        name="zip",
        title="zip archive",
        suffixes=(".zip",),
        # A first member, an archive without members, a marked first segment of a split one.
        test=begins(b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08PK\x03\x04"),
        write_model=WriteModel.REWRITTEN,
        reference="PKWARE APPNOTE 6.3.10, 4.3",
    ),
    Row(
        name="tar",
        title="tar archive",
        suffixes=(".tar",),
        test=_is_tar,
        write_model=WriteModel.REWRITTEN,
        reference="POSIX.1-2017, pax, ustar Interchange Format; GNU tar",
        seen="GNU tar 1.34, PostgreSQL 18",
    ),
)
