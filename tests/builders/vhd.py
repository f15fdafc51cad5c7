"""VHD files written from the specification, by another hand than the decoder's."""

import struct
from collections.abc import Mapping

UID = bytes(range(0x10, 0x20))
PARENT_UID = bytes(range(0x40, 0x50))
FREE = 0xFFFFFFFF


def footer(
    disk_bytes: int,
    disk_type: int,
    *,
    header_at: int = 0xFFFFFFFFFFFFFFFF,
    uid: bytes = UID,
    time_stamp: int = 638382991,
    saved: int = 0,
    version: int = 0x10000,
    creator: bytes = b"win ",  # QEMU takes the size of unknown writers from the geometry
) -> bytes:
    """One footer with a right checksum."""
    head = struct.pack(
        ">8sIIQI4sI4sQQHBBI",
        b"conectix",
        2,
        version,
        header_at,
        time_stamp,
        creator,
        0x00010002,
        b"Wi2k",
        disk_bytes,
        disk_bytes,
        301,
        4,
        17,
        disk_type,
    )
    return summed(head + bytes(4) + uid + bytes([saved]) + bytes(427), 64)


def summed(structure: bytes, at: int) -> bytes:
    """Put the checksum in at ``at``."""
    plain = structure[:at] + bytes(4) + structure[at + 4 :]
    value = ~sum(plain) & 0xFFFFFFFF
    return plain[:at] + struct.pack(">I", value) + plain[at + 4 :]


def header(
    table_at: int,
    entries: int,
    block_bytes: int,
    *,
    parent: bytes = bytes(16),
    parent_name: str = "",
    locators: tuple[tuple[bytes, int, int], ...] = (),
    version: int = 0x10000,
) -> bytes:
    """One dynamic disk header; a locator is (code, length, offset)."""
    head = struct.pack(
        ">8sQQIII", b"cxsparse", 0xFFFFFFFFFFFFFFFF, table_at, version, entries, block_bytes
    )
    name = parent_name.encode("utf-16-be").ljust(512, b"\0")
    table = b"".join(
        struct.pack(">4sIIIQ", code, 512, length, 0, at) for code, length, at in locators
    )
    rest = parent + struct.pack(">II", 0, 0) + name + table.ljust(192, b"\0") + bytes(256)
    return summed(head + bytes(4) + rest, 36)


def fixed(content: bytes, *, filling: bytes = b"") -> bytes:
    """A fixed disk of ``content``."""
    return content + filling + footer(len(content), 2)


def growing(
    disk_bytes: int,
    blocks: Mapping[int, bytes],
    *,
    block_bytes: int = 65536,
    parent: bytes | None = None,
    parent_name: str = "",
    paths: Mapping[bytes, str] | None = None,
    alignment: int = 512,
    gap: int = 0,
    entry_count: int | None = None,
) -> bytes:
    """A dynamic disk, or with ``parent`` a differencing one.

    Layout: footer, header at 512, table at 1536, paths, blocks in the order of ``blocks``, each
    on an ``alignment``, ``gap`` zeros, footer.
    """
    count = entry_count or -(-disk_bytes // block_bytes)
    table_bytes = -(-count * 4 // 512) * 512
    body = bytearray()
    start = 1536 + table_bytes
    locators = []
    for code, path in (paths or {}).items():
        text = path.encode("utf-16-le")
        locators.append((code, len(text), start + len(body)))
        body += text.ljust(512, b"\0")
    bitmap_bytes = -(-(block_bytes // 512) // 8 // 512) * 512 or 512
    table = [FREE] * (table_bytes // 4)
    for index, content in blocks.items():
        body += bytes(-(start + len(body)) % alignment)
        table[index] = (start + len(body)) // 512
        bits = b"\xff" * (block_bytes // 512 // 8)
        body += bits.ljust(bitmap_bytes, b"\0") + content.ljust(block_bytes, b"\0")
    last = footer(disk_bytes, 3 if parent is None else 4, header_at=512)
    head = header(
        1536,
        count,
        block_bytes,
        parent=parent or bytes(16),
        parent_name=parent_name,
        locators=tuple(locators),
    )
    stored_table = b"".join(struct.pack(">I", entry) for entry in table)
    return last + head + stored_table + bytes(body) + bytes(gap) + last


def with_entry(content: bytes, index: int, sector: int) -> bytes:
    """Another table entry in a disk by `growing`."""
    at = 1536 + 4 * index
    return content[:at] + struct.pack(">I", sector) + content[at + 4 :]


def with_footers(content: bytes, changed: bytes) -> bytes:
    """Another footer at both ends."""
    return changed + content[512:-512] + changed


def with_header(content: bytes, changed: bytes) -> bytes:
    """Another dynamic header."""
    return content[:512] + changed + content[1536:]
