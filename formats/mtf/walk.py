"""Walk the descriptor blocks of a medium: block, its streams, next block, to the end of the file.

A stream is skipped by its length, so a walk reads a few hundred bytes per block whatever the size
of the file. Each header carries an XOR sum. Where one does not hold, the walk goes on only if the
header, as it stands or with one bit flipped back, leads to another header whose sum holds. Where
that fails it looks a little further for the next block, and says which bytes lie between.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial

from formats.core.model import Bearing, Evidence, Outcome, Source
from formats.mtf.structures import (
    FILEMARK,
    KINDS_OF_MTF,
    BlockHeader,
    StreamHeader,
    plausible_name,
    repairs,
    sum_holds,
)

BLOCKS_MAX = 1 << 20
STREAMS_PER_BLOCK_MAX = 4096
AHEAD_BYTES = 4096
# [MTF] 4.1 allows format logical blocks of 512 or 1024 bytes; blocks begin on them.
BLOCK_STEP_BYTES = 512
RESYNC_BYTES_MAX = 1 << 20
# No file is longer; a length that says so is no length.
OFFSET_MAX = 1 << 62
FILEMARK_BYTES_MAX = 1 << 16
RESYNC_READ_BYTES = 64 << 10
STREAM_ALIGNMENT = 4
LAST_STREAM = b"SPAD"

BLOCK_SUM = "mtf.block.header_xor"
BLOCK_KIND = "mtf.block.kind"
BLOCK_PRESENT = "mtf.block.present"
STREAM_SUM = "mtf.stream.header_xor"
STREAM_COUNT = "mtf.stream.limit"
WALK_LIMIT = "mtf.walk.limit"

CHECKS: Mapping[str, str] = {
    BLOCK_SUM: "The XOR sum of a descriptor block's header holds.",
    BLOCK_KIND: "A descriptor block is of a known type.",
    BLOCK_PRESENT: "A header stands where the structure before it ends, and not zeros.",
    STREAM_SUM: "The XOR sum of a stream's header holds.",
    STREAM_COUNT: "A block has no more streams than this code follows.",
    WALK_LIMIT: "The medium has no more blocks than this code follows.",
}


class End(Enum):
    """Why a walk ended."""

    CLEAN = auto()  # the file ends where a block could begin
    CUT = auto()  # a structure runs past the end of the file
    ZEROS = auto()  # zeros where a header must be, and no block near behind them
    BROKEN = auto()  # something else there, and no block near behind it
    LIMIT = auto()  # more blocks than this code follows


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream's header, and where its bytes are; they may run past the end of a cut file."""

    name: bytes
    offset: int
    media_attributes: int
    length: int

    @property
    def data_offset(self) -> int:
        """Where the stream's own bytes begin."""
        return self.offset + StreamHeader.size

    @property
    def end(self) -> int:
        """Where the stream's own bytes end; what follows is aligned."""
        return self.data_offset + self.length


@dataclass(frozen=True, slots=True)
class Block:
    """A descriptor block: ``body`` reaches from its start to its first stream."""

    kind: bytes
    offset: int
    end: int
    header: BlockHeader
    body: bytes
    streams: tuple[Stream, ...]
    evidence: tuple[Evidence, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether the file goes on to where the block's streams begin, or where a filemark ends."""
        wanted = filemark_bytes(self.header) if self.kind == FILEMARK else self.header.first_event
        return len(self.body) == wanted

    @property
    def header_sum_holds(self) -> bool:
        """Whether the sum of the block's own header holds."""
        return not any(row.check == BLOCK_SUM for row in self.evidence)

    @property
    def stream_sums_held(self) -> int:
        """How many of its streams' headers have a sum that holds."""
        return len(self.streams) - sum(row.check == STREAM_SUM for row in self.evidence)

    def stream(self, name: bytes) -> Stream | None:
        """Return its first stream of that name."""
        return next((item for item in self.streams if item.name == name), None)


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes between two blocks that the walk could not read as blocks."""

    offset: int
    end: int
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Stop:
    """Where and why a walk ended. ``needed_bytes`` is the smallest file its last structure fits."""

    end: End
    offset: int
    needed_bytes: int
    evidence: Evidence | None = None


class Walker:
    """Iterates over blocks and gaps from ``start``; `stop` is set when it has ended."""

    def __init__(self, source: Source, start: int, kinds: frozenset[bytes] = KINDS_OF_MTF) -> None:
        self._ahead = Ahead(source)
        self._kinds = kinds
        self._offset = start
        self._blocks_left = BLOCKS_MAX
        self.stop: Stop | None = None

    def __iter__(self) -> Iterator[Block | Gap]:
        """Yield what stands between here and the end of the file."""
        while self.stop is None:
            self._blocks_left -= 1
            if self._blocks_left < 0:
                self.stop = limit(self._offset)
                return
            block, stop = read_block(self._ahead, self._offset, self._kinds)
            if block is not None:
                yield block
                self._offset = block.end
            if stop is None:
                continue
            gap = self._behind(stop)
            if gap is None:
                self.stop = stop
                return
            yield gap
            self._offset = gap.end

    def _behind(self, stop: Stop) -> Gap | None:
        """Return the gap up to the next block, if there is one near."""
        if stop.end not in (End.ZEROS, End.BROKEN) or stop.evidence is None:
            return None
        found = next_block(self._ahead, stop.offset, self._kinds)
        return None if found is None else Gap(stop.offset, found, stop.evidence)


class Ahead:
    """Reads a little ahead, because the headers of one block stand close together."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._start = 0
        self._piece = b""
        self.size = source.size

    def at(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes, or as many as there are before the end of the file."""
        length = max(0, min(length, self.size - offset))
        if not length:
            return b""
        if not self._start <= offset <= offset + length <= self._start + len(self._piece):
            self._start = offset
            self._piece = self._source.read_at(
                offset, min(max(length, AHEAD_BYTES), self.size - offset)
            )
        at = offset - self._start
        return self._piece[at : at + length]


def limit(offset: int) -> Stop:
    """Return the stop of a walk that went on for too long."""
    evidence = Evidence(
        WALK_LIMIT,
        Outcome.UNSUPPORTED,
        offset,
        None,
        f"at most {BLOCKS_MAX} blocks",
        "more",
    )
    return Stop(End.LIMIT, offset, offset, evidence)


def read_block(
    ahead: Ahead, offset: int, kinds: frozenset[bytes]
) -> tuple[Block | None, Stop | None]:
    """Read the block at ``offset``: the block, or why there is none, or both if it is cut."""
    stored = ahead.at(offset, BlockHeader.size)
    stop = absent(ahead, stored, BlockHeader.size, offset, BLOCK_SUM)
    if stop is not None:
        return None, stop
    taken = accept(stored, partial(leads_on, ahead, offset, kinds), strict=True)
    if taken is None:
        return None, broken(BLOCK_SUM, offset, stored)
    header = BlockHeader.parse(taken)
    rows = sum_rows(BLOCK_SUM, offset, stored)
    if header.kind not in kinds:
        rows.append(unknown_kind(offset))
    if header.kind == FILEMARK:
        return filemark(ahead, offset, header, rows)
    body = ahead.at(offset, header.first_event)
    streams, end, stop = read_streams(ahead, offset + header.first_event, kinds, rows)
    return Block(header.kind, offset, end, header, body, tuple(streams), tuple(rows)), stop


def filemark_bytes(header: BlockHeader) -> int:
    """Return the size of a soft filemark; one of 64 KiB is assumed to say 0 in its 16 bits."""
    return header.first_event or FILEMARK_BYTES_MAX


def filemark(
    ahead: Ahead, offset: int, header: BlockHeader, rows: list[Evidence]
) -> tuple[Block, Stop | None]:
    """Return a soft filemark: it has no streams, and its first event is its own end."""
    end = offset + filemark_bytes(header)
    body = ahead.at(offset, end - offset)
    block = Block(header.kind, offset, end, header, body, (), tuple(rows))
    return block, None if end <= ahead.size else Stop(End.CUT, offset, end)


def read_streams(
    ahead: Ahead, offset: int, kinds: frozenset[bytes], rows: list[Evidence]
) -> tuple[list[Stream], int, Stop | None]:
    """Read stream headers up to the last one; return them, the block's end, and why it is cut."""
    streams: list[Stream] = []
    while len(streams) < STREAMS_PER_BLOCK_MAX:
        stored = ahead.at(offset, StreamHeader.size)
        stop = absent(ahead, stored, StreamHeader.size, offset, STREAM_SUM)
        if stop is not None:
            return streams, offset, stop
        taken = accept(stored, partial(stream_leads_on, ahead, offset, kinds))
        if taken is None or StreamHeader.parse(taken).length > OFFSET_MAX:
            return streams, offset, broken(STREAM_SUM, offset, stored)
        rows.extend(sum_rows(STREAM_SUM, offset, stored))
        header = StreamHeader.parse(taken)
        stream = Stream(header.name, offset, header.media_attributes, header.length)
        streams.append(stream)
        last = stream.name == LAST_STREAM
        if stream.end > ahead.size:
            missing = 0 if last else StreamHeader.size
            return streams, stream.end, Stop(End.CUT, stream.offset, stream.end + missing)
        if last:
            return streams, stream.end, None
        offset = aligned(stream.end)
    rows.append(Evidence(STREAM_COUNT, Outcome.UNSUPPORTED, offset, None, "fewer streams", "more"))
    return streams, offset, Stop(End.LIMIT, offset, offset)


def absent(ahead: Ahead, stored: bytes, wanted: int, offset: int, check: str) -> Stop | None:
    """Return why there is no header at all at ``offset``, or None if there is one."""
    if not stored and check == BLOCK_SUM:
        return Stop(End.CLEAN, offset, offset)
    if len(stored) < wanted:
        return Stop(End.CUT, min(offset, ahead.size), offset + wanted)
    if any(stored):
        return None
    evidence = Evidence(
        BLOCK_PRESENT, Outcome.MISMATCHED, offset, wanted, "a header", "zeros", Bearing.NEEDED
    )
    return Stop(End.ZEROS, offset, offset + wanted, evidence)


def accept(stored: bytes, leads: Callable[[bytes], bool], *, strict: bool = False) -> bytes | None:
    """Return the header to go by: as it stands, or with one bit flipped back; None if neither.

    A header whose sum holds is believed, unless ``strict`` asks it too to lead somewhere.
    """
    if sum_holds(stored):
        return stored if not strict or leads(stored) else None
    return next((tried for tried in (stored, *repairs(stored)) if leads(tried)), None)


def leads_on(ahead: Ahead, offset: int, kinds: frozenset[bytes], stored: bytes) -> bool:
    """Whether a block header can be believed because of what stands at its first event."""
    header = BlockHeader.parse(stored)
    length = filemark_bytes(header) if header.kind == FILEMARK else header.first_event
    if length < BlockHeader.size or not plausible_name(header.kind):
        return False
    next_offset = offset + length
    if sum_holds(stored):
        return True
    if header.kind == FILEMARK:
        return next_offset == ahead.size or is_block(ahead, next_offset, kinds)
    return header.kind in kinds and is_stream(ahead, next_offset)


def stream_leads_on(ahead: Ahead, offset: int, kinds: frozenset[bytes], stored: bytes) -> bool:
    """Whether a stream header can be believed because of what stands behind its bytes."""
    header = StreamHeader.parse(stored)
    end = offset + StreamHeader.size + header.length
    if header.name == LAST_STREAM:
        return is_block(ahead, end, kinds)
    return plausible_name(header.name) and is_stream(ahead, aligned(end))


def is_block(ahead: Ahead, offset: int, kinds: frozenset[bytes]) -> bool:
    """Whether a block of a known kind begins at ``offset``, by its sum."""
    if offset + BlockHeader.size > ahead.size:
        return False
    stored = ahead.at(offset, BlockHeader.size)
    return stored[:4] in kinds and sum_holds(stored)


def is_stream(ahead: Ahead, offset: int) -> bool:
    """Whether a stream begins at ``offset``, by its sum."""
    if offset + StreamHeader.size > ahead.size:
        return False
    stored = ahead.at(offset, StreamHeader.size)
    return plausible_name(stored[:4]) and sum_holds(stored)


def aligned(offset: int) -> int:
    """Return where the next stream begins."""
    return -(-offset // STREAM_ALIGNMENT) * STREAM_ALIGNMENT


def next_block(ahead: Ahead, offset: int, kinds: frozenset[bytes]) -> int | None:
    """Return where the next block begins behind ``offset``, if it is near."""
    start = (offset // BLOCK_STEP_BYTES + 1) * BLOCK_STEP_BYTES
    end = min(start + RESYNC_BYTES_MAX, ahead.size)
    for piece_start in range(start, end, RESYNC_READ_BYTES):
        piece = ahead.at(piece_start, min(RESYNC_READ_BYTES, end - piece_start))
        for at in range(0, len(piece), BLOCK_STEP_BYTES):
            stored = piece[at : at + BlockHeader.size]
            if stored[:4] in kinds and len(stored) == BlockHeader.size and sum_holds(stored):
                return piece_start + at
    return None


def broken(check: str, offset: int, stored: bytes) -> Stop:
    """Return the stop at a header that cannot be read."""
    evidence = Evidence(
        check, Outcome.MISMATCHED, offset, len(stored), "a header whose sum holds", "other bytes"
    )
    return Stop(End.BROKEN, offset, offset + len(stored), evidence)


def sum_rows(check: str, offset: int, stored: bytes) -> list[Evidence]:
    """Return the row that says a header's sum does not hold, if it does not."""
    if sum_holds(stored):
        return []
    return [
        Evidence(check, Outcome.MISMATCHED, offset, len(stored), "a sum that holds", "another sum")
    ]


def unknown_kind(offset: int) -> Evidence:
    """Return the row for a block whose header holds and whose type is not known."""
    return Evidence(BLOCK_KIND, Outcome.UNSUPPORTED, offset, 4, "a known type", "another one")
