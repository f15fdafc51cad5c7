"""The structures of a VHD file, and what its numbers mean.

[VHD] is "Virtual Hard Disk Image Format Specification", Microsoft, version 1.0, 2006-10-11; its
sections have names, not numbers.
"""

import uuid
from datetime import UTC, datetime, timedelta

from formats.core.checksums import byte_sum_complement
from formats.core.layout import Layout, raw, u8, u32, u64

SECTOR_BYTES = 512

FOOTER_COOKIE = b"conectix"
HEADER_COOKIE = b"cxsparse"

# [VHD] "Hard Disk Footer Format", note: writers before Virtual PC 2004 left the last byte out.
OLD_FOOTER_BYTES = 511
OLD_CREATOR = b"vpc "

TYPE_FIXED = 2
TYPE_DYNAMIC = 3
TYPE_DIFFERENCING = 4

# [VHD] "File Format Version", "Header Version": only the upper half tells what can be read.
MAJOR_VERSION = 1

UNUSED_ENTRY = 0xFFFFFFFF

# [VHD] "Time Stamp": seconds since this moment, UTC.
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

LOCATOR_COUNT = 8


class Footer(Layout, size=512, order=">"):
    """[VHD] "Hard Disk Footer Format"."""

    cookie = raw(0, 8)
    features = u32(8)
    file_format_version = u32(12)
    data_offset = u64(16)
    time_stamp = u32(24)
    creator_application = raw(28, 4)
    creator_version = u32(32)
    creator_host_os = raw(36, 4)
    original_size = u64(40)
    current_size = u64(48)
    disk_geometry = raw(56, 4)
    disk_type = u32(60)
    checksum = u32(64)
    unique_id = raw(68, 16)
    saved_state = u8(84)


class DynamicHeader(Layout, size=1024, order=">"):
    """[VHD] "Dynamic Disk Header Format"."""

    cookie = raw(0, 8)
    data_offset = u64(8)
    table_offset = u64(16)
    header_version = u32(24)
    max_table_entries = u32(28)
    block_size = u32(32)
    checksum = u32(36)
    parent_unique_id = raw(40, 16)
    parent_time_stamp = u32(56)
    parent_unicode_name = raw(64, 512)
    parent_locators = raw(576, 192)


class ParentLocator(Layout, size=24, order=">"):
    """[VHD] "Parent Locator Entries".

    The unit of ``platform_data_space`` is sectors by the specification; Windows 10 and VirtualBox
    7.2 wrote bytes.
    """

    platform_code = raw(0, 4)
    platform_data_space = u32(4)
    platform_data_length = u32(8)
    platform_data_offset = u64(16)

    @property
    def space_bytes(self) -> int:
        """The space set aside. Assumed: less than a sector of bytes is a number of sectors."""
        space = self.platform_data_space
        return space if space >= SECTOR_BYTES else space * SECTOR_BYTES


def sum_without(stored: bytes, field_offset: int) -> int:
    """Return the checksum of a structure, its own 4-byte field at ``field_offset`` left out."""
    return byte_sum_complement(stored[:field_offset] + stored[field_offset + 4 :])


def uuid_text(stored: bytes) -> str | None:
    """Return a unique id as text; None where it is all zeros, which names nothing."""
    return str(uuid.UUID(bytes=stored)) if any(stored) else None


def moment(seconds: int) -> datetime | None:
    """Return the moment of a time stamp; 0 says nothing (Windows 10 writes it for parents)."""
    return EPOCH + timedelta(seconds=seconds) if seconds else None


def printable(stored: bytes) -> str:
    """Return a left-justified, single-byte text field without its padding."""
    text = stored.decode("latin-1").rstrip("\0 ")
    return text if text.isprintable() else stored.hex()
