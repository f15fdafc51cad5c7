"""VHDX files written from [MS-VHDX], by another hand than the decoder's."""

import struct
import uuid
from collections.abc import Mapping, Sequence

import google_crc32c

MIB = 1 << 20
LOG_AT, METADATA_AT, BAT_AT, DATA_AT = MIB, 2 * MIB, 3 * MIB, 4 * MIB

DATA_GUID = uuid.UUID("11111111-2222-3333-4444-555555555555")
PARENT_GUID = uuid.UUID("83ed0ec3-24c8-49a6-a959-5e4bf1288bfb")
LOG_GUID = uuid.UUID("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee")
NO_GUID = uuid.UUID(int=0)
BAT = uuid.UUID("2DC27766-F623-4200-9D64-115E9BFD4A08")
METADATA = uuid.UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E")
DISK_ID = uuid.UUID("12345678-1234-5678-9abc-def012345678")

ITEMS = {
    "parameters": uuid.UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B"),
    "size": uuid.UUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8"),
    "disk_id": uuid.UUID("BECA12AB-B2E6-4523-93EF-C309E000C746"),
    "sector": uuid.UUID("8141BF1D-A96F-4709-BA47-F233A8FAAB5F"),
    "physical": uuid.UUID("CDA348C7-445D-4471-9CC9-E9885251C556"),
    "locator": uuid.UUID("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C"),
}
FLAGS = {
    "parameters": 4,
    "size": 6,
    "disk_id": 6,
    "sector": 6,
    "physical": 6,
    "locator": 4,
}

Item = tuple[uuid.UUID, bytes, int]


def crc(structure: bytes) -> bytes:
    """Put the CRC-32C in, in bytes 4 to 7."""
    plain = structure[:4] + bytes(4) + structure[8:]
    return plain[:4] + struct.pack("<I", google_crc32c.value(plain)) + plain[8:]


def header(
    sequence: int,
    *,
    log_guid: uuid.UUID = NO_GUID,
    data_guid: uuid.UUID = DATA_GUID,
    version: int = 1,
    log_version: int = 0,
    log_at: int = LOG_AT,
    log_bytes: int = MIB,
) -> bytes:
    """One header."""
    fields = struct.pack(
        "<4sIQ16s16s16sHHIQ",
        b"head",
        0,
        sequence,
        uuid.UUID(int=sequence).bytes_le,
        data_guid.bytes_le,
        log_guid.bytes_le,
        log_version,
        version,
        log_bytes,
        log_at,
    )
    return crc(fields.ljust(4096, b"\0"))


def region_table(entries: Sequence[tuple[uuid.UUID, int, int, int]]) -> bytes:
    """One region table; an entry is (guid, offset, length, required)."""
    fields = struct.pack("<4sIII", b"regi", 0, len(entries), 0)
    for guid, offset, length, required in entries:
        fields += struct.pack("<16sQII", guid.bytes_le, offset, length, required)
    return crc(fields.ljust(65536, b"\0"))


REGIONS = ((BAT, BAT_AT, MIB, 1), (METADATA, METADATA_AT, MIB, 1))


def locator(pairs: Sequence[tuple[str, str]], kind: str | None = None) -> bytes:
    """One parent locator item."""
    guid = uuid.UUID(kind or "B04AEFB7-D19E-4A81-B789-25B8E9445913")
    head = struct.pack("<16sHH", guid.bytes_le, 0, len(pairs))
    at = len(head) + 12 * len(pairs)
    table, strings = b"", b""
    for key, value in pairs:
        one, two = key.encode("utf-16-le"), value.encode("utf-16-le")
        start = at + len(strings)
        table += struct.pack("<IIHH", start, start + len(one), len(one), len(two))
        strings += one + two
    return head + table + strings


PARENT = (
    ("parent_linkage", f"{{{PARENT_GUID}}}"),
    ("parent_linkage2", f"{{{NO_GUID}}}"),
    ("relative_path", r".\base.vhdx"),
    ("absolute_win32_path", r"C:\vm\base.vhdx"),
)


def items(
    disk_bytes: int,
    block_bytes: int,
    *,
    sector: int = 512,
    flags: int = 0,
    parent: Sequence[tuple[str, str]] | None = None,
) -> list[Item]:
    """The metadata items of a disk, as (guid, content, flags)."""
    contents = {
        "parameters": struct.pack("<II", block_bytes, flags),
        "size": struct.pack("<Q", disk_bytes),
        "disk_id": DISK_ID.bytes_le,
        "sector": struct.pack("<I", sector),
        "physical": struct.pack("<I", 4096),
    }
    if parent is not None:
        contents["locator"] = locator(parent)
    return [(ITEMS[name], content, FLAGS[name]) for name, content in contents.items()]


def metadata(entries: Sequence[Item]) -> bytes:
    """A metadata region with its items one after another from 64 KiB on."""
    table = struct.pack("<8sHH20s", b"metadata", 0, len(entries), bytes(20))
    body = b""
    for guid, content, flags in entries:
        table += struct.pack("<16sIIII", guid.bytes_le, 65536 + len(body), len(content), flags, 0)
        body += content
    return table.ljust(65536, b"\0") + body


def data_update(file_offset: int, sector: bytes) -> tuple[str, int, bytes]:
    """An update of one sector, for `log_entry`."""
    assert len(sector) == 4096
    return ("desc", file_offset, sector)


def zero_update(file_offset: int, length: int) -> tuple[str, int, int]:
    """An update that zeroes a range, for `log_entry`."""
    return ("zero", file_offset, length)


def log_entry(
    sequence: int,
    updates: Sequence[tuple],
    *,
    tail: int,
    flushed: int,
    last: int | None = None,
    guid: uuid.UUID = LOG_GUID,
) -> bytes:
    """One log entry."""
    descriptors, sectors = b"", b""
    for kind, file_offset, what in updates:
        if kind == "zero":
            descriptors += struct.pack("<4sIQQQ", b"zero", 0, what, file_offset, sequence)
            continue
        descriptors += struct.pack("<4s4s8sQQ", b"desc", what[-4:], what[:8], file_offset, sequence)
        low, high = sequence & 0xFFFFFFFF, sequence >> 32
        sectors += struct.pack("<4sI4084sI", b"data", high, what[8:-4], low)
    first = -(-(64 + len(descriptors)) // 4096) * 4096
    fields = struct.pack(
        "<4sIIIQII16sQQ",
        b"loge",
        0,
        first + len(sectors),
        tail,
        sequence,
        len(updates),
        0,
        guid.bytes_le,
        flushed,
        flushed if last is None else last,
    )
    return crc((fields + descriptors).ljust(first, b"\0") + sectors)


def entry(state: int, mebibyte: int = 0) -> bytes:
    """One entry of the block allocation table."""
    return struct.pack("<Q", mebibyte << 20 | state)


def place_in_bat(block: int, ratio: int) -> int:
    """The table index of a payload block."""
    return block + block // ratio


def assemble(pieces: Mapping[int, bytes], size: int | None = None) -> bytes:
    """Put pieces at their offsets."""
    end = max(offset + len(piece) for offset, piece in pieces.items())
    content = bytearray(end if size is None else size)
    for offset, piece in pieces.items():
        content[offset : offset + len(piece)] = piece
    return bytes(content)


def disk(
    table: Mapping[int, bytes],
    *,
    disk_bytes: int = 8 * MIB,
    block_bytes: int = MIB,
    sector: int = 512,
    flags: int = 0,
    parent: Sequence[tuple[str, str]] | None = None,
    blocks: Mapping[int, bytes] | None = None,
    size: int | None = None,
    headers: tuple[bytes, bytes] | None = None,
    log: Mapping[int, bytes] | None = None,
    extra: Mapping[int, bytes] | None = None,
) -> bytes:
    """A whole file. ``table`` is by entry index, ``blocks`` by mebibyte, ``log`` by position."""
    one, two = headers or (header(6), header(7))
    name = "independent hand".encode("utf-16-le")
    described = items(
        disk_bytes,
        block_bytes,
        sector=sector,
        flags=flags | (2 if parent is not None else 0),
        parent=parent,
    )
    pieces = {
        0: (b"vhdxfile" + name).ljust(65536, b"\0"),
        0x10000: one,
        0x20000: two,
        0x30000: region_table(REGIONS),
        0x40000: region_table(REGIONS),
        METADATA_AT: metadata(described),
        **{BAT_AT + 8 * index: stored for index, stored in table.items()},
        **{mebibyte * MIB: content for mebibyte, content in (blocks or {}).items()},
        **{LOG_AT + position: stored for position, stored in (log or {}).items()},
        **(extra or {}),
    }
    least = max(DATA_AT, *(offset + len(piece) for offset, piece in pieces.items()))
    return assemble(pieces, least if size is None else size)


def dynamic() -> bytes:
    """Eight blocks of 1 MiB, of which 0, 2 and 7 are stored, at 4, 6 and 5 MiB."""
    return disk(
        {0: entry(6, 4), 1: entry(2), 2: entry(6, 6), 3: entry(3), 7: entry(6, 5)},
        blocks={4: b"\x01" * MIB, 5: b"\x08" * MIB, 6: b"\x03" * MIB},
    )


def differencing() -> bytes:
    """Four blocks of 2 MiB: 0 whole, 1 in part, 2 and 3 the parent's; bitmap at 8 MiB."""
    ratio = 4096 // 2
    return disk(
        {0: entry(6, 4), 1: entry(7, 6), ratio: entry(6, 8)},
        block_bytes=2 * MIB,
        parent=PARENT,
        blocks={4: b"\x01" * 2 * MIB, 6: b"\x02" * 2 * MIB, 8: b"\xff" * 1024 + bytes(MIB - 1024)},
    )
