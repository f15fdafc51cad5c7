"""Tell a record of no known kind that somebody wrote so from one that was damaged.

Only one variant of this framing has been seen. What tells the two apart is the record itself: if
its checksum holds over as many bytes as it says, or a record stands right where it says to end, it
is one more variant. A known chunk of which only the first byte was changed passes that too; what
gives it away is that it holds a block in the compression of all other chunks. What has neither is
damage.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from formats.core import xpress
from formats.core.layout import Layout, u8, u16, u32
from formats.core.model import Evidence, Outcome, Source
from formats.mtf.structures import FILEMARK, BlockHeader, sum_holds
from formats.sqlserver_bak.records_packed import (
    CHUNK,
    PADDING,
    PLAIN_BYTES,
    TRAILER,
    ChunkHead,
    PaddingHead,
    chunk_sum,
)

STRANGE_BYTES_MAX = 1 << 20
FIRST_BYTES = frozenset({CHUNK, PADDING, TRAILER, FILEMARK[0]})
KNOWN_KINDS = f"{CHUNK:#04x}, {PADDING:#04x} or {TRAILER:#04x}"


class StrangeHead(Layout, size=28, order="<"):
    """As much of an unknown record as it has in common with a chunk.

    Reported of encrypted backups (rsleedbx/mssqlbak-tests, SQL Server 2022): chunks of kind 0x71
    give the length of what is stored, a multiple of the cipher's blocks, in 32 bits at 20.
    """

    kind = u8(0)
    stored_bytes = u16(2)
    sealed_bytes = u32(20)
    checksum = u32(24)


@dataclass(frozen=True, slots=True)
class Strange:
    """A record of unknown kind of which the end is known, and why it is."""

    kind: int
    offset: int
    end: int
    sum_holds: bool
    known_code: bool = False


def look_at(source: Source, offset: int) -> Strange | None:
    """Return what is known of a record of no known kind; None where nothing speaks for one."""
    if offset + StrangeHead.size > source.size:
        return None
    head = StrangeHead.parse(source.read_at(offset, StrangeHead.size))
    for length in lengths_of(head):
        start = offset + StrangeHead.size
        if start + length > source.size:
            continue
        content = source.read_at(start, length)
        if chunk_sum(np.frombuffer(content, np.uint8)) == head.checksum and any(content):
            return Strange(
                head.kind, offset, start + length, sum_holds=True, known_code=is_code(content)
            )
    for end in ends_of(head, offset):
        if head.kind and stands_at(source, end, head):
            return Strange(head.kind, offset, end, sum_holds=False)
    return None


def lengths_of(head: StrangeHead) -> Iterator[int]:
    """Yield how many bytes may stand behind the head."""
    yield head.stored_bytes or PLAIN_BYTES
    if 0 < head.sealed_bytes <= STRANGE_BYTES_MAX and head.sealed_bytes != head.stored_bytes:
        yield head.sealed_bytes


def ends_of(head: StrangeHead, offset: int) -> Iterator[int]:
    """Yield where the record may end: it has the head of a chunk, or the shorter one of padding."""
    for length in lengths_of(head):
        yield offset + StrangeHead.size + length
    if head.stored_bytes:
        yield offset + PaddingHead.size + head.stored_bytes


def is_code(content: bytes) -> bool:
    """Whether stored bytes begin as all known chunks do, with a complete Huffman code."""
    scratch = [0] * xpress.SCRATCH_ENTRIES
    return len(content) >= xpress.TABLE_BYTES and xpress.prepare(content, 0, scratch)


def stands_at(source: Source, offset: int, before: StrangeHead) -> bool:
    """Whether a record stands at an offset that could not be there by chance.

    That is a chunk or a filemark under a checksum that holds, or one more like that before it; in a
    hole that is filled with a pattern the next head would be the same head.
    """
    if offset + BlockHeader.size > source.size:
        return False
    stored = source.read_at(offset, BlockHeader.size)
    if stored.startswith(FILEMARK):
        return sum_holds(stored)
    head = StrangeHead.parse(stored[: StrangeHead.size])
    if (head.kind, head.stored_bytes) == (before.kind, before.stored_bytes):
        return head.checksum != before.checksum
    return chunk_holds(source, offset)


def strange_row(check: str, found: Strange) -> Evidence:
    """Return the row for a record of unknown kind of which the end is known."""
    if found.known_code:
        outcome, why = Outcome.MISMATCHED, "before a chunk whose checksum holds"
    else:
        outcome = Outcome.UNSUPPORTED
        why = "its checksum holds" if found.sum_holds else "a record stands where it ends"
    length = found.end - found.offset
    expected, actual = f"kind {KNOWN_KINDS}", f"kind {found.kind:#04x}, {why}"
    return Evidence(check, outcome, found.offset, length, expected, actual)


def next_chunk(source: Source, offset: int, end: int) -> int | None:
    """Return where between two offsets the first chunk under a checksum that holds begins."""
    stored = np.frombuffer(source.read_at(offset, end - offset), np.uint8)
    for place in np.flatnonzero(stored == CHUNK).tolist():
        if may_be_chunk(source, offset + place) and chunk_holds(source, offset + place):
            return int(offset + place)
    return None


def may_be_chunk(source: Source, offset: int) -> bool:
    """Whether the byte behind what may be a chunk begins a record; most that are none fail here."""
    if offset + ChunkHead.size > source.size:
        return False
    head = ChunkHead.parse(source.read_at(offset, ChunkHead.size))
    end = offset + ChunkHead.size + (head.stored_bytes or PLAIN_BYTES)
    return end < source.size and source.read_at(end, 1)[0] in FIRST_BYTES


def chunk_holds(source: Source, offset: int) -> bool:
    """Whether a chunk lies whole in the file and its checksum holds."""
    if offset + ChunkHead.size > source.size:
        return False
    head = ChunkHead.parse(source.read_at(offset, ChunkHead.size))
    start, length = offset + ChunkHead.size, head.stored_bytes or PLAIN_BYTES
    if head.kind != CHUNK or start + length > source.size:
        return False
    return chunk_sum(np.frombuffer(source.read_at(start, length), np.uint8)) == head.checksum
