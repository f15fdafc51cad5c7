"""The configuration stream MQCI: what RESTORE HEADERONLY and FILELISTONLY show.

It stands twice in a backup set, in block MSCI before the data and in block MSLS behind it, as a
chain of records: one SCIN (the set), one SFGI a filegroup, one SFIN a file. Nothing documents it;
all offsets are seen in files of SQL Server 2005 to 2025 and named after what HEADERONLY shows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from formats.core.errors import FormatError
from formats.core.layout import Layout, raw, u8, u16, u32, u64
from formats.sqlserver_bak.lsn import LSN_BYTES

CONFIG_RECORDS = "sqlserver_bak.config.records"

RECORDS_MAX = 100_000
RECORD_HEAD_BYTES = 8
SET_TAG = b"SCIN"
GROUP_TAG = b"SFGI"
FILE_TAG = b"SFIN"
GUID_BYTES = 16
DATE_BYTES = 5
COLLATION_BYTES = 5

KIND_DATA = 1
KIND_LOG = 2


class SetRecord(Layout, size=288, order="<"):
    """SCIN. Its fixed part was 344 bytes in SQL Server 2005, 364 in 2008, 400 since 2012.

    ``log_chain_lsn`` is where the database's log chain began, as every later set repeats it.
    """

    flags = u32(8)
    software_build = u16(24)
    software_minor = u8(26)
    software_major = u8(27)
    first_lsn = raw(32, LSN_BYTES)
    last_lsn = raw(42, LSN_BYTES)
    checkpoint_lsn = raw(52, LSN_BYTES)
    database_backup_lsn = raw(62, LSN_BYTES)
    creation_date = raw(72, DATE_BYTES)
    start_date = raw(77, DATE_BYTES)
    finish_date = raw(82, DATE_BYTES)
    letter = raw(87, 1)
    sort_order = u8(88)
    compatibility_level = u8(91)
    database_version = u16(94)
    backup_size = u64(96)
    database_name = raw(104, 4)
    server_name = raw(108, 4)
    unicode_locale_id = u32(116)
    unicode_comparison_style = u32(120)
    binding_id = raw(124, GUID_BYTES)
    last_lsn_again = raw(144, LSN_BYTES)
    recovery_fork_id = raw(156, GUID_BYTES)
    fork_point_lsn = raw(172, LSN_BYTES)
    first_recovery_fork_id = raw(184, GUID_BYTES)
    previous_full_guid = raw(200, GUID_BYTES)
    collation = raw(216, COLLATION_BYTES)
    family_guid = raw(224, GUID_BYTES)
    database_status = u32(244)
    log_chain_lsn = raw(248, LSN_BYTES)
    differential_base_lsn = raw(260, LSN_BYTES)
    differential_base_guid = raw(272, GUID_BYTES)


COMPRESSED_SIZE_OFFSET = 344
# A shorter SCIN, as SQL Server 2005 wrote, ends there.
COMPRESSED_SIZE_END = 352


class GroupRecord(Layout, size=40, order="<"):
    """SFGI."""

    ordinal = u32(12)
    name = raw(16, 4)
    unique_id = raw(24, GUID_BYTES)


class FileRecord(Layout, size=258, order="<"):
    """SFIN. ``pages`` of a log file is its saved bytes in pages, rounded up.

    The base of differentials is the last full before this set; where the set is itself a full, the
    copy behind the data names that already.
    """

    page_bytes = u32(16)
    file_id = u32(20)
    pages = u32(24)
    kind = u32(28)
    sector_bytes = u32(32)
    group_id = u32(36)
    size_bytes = u64(40)
    logical_name = raw(48, 4)
    physical_name = raw(52, 4)
    max_bytes = u64(86)
    differential_base_lsn = raw(158, LSN_BYTES)
    differential_base_guid = raw(170, GUID_BYTES)
    unique_id = raw(186, GUID_BYTES)
    backup_bytes = u64(250)


# Bytes that differ between the two copies of an undamaged set: what is only known at the end.
DIFFERING: Mapping[bytes, tuple[tuple[int, int], ...]] = {
    SET_TAG: ((32, 62), (82, 87), (96, 104), (144, 156), (248, 260), (332, 352)),
    GROUP_TAG: ((52, 136),),
    FILE_TAG: ((24, 28), (154, 186), (202, 246), (250, 270)),
}


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its tag, its place in the stream, its bytes."""

    tag: bytes
    offset: int
    content: bytes

    def text(self, address: bytes) -> str | None:
        """Return the text at an address: 2 bytes length, 2 bytes offset in the record."""
        length, start = (int.from_bytes(address[at : at + 2], "little") for at in (0, 2))
        if start + length > len(self.content):
            return None
        return self.content[start : start + length].decode("utf-16-le", "replace").rstrip("\0")


@dataclass(frozen=True, slots=True)
class Config:
    """One copy of the configuration, parsed; `place` is where its stream begins in the file."""

    place: int
    content: bytes
    head: Record
    set: SetRecord
    groups: tuple[tuple[Record, GroupRecord], ...]
    files: tuple[tuple[Record, FileRecord], ...]


def parse_config(content: bytes, place: int) -> Config:
    """Parse a configuration stream that begins at ``place``; raise `FormatError` if it is none."""
    records = tuple(split_records(content, place))
    heads = [item for item in records if item.tag == SET_TAG]
    if len(heads) != 1:
        raise FormatError(
            CONFIG_RECORDS,
            offset=place,
            length=len(content),
            expected="one SCIN record",
            actual=f"{len(heads)}",
        )
    return Config(
        place,
        content,
        heads[0],
        SetRecord.parse(heads[0].content),
        tuple((item, GroupRecord.parse(item.content)) for item in records if item.tag == GROUP_TAG),
        tuple((item, FileRecord.parse(item.content)) for item in records if item.tag == FILE_TAG),
    )


def split_records(content: bytes, place: int) -> Iterator[Record]:
    """Yield the records of a stream, which they must fill exactly."""
    smallest = {SET_TAG: SetRecord.size, GROUP_TAG: GroupRecord.size, FILE_TAG: FileRecord.size}
    offset = 0
    for _ in range(RECORDS_MAX):
        if offset == len(content):
            return
        tag = content[offset : offset + 4]
        length = int.from_bytes(content[offset + 4 : offset + 8], "little")
        least = smallest.get(tag, RECORD_HEAD_BYTES)
        if length < least or offset + length > len(content):
            break
        yield Record(tag, offset, content[offset : offset + length])
        offset += length
    raise FormatError(
        CONFIG_RECORDS,
        offset=place + offset,
        length=RECORD_HEAD_BYTES,
        expected="records that fill the stream",
        actual=f"a record that does not fit, {len(content) - offset} bytes before the end",
    )


def guid_text(stored: bytes) -> str | None:
    """Return a GUID as SQL Server shows it; None where it is zero."""
    return str(UUID(bytes_le=stored)).upper() if any(stored) else None
