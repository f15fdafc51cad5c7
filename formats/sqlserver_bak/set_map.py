"""The set map TSMP behind a set: every set of the medium so far, once more.

[MTF] 7 "Media Based Catalog"; the offsets of an entry's fields are seen in SQL Server 2005 to 2025.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from formats.core.findings import Findings
from formats.core.layout import Layout, raw, u8, u16, u32, u64
from formats.core.model import Bearing, Evidence, Outcome, Source
from formats.mtf.structures import STRING_UTF16, SetBody, VolumeBody, text_at
from formats.mtf.walk import Block, Stream
from formats.sqlserver_bak.records import DATE_BYTES

SET_MAP = "sqlserver_bak.set_map.entries"
SET_MAP_SHAPE = "sqlserver_bak.set_map.shape"
CHECKS: Mapping[str, str] = {
    SET_MAP: "The set map repeats what each set says of itself.",
    SET_MAP_SHAPE: "The entries of the set map fill it exactly.",
}

MAP_STREAM = b"TSMP"
VOLUME_TAG = b"VOLB"
# Each set's map repeats those of all sets before: longer ones are left alone.
MAP_BYTES_MAX = 256 << 10


class MapHead(Layout, size=8, order="<"):
    """What stands before the entries."""

    media_family_id = u32(0)
    set_count = u16(4)


class MapEntry(Layout, size=92, order="<"):
    """One set."""

    length = u16(0)
    attributes = u32(8)
    set_offset = u64(12)
    set_number = u16(30)
    backup_size = u64(52)
    name = raw(64, 4)
    description = raw(72, 4)
    user_name = raw(76, 4)
    write_date = raw(80, DATE_BYTES)
    time_zone = u8(85)


class MapVolume(Layout, size=62, order="<"):
    """One volume of a set."""

    length = u16(0)
    tag = raw(2, 4)
    device_name = raw(40, 4)
    volume_name = raw(44, 4)
    machine_name = raw(48, 4)
    write_date = raw(56, DATE_BYTES)


@dataclass(frozen=True, slots=True)
class KnownSet:
    """What a set says of itself, in the terms of its entry; None where it could not be read."""

    offset: int
    set: SetBody
    texts: tuple[str | None, ...]
    volume_texts: tuple[str | None, ...] | None
    volume_date: bytes | None
    backup_size: int | None


def known_set(start: Block, volume: Block | None, backup_size: int | None) -> KnownSet | None:
    """Gather what the map should repeat of a set; None if its own block is too short."""
    if len(start.body) < SetBody.size:
        return None
    body = SetBody.parse(start.body)
    volume_body = None
    if volume is not None and len(volume.body) >= VolumeBody.size:
        volume_body = VolumeBody.parse(volume.body)
    return KnownSet(
        start.offset,
        body,
        tuple(
            text_at(start.body, item, start.header.string_type)
            for item in (body.name, body.description, body.user_name)
        ),
        None
        if volume_body is None or volume is None
        else tuple(
            text_at(volume.body, item, volume.header.string_type)
            for item in (
                volume_body.device_name,
                volume_body.volume_name,
                volume_body.machine_name,
            )
        ),
        None if volume_body is None else volume_body.write_date,
        backup_size,
    )


def check_set_map(
    findings: Findings,
    source: Source,
    stream: Stream | None,
    known: dict[int, KnownSet],
    media_family_id: int | None,
) -> None:
    """Compare the map with the sets seen so far, ``known`` by their numbers."""
    if stream is None or stream.end > source.size or stream.length < MapHead.size:
        return
    if stream.length > MAP_BYTES_MAX:
        findings.add(
            Evidence(
                SET_MAP,
                Outcome.ABSENT,
                stream.data_offset,
                stream.length,
                f"at most {MAP_BYTES_MAX} bytes",
                f"{stream.length} bytes, not compared",
            )
        )
        return
    content = source.read_at(stream.data_offset, stream.length)
    compare_head(findings, content, stream, media_family_id)
    compare_entries(findings, content, stream, known)


def compare_head(
    findings: Findings, content: bytes, stream: Stream, media_family_id: int | None
) -> None:
    """Compare the medium's number."""
    if media_family_id is None:
        return
    stored = MapHead.parse(content).media_family_id
    if stored == media_family_id:
        findings.matched(SET_MAP, stream.data_offset, 4, vouched_bytes=4)
    else:
        findings.add(
            entry_row(stream.data_offset, 4, f"{media_family_id:#010x}", f"{stored:#010x}")
        )


def compare_entries(
    findings: Findings, content: bytes, stream: Stream, known: dict[int, KnownSet]
) -> None:
    """Walk the entries, which must fill the stream, and compare each with its set."""
    wanted = MapHead.parse(content).set_count
    offset, count, vouched = MapHead.size, 0, 0
    while offset + MapEntry.size <= len(content):
        entry = MapEntry.parse(content, offset)
        if entry.length < MapEntry.size or offset + entry.length > len(content):
            break
        count += 1
        piece = content[offset : offset + entry.length]
        volume_at = offset + entry.length
        end = volumes_end(content, volume_at)
        # Sets are numbered from 1 in the order of their entries.
        expected = known.get(count)
        if expected is not None:
            place = stream.data_offset + offset
            vouched += compare_set(findings, piece, entry, expected, place)
            vouched += compare_volume(
                findings, content[volume_at:end], expected, stream.data_offset + volume_at
            )
        offset = end
    if offset != len(content) or count != wanted:
        findings.add(shape_row(stream, wanted, count))
    elif vouched:
        findings.matched(SET_MAP, None, 0, count=count, vouched_bytes=vouched)


def volumes_end(content: bytes, offset: int) -> int:
    """Return where the volumes behind an entry end."""
    while content[offset + 2 : offset + 6] == VOLUME_TAG:
        length = int.from_bytes(content[offset : offset + 2], "little")
        if length < MapVolume.size or offset + length > len(content):
            break
        offset += length
    return offset


def compare_set(
    findings: Findings, piece: bytes, entry: MapEntry, expected: KnownSet, place: int
) -> int:
    """Compare one entry with its set; return how many bytes it vouches for."""
    pairs: list[tuple[int, int, object, object]] = [
        (8, 4, expected.set.attributes, entry.attributes),
        (12, 8, expected.offset, entry.set_offset),
        (30, 2, expected.set.set_number, entry.set_number),
        (80, 5, expected.set.write_date, entry.write_date),
        (85, 1, expected.set.time_zone, entry.time_zone),
    ]
    if expected.backup_size is not None:
        pairs.append((52, 8, expected.backup_size, entry.backup_size))
    addresses = ((64, entry.name), (72, entry.description), (76, entry.user_name))
    for (at, address), text in zip(addresses, expected.texts, strict=True):
        pairs.append((at, 4, text, text_at(piece, address, STRING_UTF16)))
    return compare_pairs(findings, pairs, place) + 2 * sum(
        len(text or "") for text in expected.texts
    )


def compare_volume(findings: Findings, piece: bytes, expected: KnownSet, place: int) -> int:
    """Compare an entry's first volume with the set's; return how many bytes it vouches for."""
    if len(piece) < MapVolume.size or expected.volume_texts is None:
        return 0
    volume = MapVolume.parse(piece)
    addresses = ((40, volume.device_name), (44, volume.volume_name), (48, volume.machine_name))
    pairs: list[tuple[int, int, object, object]] = [
        (56, 5, expected.volume_date, volume.write_date)
    ]
    for (at, address), text in zip(addresses, expected.volume_texts, strict=True):
        known = text if lacks_last_byte(piece, address, text) else None
        pairs.append((at, 4, text, known or text_at(piece, address, STRING_UTF16)))
    return compare_pairs(findings, pairs, place) + 2 * sum(
        len(text or "") for text in expected.volume_texts
    )


def lacks_last_byte(piece: bytes, address: bytes, wanted: str | None) -> bool:
    """Whether a volume's last text is ``wanted`` but for a zero in place of its last byte.

    Seen in SQL Server 2019: the map's last byte is a zero, which harms only the name of a machine
    that ends in a letter outside Latin-1.
    """
    length, start = (int.from_bytes(address[at : at + 2], "little") for at in (0, 2))
    encoded = (wanted or "").encode("utf-16-le", "surrogatepass")
    stored = piece[start : start + length]
    return (
        bool(encoded)
        and start + length == len(piece)
        and len(stored) == len(encoded)
        and stored == encoded[:-1] + b"\0"
    )


def compare_pairs(
    findings: Findings, pairs: list[tuple[int, int, object, object]], place: int
) -> int:
    """Compare expected with stored values; return the bytes of those that are equal."""
    vouched = 0
    for at, length, wanted, stored in pairs:
        if wanted == stored:
            vouched += length
        else:
            findings.add(entry_row(place + at, length, shown(wanted), shown(stored)))
    return vouched


def shown(value: object) -> str:
    """Return a short form of a value that is no content of the backup."""
    if isinstance(value, int):
        return str(value)
    return "the set's own" if value is not None else "none"


def entry_row(offset: int, length: int, expected: str, actual: str) -> Evidence:
    """Return the row for a map that says something else than the set: it is a second copy."""
    return Evidence(
        SET_MAP, Outcome.MISMATCHED, offset, length, expected, actual, Bearing.REDUNDANT
    )


def shape_row(stream: Stream, wanted: int, count: int) -> Evidence:
    """Return the row for a map whose entries do not fill it."""
    return Evidence(
        SET_MAP_SHAPE,
        Outcome.MISMATCHED,
        stream.data_offset,
        stream.length,
        f"{wanted} entries that fill the map",
        f"{count} entries",
        Bearing.REDUNDANT,
    )
