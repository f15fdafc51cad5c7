"""Look at groups of chunks as they pass: their checksums, and what is in them.

A chunk's checksum is over its compressed bytes. Where numba is installed each chunk is decoded
too, and the pages and log blocks in it go through the kernels of an uncompressed set, at their
offsets in the plain medium. An extent of pages belongs to the group in which it begins; the chunks
behind a group that its last extent needs come with it.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TypeAlias

import numpy as np

from formats.core import xpress
from formats.core.checksums import rotate_xor_each
from formats.core.model import PAYLOAD_ROWS, PAYLOAD_TABLE, Columns, KernelResult
from formats.sqlserver_bak.log_blocks import (
    LOG_SECTOR_BYTES,
    LOG_TABLES,
    LogPlaces,
    examine_log,
)
from formats.sqlserver_bak.packed_map import (
    FLAG_FULL,
    FULL_BYTES,
    TAIL_CHUNKS,
    Octets,
    PackedMap,
)
from formats.sqlserver_bak.pages import EXTENT_BYTES, PAGE_TABLES, examine_pages
from formats.sqlserver_bak.records_packed import CHUNK, PLAIN_BYTES, ChunkHead
from formats.sqlserver_bak.state import DataStream, LogStream, Ranges

Table: TypeAlias = np.dtype[np.void]

CHUNK_GOOD = np.dtype([("chunks", "<u4"), ("bytes", "<u8"), ("decoded", "<u4")])
CHUNK_BAD = np.dtype([("offset", "<u8"), ("bytes", "<u4"), ("stored", "<u4"), ("computed", "<u4")])
CHUNK_CODES = np.dtype([("offset", "<u8"), ("bytes", "<u4"), ("code", "<i4")])
"""Chunks whose checksum holds and that do not decode; ``code`` is one of `xpress.ERRORS`."""

CHUNKS_PLAIN = np.dtype([("chunks", "<u4")])
"""How many chunks are stored as they are, under checksums that hold."""

PLAIN_ZEROS = np.dtype([("offset", "<u8"), ("bytes", "<u8")])
"""Padding, in plain offsets, that is not all zeros."""

CHUNK_TABLES: Mapping[str, Table] = {
    "chunks_good": CHUNK_GOOD,
    "chunks_bad": CHUNK_BAD,
    "chunk_codes": CHUNK_CODES,
    "chunks_plain": CHUNKS_PLAIN,
}
GROUP_TABLES: Mapping[str, Table] = {
    **CHUNK_TABLES,
    **PAGE_TABLES,
    **LOG_TABLES,
    "plain_zeros": PLAIN_ZEROS,
    PAYLOAD_TABLE: PAYLOAD_ROWS,
}

HEAD = ChunkHead.size


@dataclass(frozen=True, slots=True)
class Contents:
    """What to look for in the plain medium: a set's streams, and what must be zeros.

    ``payload`` is where the source's own bytes are.
    """

    data: tuple[DataStream, ...]
    logs: tuple[LogStream, ...]
    places: LogPlaces
    zeros: Ranges
    payload: Ranges
    stripes: int


@dataclass(slots=True)
class Seen:
    """What comes out of one group."""

    chunks: int = 0
    bytes: int = 0
    plain: int = 0
    decoded: int = 0
    bad: list[tuple[int, int, int, int]] = field(default_factory=list)
    codes: list[tuple[int, int, int]] = field(default_factory=list)

    def tables(self) -> dict[str, Columns]:
        """Return the rows about chunks."""
        tables: dict[str, Columns] = {}
        if self.chunks:
            tables["chunks_good"] = np.array([(self.chunks, self.bytes, self.decoded)], CHUNK_GOOD)
        if self.plain:
            tables["chunks_plain"] = np.array([(self.plain,)], CHUNKS_PLAIN)
        if self.bad:
            tables["chunks_bad"] = np.array(self.bad, CHUNK_BAD)
        if self.codes:
            tables["chunk_codes"] = np.array(self.codes, CHUNK_CODES)
        return tables


def examine_group(
    packed: PackedMap, contents: Contents | None, elements: Octets, offset: int, origin: int
) -> KernelResult:
    """Look at the group that begins at ``offset``; without ``contents`` only at checksums."""
    del origin
    row = int(np.searchsorted(packed.groups[:, 1], offset))
    end = int(packed.groups[row, 2]) - offset
    start, stop = int(packed.groups[row, 4]), int(packed.groups[row, 5])
    seen = Seen()
    native = xpress.native() if contents is not None and stop > start else None
    if contents is None or native is None:
        for chunk in chunks_in(elements[:end]):
            note(seen, chunk, offset)
        return KernelResult(tally=seen.tables())
    plain, held = decoded_group(native, seen, elements, offset, (end, stop - start))
    tally = seen.tables()
    for first, last in held:
        look_inside(tally, contents, plain, (start, stop), (start + first, start + last))
    add(tally, KernelResult(tally=payload_in(contents, plain, (start, stop), held)))
    return KernelResult(tally=tally)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk where it stands among the bytes of its group, and both its checksums."""

    place: int
    length: int
    flags: int
    stored: int
    computed: int

    @property
    def holds(self) -> bool:
        """Whether the checksum does."""
        return self.stored == self.computed

    @property
    def is_plain(self) -> bool:
        """Whether the content is stored as it is."""
        return self.length == HEAD + PLAIN_BYTES


def chunks_in(elements: Octets) -> list[Chunk]:
    """Return the chunks that follow each other in some bytes."""
    heads = list(heads_in(elements.data))
    places = [(place + HEAD, length - HEAD) for place, length, _, _ in heads]
    sums = rotate_xor_each(elements, places).tolist()
    return [Chunk(*head, computed) for head, computed in zip(heads, sums, strict=True)]


def heads_in(memory: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Yield place, length, flags and checksum of the chunks that follow each other."""
    place, end = 0, len(memory)
    while place + HEAD <= end and memory[place] == CHUNK:
        length = HEAD + ((memory[place + 2] | memory[place + 3] << 8) or PLAIN_BYTES)
        if place + length > end:
            return
        stored = int.from_bytes(memory[place + HEAD - 4 : place + HEAD], "little")
        yield place, length, memory[place + 1], stored
        place += length


def note(seen: Seen, chunk: Chunk, offset: int) -> None:
    """Note whether a chunk's checksum holds."""
    if chunk.holds:
        seen.chunks += 1
        # The content and its checksum; the rest of a chunk's header is under no sum.
        seen.bytes += chunk.length - HEAD + 4
        seen.plain += chunk.is_plain
    else:
        seen.bad.append((offset + chunk.place, chunk.length, chunk.stored, chunk.computed))


def decoded_group(
    native: xpress.NativeDecode,
    seen: Seen,
    elements: Octets,
    offset: int,
    ends: tuple[int, int],
) -> tuple[Octets, list[tuple[int, int]]]:
    """Decode a group and what comes with it; return the plain bytes, and which stretches are good.

    ``ends`` are where the group itself ends, stored and plain. Chunks behind it are noted with the
    group they belong to.
    """
    stored_end, plain_end = ends
    plain = np.empty(plain_end + TAIL_CHUNKS * FULL_BYTES, np.uint8)
    scratch = xpress.new_scratch()
    held: list[tuple[int, int]] = []
    at = 0
    for chunk in chunks_in(elements):
        own = chunk.place < stored_end
        whole = bool(chunk.flags & FLAG_FULL) or chunk.is_plain
        limit = min(at + FULL_BYTES, plain_end if own else len(plain))
        if own:
            note(seen, chunk, offset)
        if chunk.holds:
            bounds = chunk.place + HEAD, chunk.place + chunk.length
            if chunk.is_plain:
                count = copied(elements[bounds[0] : bounds[1]], plain, at, limit)
            else:
                count = native(elements, *bounds, plain, at, limit, own or whole, scratch)
            if count >= 0:
                seen.decoded += own
                extend(held, at, at + count)
            elif own:
                seen.codes.append((offset + chunk.place, chunk.length, count))
        at = limit
        if at >= len(plain) or (not own and not whole):
            break
    return plain, held


def copied(content: Octets, plain: Octets, begin: int, limit: int) -> int:
    """Take a chunk that is stored as it is; return how many bytes, or that there is no room."""
    if limit - begin < len(content):
        return xpress.OVERRUN
    plain[begin : begin + len(content)] = content
    return len(content)


def extend(held: list[tuple[int, int]], start: int, end: int) -> None:
    """Add a stretch, joined to the last one where it goes on."""
    if held and held[-1][1] == start:
        held[-1] = (held[-1][0], end)
    else:
        held.append((start, end))


def look_inside(
    tally: dict[str, Columns],
    contents: Contents,
    plain: Octets,
    group: tuple[int, int],
    held: tuple[int, int],
) -> None:
    """Send what begins in a group and lies whole in a good stretch through its kernel."""
    base = group[0]
    for start, end, origin in shares(contents.data, EXTENT_BYTES, group, held):
        window = plain[start - base : end - base]
        add(tally, examine_pages(contents.stripes, window, start, origin))
    for start, end, origin in shares(contents.logs, LOG_SECTOR_BYTES, group, held):
        window = plain[start - base : end - base]
        add(tally, examine_log(contents.places, window, start, origin))
    own = max(group[0], held[0]), min(group[1], held[1])
    for start, end in overlaps(contents.zeros, *own):
        if plain[start - base : end - base].any():
            found = np.array([(start, end - start)], PLAIN_ZEROS)
            add(tally, KernelResult(tally={"plain_zeros": found}))


def shares(
    streams: Sequence[DataStream | LogStream],
    stride: int,
    group: tuple[int, int],
    held: tuple[int, int],
) -> Iterator[tuple[int, int, int]]:
    """Yield start and end of the elements of each stream that are a group's, and its origin.

    Streams are sorted by offset and disjoint.
    """
    behind_group = bisect_left(streams, group[1], key=attrgetter("offset"))
    for stream in reversed(streams[:behind_group]):
        stream_end = stream.offset + stream.available
        if stream_end <= group[0]:
            break
        first = -(-max(0, max(group[0], held[0]) - stream.offset) // stride)
        behind = -(-(min(group[1], stream_end) - stream.offset) // stride)
        start = stream.offset + first * stride
        end = stream.offset + behind * stride
        # The last element of a stream may be a short one.
        end = min(end, stream_end)
        if end > held[1]:
            end = start + max(0, held[1] - start) // stride * stride
        if start < end:
            yield start, end, stream.offset


def overlaps(ranges: Ranges, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of sorted, disjoint ranges that lie in one range."""
    low = int(np.searchsorted(ranges[:, 0] + ranges[:, 1], start, side="right"))
    high = int(np.searchsorted(ranges[:, 0], end))
    for place, length in ranges[low:high].tolist():
        if min(place + length, end) > max(place, start):
            yield max(place, start), min(place + length, end)


def payload_in(
    contents: Contents, plain: Octets, group: tuple[int, int], held: Sequence[tuple[int, int]]
) -> dict[str, Columns]:
    """Return how much of a group is the source's own, and how much of that may not be zeros.

    What could not be decoded may be anything.
    """
    base = group[0]
    ranges = list(overlaps(contents.payload, *group))
    total = sum(end - start for start, end in ranges)
    if not total:
        return {}
    whole = bool(held) and held[0][0] == 0 and held[0][1] >= group[1] - base
    zeros = whole and not any(plain[start - base : end - base].any() for start, end in ranges)
    return {PAYLOAD_TABLE: np.array([(total, 0 if zeros else total)], PAYLOAD_ROWS)}


def add(tally: dict[str, Columns], result: KernelResult) -> None:
    """Add the rows of one result."""
    for name, rows in result.tally.items():
        before = tally.get(name)
        tally[name] = rows if before is None else np.concatenate((before, rows))
