"""Run a format over a source the slow and obvious way: the reference the engine is held against.

No threads, no windows, no units: each extent is read by itself and checked as its batch says.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from formats.core import checksums
from formats.core.codecs import CodecError, Decoder
from formats.core.errors import FormatError, Truncated, Unsupported
from formats.core.model import (
    PAYLOAD_TABLE,
    Algorithm,
    Columns,
    Declared,
    Evidence,
    Examined,
    ExtentBatch,
    Format,
    Inspection,
    Neighbours,
    Outcome,
    Part,
    Payload,
    Source,
)
from formats.core.source import NoNeighbours

DIGESTS: Mapping[Algorithm, Callable[[bytes], bytes]] = {
    Algorithm.CRC32: lambda data: checksums.crc32(data).to_bytes(4, "big"),
    Algorithm.CRC32C: lambda data: checksums.crc32c(data).to_bytes(4, "big"),
    Algorithm.MD5: lambda data: hashlib.md5(data, usedforsecurity=False).digest(),
    Algorithm.SHA1: lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    Algorithm.SHA256: lambda data: hashlib.sha256(data).digest(),
}


@dataclass
class Driven:
    """What came out: inspections, and all evidence per image."""

    inspections: tuple[Inspection, ...]
    evidence: list[Evidence]
    tallies: list[dict[str, list[Columns]]] = field(default_factory=list)
    payload_nonzero: bool = False
    batches: list[ExtentBatch] = field(default_factory=list)

    @property
    def bad(self) -> list[Evidence]:
        """All bad evidence."""
        return [item for item in self.evidence if item.bad]

    def parts(self, image_index: int) -> Part:
        """Return the image's part as `conclude` wants it."""
        merged = {
            name: np.concatenate(tables) for name, tables in self.tallies[image_index].items()
        }
        return Part(self.inspections[image_index], merged)


def drive(
    subject: Format, source: Source, neighbours: Neighbours | None = None, *, conclude: bool = True
) -> Driven:
    """Inspect, check every extent, conclude. A `FormatError` becomes evidence, as in the engine."""
    try:
        inspections = subject.inspect(source, neighbours or NoNeighbours())
    except FormatError as error:
        return Driven((), [as_evidence(error)])
    driven = Driven(inspections, [item for one in inspections for item in one.evidence])
    driven.tallies = [{} for _ in inspections]
    try:
        for batch in subject.extents(source, inspections):
            driven.batches.append(batch)
            run_batch(driven, source, batch)
    except FormatError as error:
        driven.evidence.append(as_evidence(error))
    if conclude:
        for index in range(len(inspections)):
            driven.evidence.extend(subject.conclude((driven.parts(index),)))
    return driven


def as_evidence(error: FormatError) -> Evidence:
    """Turn an exception into the row the engine would record."""
    match error:
        case Truncated():
            outcome = Outcome.TRUNCATED
        case Unsupported():
            outcome = Outcome.UNSUPPORTED
        case _:
            outcome = Outcome.MISMATCHED
    return Evidence(error.check, outcome, error.offset, error.length, error.expected, error.actual)


def run_batch(driven: Driven, source: Source, batch: ExtentBatch) -> None:
    """Check each extent of one batch by itself."""
    for row in range(len(batch.offset)):
        offset, length = int(batch.offset[row]), int(batch.stored_length[row])
        stored = source.read_at(offset, length)
        match batch.check:
            case Payload():
                driven.payload_nonzero |= any(stored)
            case Examined(kernel=kernel):
                result = kernel(np.frombuffer(stored, np.uint8), offset, offset)
                driven.evidence.extend(result.evidence)
                weight = result.tally.get(PAYLOAD_TABLE)
                driven.payload_nonzero |= weight is not None and bool(weight["nonzero_bytes"].any())
                for name, table in result.tally.items():
                    driven.tallies[batch.image_index].setdefault(name, []).append(table)
            case Declared():
                driven.evidence.extend(check_declared(batch, batch.check, row, stored))


def check_declared(batch: ExtentBatch, check: Declared, row: int, stored: bytes) -> list[Evidence]:
    """Return the evidence for one extent with a declared sum."""
    if check.algorithm is Algorithm.ZEROS and check.codec is None:
        return look_for_zeros(batch, row, stored)
    plain_length = len(stored) if batch.plain_length is None else int(batch.plain_length[row])
    expected = f"{plain_length} bytes decoded"
    if check.algorithm is not None:
        assert batch.digest is not None
        expected = batch.digest[row].tobytes().hex()
    try:
        plain = decode(check, plain_length, stored)
        actual = expected if check.algorithm is None else DIGESTS[check.algorithm](plain).hex()
    except CodecError as error:
        actual = str(error)
    if actual == expected:
        vouched = len(stored) if check.algorithm else 0
        return [matched(batch, int(batch.offset[row]), len(stored), vouched_bytes=vouched)]
    return [mismatched(batch, int(batch.offset[row]), len(stored), expected, actual)]


def look_for_zeros(batch: ExtentBatch, row: int, stored: bytes) -> list[Evidence]:
    """Return the evidence for one extent of zeros, whose elements are its single bytes."""
    offset = int(batch.offset[row])
    found = np.flatnonzero(np.frombuffer(stored, np.uint8))
    if not len(found):
        return [matched(batch, offset, len(stored), count=len(stored), vouched_bytes=len(stored))]
    first, last = int(found[0]), int(found[-1])
    actual = f"{len(found)} other bytes"
    zeros = len(stored) - len(found)
    rows = [mismatched(batch, offset + first, last - first + 1, "zeros", actual)]
    if zeros:
        rows.append(matched(batch, None, None, count=zeros, vouched_bytes=zeros))
    return rows


def matched(
    batch: ExtentBatch,
    offset: int | None,
    length: int | None,
    *,
    vouched_bytes: int,
    count: int = 1,
) -> Evidence:
    """Return good evidence of one extent."""
    return Evidence(
        batch.check_id,
        Outcome.MATCHED,
        offset,
        length,
        bearing=batch.bearing,
        count=count,
        vouched_bytes=vouched_bytes,
    )


def mismatched(
    batch: ExtentBatch, offset: int, length: int, expected: str, actual: str
) -> Evidence:
    """Return bad evidence of one extent."""
    return Evidence(
        batch.check_id, Outcome.MISMATCHED, offset, length, expected, actual, batch.bearing
    )


def decode(check: Declared, plain_length: int, stored: bytes) -> bytes:
    """Decode one extent; raise `CodecError` unless it has exactly its plain length."""
    if check.codec is None:
        return stored
    decoder = Decoder(check.codec, plain_length, slack=check.slack)
    plain = b"".join(decoder.feed(stored))
    decoder.finish()
    if len(plain) != plain_length:
        message = f"{len(plain)} bytes decoded"
        raise CodecError(message)
    return plain


def coordinates(evidence: Iterable[Evidence]) -> set[tuple[str, int | None]]:
    """Return check id and offset of each row: what a corruption test compares."""
    return {(item.check, item.offset) for item in evidence}


def summary(evidence: Sequence[Evidence]) -> str:
    """Render rows for an assertion message."""
    return "\n".join(
        f"{item.check} {item.outcome} @{item.offset}+{item.length} "
        f"expected {item.expected} found {item.actual}"
        for item in evidence
    )
