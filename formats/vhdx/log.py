"""The log: updates to metadata that a crash kept from their place, and the file as if applied.

A file whose log is to be replayed is whole: whatever opens it for restore replays it first
([MS-VHDX] 2.3.3). What the file says of itself before that may be stale, so everything behind the
headers is read through `Replayed`, where the log's sectors lie over those of the file.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from formats.core.errors import FormatError, Truncated, Unsupported
from formats.core.findings import Findings, demand
from formats.core.model import Bearing, Evidence, Outcome, Source
from formats.core.source import require_range
from formats.vhdx.header import LOG_VERSION, HeaderCopy, is_pending
from formats.vhdx.structures import MEBIBYTE, Header, LogEntryHeader, crc_without

ENTRY_SIGNATURE = b"loge"

SECTOR_BYTES = 4096

LOG_BYTES_MAX = 8 * MEBIBYTE
"""Windows 10, Hyper-V 10.0 and QEMU 7.2 wrote logs of 1 MiB; the format allows 4 GiB."""

HASHED_FACTOR_MAX = 4
"""Entries may lie over the rests of older ones, but not over the whole log many times."""

HEADS_MAX = 64
"""Ends of sequences tried, newest first; a log has one that is complete."""

ZERO_DESCRIPTORS_MAX = 1024
"""Seen: none. Each one is held against every sector replayed before it."""

# [MS-VHDX] 2.3.1.2 and 2.3.1.3: two kinds of one length. The first field behind the signature is
# a zero descriptor's reserved field or a data descriptor's trailing bytes; then come the length
# to zero or the leading bytes.
DESCRIPTOR = np.dtype(
    [
        ("signature", "S4"),
        ("trailing_bytes", "<u4"),
        ("leading_bytes", "<u8"),
        ("file_offset", "<u8"),
        ("sequence_number", "<u8"),
    ]
)

# [MS-VHDX] 2.3.1.4: bytes 8 to 4091 of the update; the others are in its descriptor.
DATA_SECTOR = np.dtype(
    [
        ("signature", "S4"),
        ("sequence_high", "<u4"),
        ("data", "V4084"),
        ("sequence_low", "<u4"),
    ]
)

Records = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True)
class LogPlace:
    """Where the log is, and which entries in it count."""

    offset: int
    length: int
    guid: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One valid entry; ``position`` and ``tail`` count from the start of the log."""

    position: int
    length: int
    tail: int
    sequence_number: int
    flushed_file_offset: int
    last_file_offset: int


@dataclass(frozen=True, slots=True)
class Pending:
    """What is to be replayed: the active sequence, oldest entry first, and the file after it."""

    entries: tuple[Entry, ...]
    view: Source

    @property
    def head(self) -> Entry:
        """The newest entry."""
        return self.entries[-1]


class Replayed:
    """A source with sectors of a log laid over it. Behind its end it is zeros up to the last."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._sectors: dict[int, bytes] = {}
        self._zeros: list[tuple[int, int]] = []
        self._size = source.size

    @property
    def size(self) -> int:
        """Length in bytes, at least that of the file."""
        return self._size

    def write(self, offset: int, sector: bytes) -> None:
        """Lay one sector over the file."""
        self._sectors[offset] = sector
        self._size = max(self._size, offset + SECTOR_BYTES)

    def clear(self, offset: int, length: int) -> None:
        """Lay zeros over the file, and over what was laid there before."""
        end = offset + length
        self._zeros.append((offset, end))
        for covered in [place for place in self._sectors if offset <= place < end]:
            del self._sectors[covered]

    def covers(self, offset: int, length: int) -> bool:
        """Whether any byte of a range is the log's, or only behind the end of the file."""
        end = offset + length
        return (
            end > self._source.size
            or any(start < end and offset < stop for start, stop in self._zeros)
            or any(place < end and offset < place + SECTOR_BYTES for place in self._sectors)
        )

    def read_at(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset``, or raise `Truncated`."""
        require_range(offset, length, self._size)
        stored = max(min(length, self._source.size - offset), 0)
        content = bytearray(self._source.read_at(offset, stored) if stored else b"")
        content.extend(bytes(length - stored))
        for start, end in self._zeros:
            low, high = max(start, offset), min(end, offset + length)
            if low < high:
                content[low - offset : high - offset] = bytes(high - low)
        for place in range(offset - offset % SECTOR_BYTES, offset + length, SECTOR_BYTES):
            sector = self._sectors.get(place)
            if sector is not None:
                low, high = max(place, offset), min(place + SECTOR_BYTES, offset + length)
                content[low - offset : high - offset] = sector[low - place : high - place]
        return bytes(content)


def as_stored(rows: Sequence[Evidence], source: Source, view: Source) -> tuple[Evidence, ...]:
    """Return evidence of a replayed file as evidence of the file that is stored."""
    if not isinstance(view, Replayed):
        return tuple(rows)
    return tuple(stored_row(row, source.size, view) for row in rows)


def stored_row(row: Evidence, size: int, view: Replayed) -> Evidence:
    """Return a row without its place where the log has the bytes, and not the file.

    What the log will overwrite is not vouched for where it lies: nobody reads it any more, and
    behind the end of the file there is nothing yet.
    """
    if row.offset is None or row.outcome is Outcome.TRUNCATED:
        return row
    if row.bad:
        return replace(row, offset=None, length=None) if row.offset > size else row
    if view.covers(row.offset, row.length or 0):
        return replace(row, offset=None, length=None, vouched_bytes=0)
    return row


def place_of(header: HeaderCopy) -> LogPlace | None:
    """Return where the log to be replayed is; None where the log is empty."""
    if not is_pending(header):
        return None
    fields = header.fields
    return LogPlace(fields.log_offset, fields.log_length, fields.log_guid)


def check_log(source: Source, header: HeaderCopy, findings: Findings) -> Pending | None:
    """Find and check what is to be replayed; None where there is nothing, or nothing usable."""
    place = place_of(header)
    if place is None:
        findings.matched("vhdx.log.pending", header.offset + Header.log_guid.offset, 16)
        return None
    with findings.catching():
        check_version(header)
        entries = read_entries(source, place)
        sequence = active_sequence(entries, place)
        report(sequence, place, source.size, findings)
        check_torn(source, place, entries, sequence[-1], findings)
        return Pending(sequence, replay(source, place, sequence))
    return None


def view_of(source: Source, place: LogPlace | None) -> Source:
    """Return the file with its log replayed; raise `FormatError` where that cannot be done."""
    if place is None:
        return source
    return replay(source, place, active_sequence(read_entries(source, place), place))


def check_version(header: HeaderCopy) -> None:
    """Refuse to replay a log of another version ([MS-VHDX] 2.2.2)."""
    version = header.fields.log_version
    if version != LOG_VERSION:
        raise Unsupported(
            "vhdx.log.version",
            offset=header.offset + Header.log_version.offset,
            length=2,
            expected=f"version {LOG_VERSION}",
            actual=f"version {version}",
        )


def read_entries(source: Source, place: LogPlace) -> dict[int, Entry]:
    """Return all valid entries of the log by their position."""
    if place.offset + place.length > source.size:
        raise Truncated(place.offset, place.length, source.size, check="vhdx.log.present")
    if place.length > LOG_BYTES_MAX:
        raise Unsupported(
            "vhdx.log.limit",
            offset=place.offset,
            length=place.length,
            expected=f"at most {LOG_BYTES_MAX} bytes",
            actual=f"{place.length} bytes",
        )
    entries: dict[int, Entry] = {}
    bytes_left = HASHED_FACTOR_MAX * place.length
    for position in positions(source, place):
        header = LogEntryHeader.parse(read_ring(source, place, position, LogEntryHeader.size))
        if not is_plausible(header, place):
            continue
        bytes_left -= header.entry_length
        if bytes_left < 0:
            raise Unsupported(
                "vhdx.log.limit",
                offset=place.offset,
                length=place.length,
                expected="entries beside each other",
                actual="entries over each other",
            )
        if read_entry(source, place, position, header) is not None:
            entries[position] = Entry(
                position,
                header.entry_length,
                header.tail,
                header.sequence_number,
                header.flushed_file_offset,
                header.last_file_offset,
            )
    return entries


def read_entry(
    source: Source, place: LogPlace, position: int, header: LogEntryHeader
) -> tuple[Records, Records] | None:
    """Return descriptors and data sectors of an entry with a plausible header; None if invalid."""
    stored = read_ring(source, place, position, header.entry_length)
    if crc_without(stored) != header.checksum:
        return None
    descriptors, sectors = parts_of(header, stored)
    return (descriptors, sectors) if holds_together(header, descriptors, sectors) else None


def positions(source: Source, place: LogPlace) -> Iterator[int]:
    """Yield where in the log an entry of the current GUID seems to begin."""
    marks = [
        (LogEntryHeader.signature, np.frombuffer(ENTRY_SIGNATURE, np.uint8)),
        (LogEntryHeader.log_guid, np.frombuffer(place.guid, np.uint8)),
    ]
    for first in range(0, place.length, MEBIBYTE):
        piece = source.read_at(place.offset + first, MEBIBYTE)
        sectors = np.frombuffer(piece, np.uint8).reshape(-1, SECTOR_BYTES)
        found = np.ones(len(sectors), bool)
        for field, wanted in marks:
            found &= (sectors[:, field.offset : field.offset + field.length] == wanted).all(axis=1)
        for index in np.flatnonzero(found):
            yield first + int(index) * SECTOR_BYTES


def read_ring(source: Source, place: LogPlace, position: int, length: int) -> bytes:
    """Read ``length`` bytes of the log, going on at its beginning behind its end."""
    first = min(length, place.length - position)
    content = source.read_at(place.offset + position, first)
    return content + source.read_at(place.offset, length - first) if first < length else content


def is_plausible(header: LogEntryHeader, place: LogPlace) -> bool:
    """Whether the numbers of an entry's header can be true ([MS-VHDX] 2.3.1.1)."""
    return (
        header.signature == ENTRY_SIGNATURE
        and header.entry_length % SECTOR_BYTES == 0
        and descriptor_bytes(header) <= header.entry_length <= place.length
        and header.tail % SECTOR_BYTES == 0
        and header.tail < place.length
        and header.sequence_number > 0
        and header.reserved == 0
    )


def descriptor_bytes(header: LogEntryHeader) -> int:
    """Return the length of an entry's header and descriptors, which fill whole sectors."""
    used = LogEntryHeader.size + header.descriptor_count * DESCRIPTOR.itemsize
    return -(-used // SECTOR_BYTES) * SECTOR_BYTES


def holds_together(header: LogEntryHeader, descriptors: Records, sectors: Records) -> bool:
    """Whether descriptors and data sectors all belong to this entry ([MS-VHDX] 2.3.1)."""
    is_data = descriptors["signature"] == b"desc"
    is_zero = descriptors["signature"] == b"zero"
    lengths = descriptors["leading_bytes"][is_zero]
    return bool(
        (is_data | is_zero).all()
        and (descriptors["sequence_number"] == header.sequence_number).all()
        and (descriptors["file_offset"] % SECTOR_BYTES == 0).all()
        and (lengths % SECTOR_BYTES == 0).all()
        and len(sectors) == np.count_nonzero(is_data)
        and (sectors["signature"] == b"data").all()
        and (sectors["sequence_high"] == header.sequence_number >> 32).all()
        and (sectors["sequence_low"] == header.sequence_number & 0xFFFFFFFF).all()
    )


def parts_of(header: LogEntryHeader, stored: bytes) -> tuple[Records, Records]:
    """Return an entry's descriptors and its data sectors, as many as there are."""
    descriptors = np.frombuffer(stored, DESCRIPTOR, header.descriptor_count, LogEntryHeader.size)
    wanted = int(np.count_nonzero(descriptors["signature"] == b"desc"))
    present = (len(stored) - descriptor_bytes(header)) // SECTOR_BYTES
    sectors = np.frombuffer(stored, DATA_SECTOR, min(wanted, present), descriptor_bytes(header))
    return descriptors, sectors


def active_sequence(entries: dict[int, Entry], place: LogPlace) -> tuple[Entry, ...]:
    """Return the newest complete sequence, oldest entry first ([MS-VHDX] 2.3.3).

    An entry that no other follows ends a sequence; its tail names the first entry still to be
    replayed. Raises `FormatError` where no sequence is complete: the file cannot be opened.
    """
    ends = [entry for entry in entries.values() if follower(entry, entries, place) is None]
    ends.sort(key=lambda entry: entry.sequence_number, reverse=True)
    for head in ends[:HEADS_MAX]:
        sequence = walk(head, entries, place)
        if sequence:
            return sequence
    raise FormatError(
        "vhdx.log.sequence",
        offset=place.offset,
        length=place.length,
        expected="a complete sequence of entries",
        actual=f"none in {len(entries)} valid entries",
    )


def follower(entry: Entry, entries: dict[int, Entry], place: LogPlace) -> Entry | None:
    """Return the entry written next."""
    following = entries.get((entry.position + entry.length) % place.length)
    if following is None or following.sequence_number != entry.sequence_number + 1:
        return None
    return following


def walk(head: Entry, entries: dict[int, Entry], place: LogPlace) -> tuple[Entry, ...]:
    """Return the entries from the head's tail to the head; nothing if one is missing."""
    sequence: list[Entry] = []
    current = entries.get(head.tail)
    while current is not None:
        sequence.append(current)
        if current is head:
            return tuple(sequence)
        current = follower(current, entries, place)
    return ()


def report(sequence: Sequence[Entry], place: LogPlace, size: int, findings: Findings) -> None:
    """Say what is to be replayed, and whether the file can be what the log was written for."""
    entries_bytes = sum(entry.length for entry in sequence)
    findings.matched(
        "vhdx.log.crc32c",
        place.offset + sequence[0].position,
        entries_bytes,
        count=len(sequence),
        vouched_bytes=entries_bytes,
    )
    findings.add(
        Evidence(
            "vhdx.log.pending",
            Outcome.MISMATCHED,
            place.offset,
            place.length,
            "an empty log",
            f"{len(sequence)} entries to replay",
            Bearing.REDUNDANT,
        )
    )
    # [MS-VHDX] 2.3.3: a file shorter than this has been truncated and must not be opened.
    flushed = sequence[-1].flushed_file_offset
    findings.reaches("vhdx.log.flushed_file_offset", size, flushed)


def check_torn(
    source: Source,
    place: LogPlace,
    entries: dict[int, Entry],
    head: Entry,
    findings: Findings,
) -> None:
    """Look for an entry behind the newest complete one, of which not everything is there.

    A crash leaves such an entry when it tears the last write, and then nothing is lost; damage to
    an entry that was complete looks the same, and then an update is lost.
    """
    position = (head.position + head.length) % place.length
    following = LogEntryHeader.parse(read_ring(source, place, position, LogEntryHeader.size))
    torn = (
        following.signature == ENTRY_SIGNATURE
        and following.log_guid == place.guid
        and following.sequence_number == head.sequence_number + 1
        and position not in entries
    )
    newest = max(entries.values(), key=lambda entry: entry.sequence_number)
    if not torn and newest is head:
        findings.matched("vhdx.log.torn", place.offset + position, LogEntryHeader.size)
        return
    with findings.catching(Bearing.DOUBTFUL):
        demand(
            "vhdx.log.torn",
            place.offset + (position if torn else newest.position),
            LogEntryHeader.size,
            holds=False,
            expected=f"nothing newer than entry {head.sequence_number}",
            actual="a newer entry that is not complete",
        )


def replay(source: Source, place: LogPlace, sequence: Sequence[Entry]) -> Source:
    """Return the file with every descriptor of the sequence applied, in order."""
    view = Replayed(source)
    zeros_left = ZERO_DESCRIPTORS_MAX
    for entry in sequence:
        stored = read_ring(source, place, entry.position, entry.length)
        descriptors, sectors = parts_of(LogEntryHeader.parse(stored), stored)
        following = iter(sectors)
        for descriptor in descriptors:
            offset = int(descriptor["file_offset"])
            if descriptor["signature"] == b"desc":
                view.write(offset, joined(descriptor, next(following)))
                continue
            zeros_left -= 1
            if zeros_left < 0:
                raise Unsupported(
                    "vhdx.log.limit",
                    offset=place.offset,
                    length=place.length,
                    expected=f"at most {ZERO_DESCRIPTORS_MAX} zero descriptors",
                    actual="more",
                )
            view.clear(offset, int(descriptor["leading_bytes"]))
    return view


def joined(descriptor: np.void, sector: np.void) -> bytes:
    """Return the sector to write: its two ends are kept in the descriptor."""
    leading = descriptor["leading_bytes"].tobytes()
    trailing = descriptor["trailing_bytes"].tobytes()
    return bytes(leading + sector["data"].tobytes() + trailing)
