"""Descriptor blocks and stream headers of the Microsoft Tape Format, as they stand in the file.

[MTF] is "Microsoft Tape Format Specification, version 1.00a, revision 1.8". Numbers are
little-endian; a date is the one exception.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import numpy as np

from formats.core.checksums import xor_words16
from formats.core.layout import Layout, raw, u8, u16, u32, u64

STRING_UTF16 = 2
DATE_BYTES = 5
ZONE_UNKNOWN = 127
ZONE_STEP_MINUTES = 15
# ISO 8601 and Python allow less than a day either way.
ZONE_STEPS_MAX = 95

# [MTF] 5.1 to 5.10, in the order of the specification.
KINDS_OF_MTF = frozenset({
    b"TAPE", b"SSET", b"VOLB", b"DIRB", b"FILE", b"CFIL", b"ESPB", b"ESET", b"EOTM", b"SFMB",
})  # fmt: skip
FILEMARK = b"SFMB"


class BlockHeader(Layout, size=52, order="<"):
    """[MTF] 5.1 "Common Block Header" (MTF_DB_HDR)."""

    kind = raw(0, 4)
    attributes = u32(4)
    first_event = u16(8)
    os_id = u8(10)
    os_version = u8(11)
    displayable_size = u64(12)
    logical_address = u64(20)
    control_block_id = u32(36)
    string_type = u8(48)
    checksum = u16(50)


class StreamHeader(Layout, size=22, order="<"):
    """[MTF] 6.1 "Stream Header" (MTF_STREAM_HDR)."""

    name = raw(0, 4)
    system_attributes = u16(4)
    media_attributes = u16(6)
    length = u64(8)
    encryption_algorithm = u16(16)
    compression_algorithm = u16(18)
    checksum = u16(20)


class TapeBody(Layout, size=94, order="<"):
    """[MTF] 5.2 "Tape Header" (MTF_TAPE), from the start of its block."""

    media_family_id = u32(52)
    attributes = u32(56)
    media_sequence = u16(60)
    password_algorithm = u16(62)
    filemark_units = u16(64)
    catalog_type = u16(66)
    media_name = raw(68, 4)
    media_description = raw(72, 4)
    media_password = raw(76, 4)
    software_name = raw(80, 4)
    logical_block_bytes = u16(84)
    vendor_id = u16(86)
    media_date = raw(88, DATE_BYTES)
    major_version = u8(93)


class SetBody(Layout, size=98, order="<"):
    """[MTF] 5.3 "Start of Data Set" (MTF_SSET), from the start of its block."""

    attributes = u32(52)
    password_algorithm = u16(56)
    compression_algorithm = u16(58)
    vendor_id = u16(60)
    set_number = u16(62)
    name = raw(64, 4)
    description = raw(68, 4)
    password = raw(72, 4)
    user_name = raw(76, 4)
    physical_address = u64(80)
    write_date = raw(88, DATE_BYTES)
    software_major = u8(93)
    software_minor = u8(94)
    time_zone = u8(95)


class VolumeBody(Layout, size=73, order="<"):
    """[MTF] 5.4 "Volume" (MTF_VOLB), from the start of its block."""

    attributes = u32(52)
    device_name = raw(56, 4)
    volume_name = raw(60, 4)
    machine_name = raw(64, 4)
    write_date = raw(68, DATE_BYTES)


class SetEndBody(Layout, size=85, order="<"):
    """[MTF] 5.9 "End of Data Set" (MTF_ESET), from the start of its block."""

    attributes = u32(52)
    corrupt_objects = u32(56)
    map_address = u64(60)
    media_sequence = u16(76)
    set_number = u16(78)
    write_date = raw(80, DATE_BYTES)


def plausible_name(name: bytes) -> bool:
    """Whether four bytes can be the type of a block or the id of a stream."""
    return name.isalnum() and name.isascii() and name.upper() == name


def sum_holds(structure: bytes) -> bool:
    """Whether a header's words XOR to zero; a header of zeros does too, and is none."""
    return xor_words16(structure) == 0 and any(structure)


def repairs(structure: bytes) -> Iterator[bytes]:
    """Yield the variants in which flipping one bit makes the header's XOR sum hold.

    The sum of an odd header names the bit's column, so at most one variant per word is possible.
    """
    column = xor_words16(structure)
    if column.bit_count() != 1:
        return
    words = np.frombuffer(structure, "<u2")
    for index in range(len(words)):
        changed = words.copy()
        changed[index] ^= column
        yield changed.tobytes()


def text_at(block: bytes, address: bytes, string_type: int) -> str | None:
    """Return the text an MTF_TAPE_ADDRESS points to, relative to ``block``; None outside of it.

    [MTF] 3.3: two bytes of length, two of offset. The text ends at a terminator or at its length.
    """
    length, start = (int.from_bytes(address[at : at + 2], "little") for at in (0, 2))
    if start + length > len(block):
        return None
    stored = block[start : start + length]
    codec = "utf-16-le" if string_type == STRING_UTF16 else "latin-1"
    return stored.decode(codec, "replace").rstrip("\0")


def date_at(stored: bytes) -> datetime | None:
    """Decode an MTF_DATE_TIME, local time without a zone; None where unknown or impossible.

    [MTF] 3.4: 40 bits, highest first: year 14, month 4, day 5, hour 5, minute 6, second 6.
    """
    bits = int.from_bytes(stored, "big")
    year, month, day = bits >> 26, bits >> 22 & 15, bits >> 17 & 31
    try:
        return datetime(year, month, day, bits >> 12 & 31, bits >> 6 & 63, bits & 63)  # noqa: DTZ001 - the zone is stored elsewhere, or nowhere
    except ValueError:
        return None


def zoned(when: datetime | None, time_zone: int) -> datetime | None:
    """Attach a zone given in quarter hours east of UTC, a signed byte; unknown stays local.

    Seen: 22 on a server in India, 14 in Iran, 12 in Turkey.
    """
    steps = time_zone - 256 if time_zone > ZONE_UNKNOWN else time_zone
    if when is None or abs(steps) > ZONE_STEPS_MAX:
        return when
    return when.replace(tzinfo=timezone(timedelta(minutes=ZONE_STEP_MINUTES * steps)))
