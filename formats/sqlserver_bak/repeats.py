"""What a set's blocks say more than once outside of any sum: numbers, dates, places.

None of it is needed for a restore by itself; two that differ mean that bytes were changed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from formats.core.findings import Findings
from formats.core.model import Bearing, Evidence, Outcome
from formats.mtf.structures import SetBody, SetEndBody, VolumeBody
from formats.mtf.walk import Block
from formats.sqlserver_bak import sets
from formats.sqlserver_bak.records import Config, SetRecord
from formats.sqlserver_bak.set_map import MAP_STREAM
from formats.sqlserver_bak.sets import Chunk

SET_REPEATS = "sqlserver_bak.set.repeats"
CHECKS: Mapping[str, str] = {
    SET_REPEATS: "Numbers, dates and places that a set's blocks repeat are equal."
}

# [MTF] 5.3, attributes of a data set.
ATTRIBUTE_COPY = 2
ATTRIBUTE_NORMAL = 4
ATTRIBUTE_DIFFERENTIAL = 8
DIFFERENTIAL_LETTERS = frozenset("IGQ")


@dataclass(frozen=True, slots=True)
class Repeat:
    """A field, and what another place says it must be."""

    offset: int
    length: int
    expected: object
    stored: object


def check_repeats(
    findings: Findings, chunk: Chunk, config: Config | None, number: int | None
) -> None:
    """Compare what the blocks of a set repeat; ``number`` is the set's on its medium, if known."""
    start = chunk.first(sets.SET)
    if start is None or len(start.body) < SetBody.size:
        return
    body = SetBody.parse(start.body)
    vouched = 0
    for item in (
        *set_repeats(start, body, number),
        *config_repeats(start, body, config),
        *volume_repeats(chunk, body),
        *end_repeats(chunk, body),
    ):
        if item.expected == item.stored:
            vouched += item.length
            continue
        findings.add(
            Evidence(
                SET_REPEATS,
                Outcome.MISMATCHED,
                item.offset,
                item.length,
                shown(item.expected),
                shown(item.stored),
                Bearing.REDUNDANT,
            )
        )
    if vouched:
        findings.matched(SET_REPEATS, None, 0, vouched_bytes=vouched)


def shown(value: object) -> str:
    """Return a short form of a number or of packed bytes."""
    return value.hex() if isinstance(value, bytes) else str(value)


def set_repeats(start: Block, body: SetBody, number: int | None) -> Iterator[Repeat]:
    """Yield what the start of a set says of its own place."""
    # Seen in SQL Server 2005 to 2025: the physical address is the set's own offset in bytes.
    field = SetBody.physical_address
    yield Repeat(start.offset + field.offset, field.length, start.offset, body.physical_address)
    if number is not None:
        field_number = SetBody.set_number
        yield Repeat(
            start.offset + field_number.offset, field_number.length, number, body.set_number
        )


def config_repeats(start: Block, body: SetBody, config: Config | None) -> Iterator[Repeat]:
    """Yield what the start of a set and its configuration both say."""
    if config is None:
        return
    date = SetBody.write_date
    yield Repeat(start.offset + date.offset, date.length, config.set.start_date, body.write_date)
    major, minor = SetBody.software_major, SetBody.software_minor
    yield Repeat(start.offset + major.offset, 1, config.set.software_major, body.software_major)
    yield Repeat(start.offset + minor.offset, 1, config.set.software_minor, body.software_minor)
    kind = SetBody.attributes
    yield Repeat(
        start.offset + kind.offset,
        kind.length,
        expected_attributes(config.set),
        body.attributes & ~ATTRIBUTE_COPY,
    )


def expected_attributes(config: SetRecord) -> int:
    """Return the attributes of a set with this configuration, but for "copy"."""
    letter = config.letter.decode("latin-1")
    return ATTRIBUTE_DIFFERENTIAL if letter in DIFFERENTIAL_LETTERS else ATTRIBUTE_NORMAL


def volume_repeats(chunk: Chunk, body: SetBody) -> Iterator[Repeat]:
    """Yield what the volume block repeats."""
    for block in chunk.kind(sets.VOLUME)[:1]:
        if len(block.body) >= VolumeBody.size:
            date = VolumeBody.write_date
            stored = VolumeBody.parse(block.body).write_date
            yield Repeat(block.offset + date.offset, date.length, body.write_date, stored)


def end_repeats(chunk: Chunk, body: SetBody) -> Iterator[Repeat]:
    """Yield what the end-of-set blocks repeat."""
    ends = [item for item in chunk.kind(sets.SET_END) if len(item.body) >= SetEndBody.size]
    for block in ends:
        end = SetEndBody.parse(block.body)
        date, number, kind = SetEndBody.write_date, SetEndBody.set_number, SetEndBody.attributes
        yield Repeat(block.offset + date.offset, date.length, body.write_date, end.write_date)
        yield Repeat(block.offset + number.offset, number.length, body.set_number, end.set_number)
        yield Repeat(
            block.offset + kind.offset,
            kind.length,
            body.attributes & ~ATTRIBUTE_COPY,
            end.attributes & ~ATTRIBUTE_COPY,
        )
    if len(ends) == 2 and not any(chunk.gaps):  # noqa: PLR2004 - a set ends with two of them
        yield map_repeat(*ends)


def map_repeat(first: Block, second: Block) -> Repeat:
    """Return where the second end-of-set block says the set map is.

    Seen: the offset of the first such block; SQL Server 2005 gave that of the stream itself.
    """
    field = SetEndBody.map_address
    stored = SetEndBody.parse(second.body).map_address
    stream = first.stream(MAP_STREAM)
    places = {first.offset, stream.offset if stream else first.offset}
    expected = stored if stored in places else first.offset
    return Repeat(second.offset + field.offset, field.length, expected, stored)
