"""The uncompressed medium behind a compressed one: which chunk holds which of its bytes.

Seen in one file of SQL Server 2016: the chunks, decoded and put together with the filemarks that
stand between them, are the medium that an uncompressed backup would have been, byte for byte. So
it is offered as a `Source`, decoded where it is read, and everything that reads an uncompressed
medium reads it too. Only what gives a place in the file gives it in the compressed file.

Chunks of 65,536 plain bytes are flagged as such; shorter ones stand where the writer began
something new and must be decoded to know their length.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from formats.core import xpress
from formats.core.model import Source
from formats.core.source import require_range
from formats.mtf.filemarks import FilemarkBody
from formats.sqlserver_bak.records_packed import PLAIN_BYTES, ChunkHead, Record, chunk_sum
from formats.sqlserver_bak.state import Ranges

FULL_BYTES = xpress.BLOCK_PLAIN_BYTES
# Seen: the flag of a chunk that decodes to exactly 65,536 bytes; others are shorter.
FLAG_FULL = 0x80

CHUNK_BYTES_MAX = PLAIN_BYTES + ChunkHead.size
GROUP_CHUNKS_MAX = 32
TAIL_CHUNKS = 2
# A group and the chunks behind it that its last extent needs are one element of a kernel.
ELEMENT_BYTES_MAX = 1 << 20
GROUP_BYTES_MAX = ELEMENT_BYTES_MAX - TAIL_CHUNKS * CHUNK_BYTES_MAX

SHORT_CHUNKS_MAX = 1 << 16
DECODES_MAX = 1 << 16
# Without numba a chunk takes some 50 ms: enough for the heads of any set with a common log.
DECODES_SLOW_MAX = 256
CACHED_MAX = 8
LOST_MAX = 4096
MARK_ENTRY_BYTES = 8

Octets = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class PackedMap:
    """Groups of chunks that follow each other in the file, one row each: int64 columns.

    ``groups`` has index of the first chunk, offset in the file, end of the group in the file, end
    of what its last extent needs in the file, and start and end in the plain medium. All chunks of
    a group but its last are full ones. ``sizes`` are the stored bytes of every chunk, 0 where it is
    stored plain; ``marks`` has plain offset, offset in the file and length of what is no chunk.
    """

    groups: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.uint16]
    marks: Ranges

    @property
    def size(self) -> int:
        """Length of the plain medium, as far as it is mapped."""
        ends = [int(self.groups[-1, 5])] if len(self.groups) else []
        ends += [int(self.marks[-1, 0] + self.marks[-1, 2])] if len(self.marks) else []
        return max(ends, default=0)

    def group_at(self, plain: int) -> int | None:
        """Return the row of the group that holds a plain offset."""
        row = int(np.searchsorted(self.groups[:, 4], plain, side="right")) - 1
        return row if row >= 0 and plain < self.groups[row, 5] else None

    def chunk_of(self, row: int, plain: int) -> tuple[int, int, int, int]:
        """Return offset and length in the file, and plain start and end, of a group's chunk."""
        first, start = int(self.groups[row, 0]), int(self.groups[row, 4])
        index = (plain - start) // FULL_BYTES
        lengths = lengths_of(self.sizes[first : first + index + 1])
        offset = int(self.groups[row, 1]) + int(lengths[:-1].sum())
        begin = start + index * FULL_BYTES
        end = min(begin + FULL_BYTES, int(self.groups[row, 5]))
        return offset, int(lengths[-1]), begin, end

    def place(self, plain: int) -> tuple[int, int]:
        """Return offset and length in the file of what holds a plain offset."""
        row = self.group_at(plain)
        if row is not None:
            return self.chunk_of(row, plain)[:2]
        mark = int(np.searchsorted(self.marks[:, 0], plain, side="right")) - 1
        if mark >= 0 and plain < self.marks[mark, 0] + self.marks[mark, 2]:
            start, offset, length = (int(item) for item in self.marks[mark])
            return offset + plain - start, length - (plain - start)
        return self.end, 0

    def whole(self, lost: Iterable[int]) -> bool:
        """Whether all groups have a place in the plain medium, and none of these offsets."""
        if not len(self.groups):
            return True
        start, end = int(self.groups[0, 4]), int(self.groups[-1, 5])
        loose = (self.groups[:, 4] == self.groups[:, 5]).any()
        return not loose and not any(start <= item < end for item in lost)

    def is_chunk(self, offset: int) -> bool:
        """Whether a chunk begins at an offset of the file."""
        row = int(np.searchsorted(self.groups[:, 1], offset, side="right")) - 1
        if row < 0 or offset >= self.groups[row, 2]:
            return False
        first = int(self.groups[row, 0])
        last = int(self.groups[row + 1, 0]) if row + 1 < len(self.groups) else len(self.sizes)
        lengths = lengths_of(self.sizes[first:last])
        starts = int(self.groups[row, 1]) + np.cumsum(lengths) - lengths
        return bool((starts == offset).any())

    def part(self, first: int, last: int) -> "PackedMap":
        """Return the map of some groups alone; plain offsets stay those of the medium."""
        groups = self.groups[first:last].copy()
        if not len(groups):
            return PackedMap(groups, self.sizes[:0], self.marks[:0])
        low = int(groups[0, 0])
        high = int(self.groups[last, 0]) if last < len(self.groups) else len(self.sizes)
        groups[:, 0] -= low
        inside = (self.marks[:, 0] >= groups[0, 4]) & (self.marks[:, 0] <= groups[-1, 5])
        return PackedMap(groups, self.sizes[low:high].copy(), self.marks[inside])

    @property
    def end(self) -> int:
        """Where in the file the last thing mapped ends."""
        ends = [int(self.groups[:, 2].max())] if len(self.groups) else []
        ends += [int((self.marks[:, 1] + self.marks[:, 2]).max())] if len(self.marks) else []
        return max(ends, default=0)


def lengths_of(sizes: npt.NDArray[np.uint16]) -> npt.NDArray[np.int64]:
    """Return how long chunks are in the file, heads included."""
    stored = sizes.astype(np.int64)
    return np.where(stored == 0, PLAIN_BYTES, stored) + ChunkHead.size


@dataclass(slots=True)
class Decoder:
    """Decodes single chunks, a bounded number of them."""

    native: xpress.NativeDecode | None
    left: int
    scratch: npt.NDArray[np.int32]

    def plain(self, stored: bytes, plain_bytes: int | None) -> bytes | None:
        """Return what a chunk holds if its checksum and its code are right, and its length."""
        head = ChunkHead.parse(stored)
        content = stored[ChunkHead.size :]
        if self.left <= 0 or chunk_sum(np.frombuffer(content, np.uint8)) != head.checksum:
            return None
        self.left -= 1
        if len(content) == PLAIN_BYTES:
            return content if plain_bytes in (None, FULL_BYTES) else None
        if self.native is None:
            return slow_plain(content, plain_bytes)
        exact, limit = plain_bytes is not None, plain_bytes or FULL_BYTES
        out = np.empty(limit, np.uint8)
        memory = np.frombuffer(content, np.uint8)
        length = self.native(memory, 0, len(memory), out, 0, limit, exact, self.scratch)
        return out[:length].tobytes() if length >= 0 else None


def new_decoder() -> Decoder:
    """Return a decoder, with a smaller budget where it is slow."""
    native = xpress.native()
    left = DECODES_SLOW_MAX if native is None else DECODES_MAX
    return Decoder(native, left, xpress.new_scratch())


def slow_plain(content: bytes, plain_bytes: int | None) -> bytes | None:
    """Decode without numba."""
    try:
        return xpress.decompress(content, plain_bytes)
    except xpress.XpressError:
        return None


@dataclass(slots=True)
class MapDraft:
    """A map on the way through the records.

    From ``broken`` on, where the plain length of a chunk is not known, groups have none.
    """

    decoder: Decoder
    groups: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    sizes: bytearray = field(default_factory=bytearray)
    marks: list[tuple[int, int, int]] = field(default_factory=list)
    plain: int = 0
    shorts: int = 0
    open: bool = False
    broken: int | None = None

    def chunk(self, source: Source, record: Record) -> None:
        """Take a chunk that lies whole in the file."""
        length = FULL_BYTES
        stored = record.end - record.offset - ChunkHead.size
        full = record.flags & FLAG_FULL or stored == PLAIN_BYTES
        if self.broken is None and not full:
            length = self._short_length(source, record)
            if length < 0:
                self.give_up(record.offset)
        if self.broken is not None:
            length = 0
        if not self._joins(record):
            self.groups.append((self._count, record.offset, record.offset, self.plain, self.plain))
        first, start, _end, begin, _stop = self.groups[-1]
        self.plain += length
        self.groups[-1] = (first, start, record.end, begin, self.plain)
        self.sizes += (stored % PLAIN_BYTES).to_bytes(2, "little")
        self.open = length == FULL_BYTES or self.broken is not None

    def give_up(self, offset: int) -> None:
        """Map nothing from here on: how long it would be in the plain medium is not known."""
        self.broken = offset if self.broken is None else self.broken
        self.open = False

    def mark(self, record: Record) -> None:
        """Take a filemark."""
        self.open = False
        if self.broken is None:
            length = record.end - record.offset
            self.marks.append((self.plain, record.offset, length))
            self.plain += length

    def finished(self, since: int = 0) -> PackedMap:
        """Return the map of all groups ``since`` one of them.

        Each has the chunks behind it that its last extent may need.
        """
        low = self.groups[since][0] if since < len(self.groups) else self._count
        sizes = np.frombuffer(bytes(self.sizes[2 * low :]), "<u2")
        rows = np.array(self.groups[since:], np.int64).reshape(-1, 5)
        rows[:, 0] -= low
        groups = np.insert(rows, 3, rows[:, 2], axis=1)
        for index in np.flatnonzero(groups[:-1, 2] == groups[1:, 1]).tolist():
            first, end = int(groups[index + 1, 0]), int(groups[index + 1, 2])
            tail = lengths_of(sizes[first : first + TAIL_CHUNKS])
            groups[index, 3] = min(int(groups[index, 2]) + int(tail.sum()), end)
        return PackedMap(groups, sizes, np.array(self.marks, np.int64).reshape(-1, 3))

    @property
    def _count(self) -> int:
        return len(self.sizes) // 2

    def _joins(self, record: Record) -> bool:
        """Whether a chunk goes on where the last group ends, and the group has room for it."""
        if not self.open or not self.groups:
            return False
        first, start, end, _begin, _stop = self.groups[-1]
        room = record.end - start <= GROUP_BYTES_MAX and self._count - first < GROUP_CHUNKS_MAX
        return end == record.offset and room

    def _short_length(self, source: Source, record: Record) -> int:
        self.shorts += 1
        if self.shorts > SHORT_CHUNKS_MAX:
            return -1
        stored = source.read_at(record.offset, record.end - record.offset)
        plain = self.decoder.plain(stored, None)
        return -1 if plain is None else len(plain)


class PlainSource:
    """The plain medium. What cannot be decoded reads as zeros; ``lost`` says where."""

    def __init__(self, source: Source, packed: PackedMap, decoder: Decoder) -> None:
        self._source = source
        self._packed = packed
        self._decoder = decoder
        self._kept: dict[int, bytes] = {}
        self.lost: list[int] = []

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self._packed.size

    def read_at(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset``, or raise `Truncated`."""
        require_range(offset, length, self.size)
        pieces, end = [], offset + length
        while offset < end:
            piece = self._piece(offset, end)
            pieces.append(piece)
            offset += len(piece)
        return b"".join(pieces)

    def _piece(self, offset: int, end: int) -> bytes:
        row = self._packed.group_at(offset)
        if row is not None:
            place, length, begin, stop = self._packed.chunk_of(row, offset)
            return self._plain(place, length, (begin, stop))[offset - begin : end - begin]
        marks = self._packed.marks
        index = int(np.searchsorted(marks[:, 0], offset, side="right")) - 1
        start = int(marks[index, 0])
        return self._mark(index)[offset - start : end - start]

    def _plain(self, place: int, length: int, span: tuple[int, int]) -> bytes:
        begin, plain_bytes = span[0], span[1] - span[0]
        kept = self._kept.get(place)
        if kept is None:
            found = self._decoder.plain(self._source.read_at(place, length), plain_bytes)
            if found is None and len(self.lost) < LOST_MAX:
                self.lost.append(begin)
            kept = bytes(plain_bytes) if found is None else found
            if len(self._kept) >= CACHED_MAX:
                self._kept.pop(next(iter(self._kept)))
            self._kept[place] = kept
        return kept

    def _mark(self, index: int) -> bytes:
        """Return a filemark with the offsets it lists as they would be in the plain medium."""
        _start, place, length = (int(item) for item in self._packed.marks[index])
        stored = bytearray(self._source.read_at(place, length))
        if length < FilemarkBody.size:
            return bytes(stored)
        fields = FilemarkBody.parse(bytes(stored))
        # A filemark lists at most as many earlier ones as it has room for.
        earlier = self._packed.marks[max(0, index - length // MARK_ENTRY_BYTES) : index]
        plain = {int(mark[1]): int(mark[0]) for mark in earlier}
        first = fields.array_offset
        room = max(0, (length - first) // MARK_ENTRY_BYTES)
        for at in range(first, first + min(fields.used, room) * MARK_ENTRY_BYTES, MARK_ENTRY_BYTES):
            listed = int.from_bytes(stored[at : at + MARK_ENTRY_BYTES], "little")
            if listed in plain:
                stored[at : at + MARK_ENTRY_BYTES] = plain[listed].to_bytes(8, "little")
        return bytes(stored)
