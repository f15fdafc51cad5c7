"""The structures of a VHDX file, and what its numbers mean.

[MS-VHDX] is "Virtual Hard Disk v2 (VHDX) File Format", Microsoft, v20240423. All numbers are
little-endian, GUIDs are in their binary form (2: "Structures").
"""

import uuid

from formats.core.checksums import crc32c
from formats.core.layout import Layout, raw, u16, u32, u64

MEBIBYTE = 1 << 20

# [MS-VHDX] 2.2: five items of 64 KiB in a header section of 1 MiB.
FILE_SIGNATURE = b"vhdxfile"
HEADER_OFFSETS = (64 * 1024, 128 * 1024)
REGION_TABLE_OFFSETS = (192 * 1024, 256 * 1024)
REGION_TABLE_BYTES = 64 * 1024
HEADER_SECTION_BYTES = MEBIBYTE

CHECKSUM_OFFSET = 4
"""In headers, region tables and log entries alike."""

NO_GUID = bytes(16)


def binary(text: str) -> bytes:
    """Return a GUID in its binary form."""
    return uuid.UUID(text).bytes_le


def guid_text(stored: bytes) -> str | None:
    """Return a GUID as text; None where it is all zeros, which names nothing."""
    return str(uuid.UUID(bytes_le=stored)) if any(stored) else None


def crc_without(stored: bytes) -> int:
    """Return the CRC-32C of a structure, its own checksum field taken as zero."""
    return crc32c(stored[:CHECKSUM_OFFSET] + bytes(4) + stored[CHECKSUM_OFFSET + 4 :])


# [MS-VHDX] 2.2.3.2, "Known Regions".
BAT_REGION = binary("2DC27766-F623-4200-9D64-115E9BFD4A08")
METADATA_REGION = binary("8B7CA206-4790-4B9A-B8FE-575F050F886E")


class FileIdentifier(Layout, size=520, order="<"):
    """[MS-VHDX] 2.2.1."""

    signature = raw(0, 8)
    creator = raw(8, 512)


class Header(Layout, size=4096, order="<"):
    """[MS-VHDX] 2.2.2."""

    signature = raw(0, 4)
    checksum = u32(4)
    sequence_number = u64(8)
    file_write_guid = raw(16, 16)
    data_write_guid = raw(32, 16)
    log_guid = raw(48, 16)
    log_version = u16(64)
    version = u16(66)
    log_length = u32(68)
    log_offset = u64(72)


class RegionTableHeader(Layout, size=16, order="<"):
    """[MS-VHDX] 2.2.3.1."""

    signature = raw(0, 4)
    checksum = u32(4)
    entry_count = u32(8)


class RegionTableEntry(Layout, size=32, order="<"):
    """[MS-VHDX] 2.2.3.2."""

    guid = raw(0, 16)
    file_offset = u64(16)
    length = u32(24)
    required = u32(28)


class LogEntryHeader(Layout, size=64, order="<"):
    """[MS-VHDX] 2.3.1.1."""

    signature = raw(0, 4)
    checksum = u32(4)
    entry_length = u32(8)
    tail = u32(12)
    sequence_number = u64(16)
    descriptor_count = u32(24)
    reserved = u32(28)
    log_guid = raw(32, 16)
    flushed_file_offset = u64(48)
    last_file_offset = u64(56)


class MetadataTableHeader(Layout, size=32, order="<"):
    """[MS-VHDX] 2.6.1.1."""

    signature = raw(0, 8)
    reserved = raw(8, 2)
    entry_count = u16(10)
    reserved2 = raw(12, 20)


class MetadataTableEntry(Layout, size=32, order="<"):
    """[MS-VHDX] 2.6.1.2."""

    item_id = raw(0, 16)
    offset = u32(16)
    length = u32(20)
    flags = u32(24)
    reserved2 = u32(28)


class ParentLocatorHeader(Layout, size=20, order="<"):
    """[MS-VHDX] 2.6.2.6.1."""

    locator_type = raw(0, 16)
    reserved = u16(16)
    key_value_count = u16(18)


class ParentLocatorEntry(Layout, size=12, order="<"):
    """[MS-VHDX] 2.6.2.6.2."""

    key_offset = u32(0)
    value_offset = u32(4)
    key_length = u16(8)
    value_length = u16(10)
