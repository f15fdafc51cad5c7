"""Soft filemarks: each lists the byte offsets of those before it, so the last one lists them all.

[MTF] 5.10 "Soft Filemark" (MTF_SFMB). They stand behind the tape header, and before and behind the
end-of-set blocks of each data set: the sets of a medium can be found from its end.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from formats.core.layout import Layout, u32
from formats.core.model import Bearing, Evidence, Outcome, Source
from formats.mtf.structures import FILEMARK, BlockHeader, sum_holds
from formats.mtf.walk import Block, filemark_bytes

FILEMARK_OFFSETS = "mtf.filemark.offsets"

CHECKS: Mapping[str, str] = {
    FILEMARK_OFFSETS: "A soft filemark lists the offsets of the filemarks before it, newest first.",
}

UNIT_BYTES = 512
# Seen: 512 and 4096, the sector size of the target volume.
SIZES_BYTES = (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)
FILEMARKS_MAX = 1 << 17

# Seen in SQL Server 2008 and later: the array's own offset stands at 60 and is always 72. SQL
# Server 2005 has no such field and begins the array there, as the specification does.
ARRAY_OFFSET_FIELD = 60
ARRAY_OFFSET = 72


class FilemarkBody(Layout, size=64, order="<"):
    """What stands before the array of offsets."""

    capacity = u32(52)
    used = u32(56)
    array_offset = u32(60)


@dataclass(frozen=True, slots=True)
class Filemark:
    """One soft filemark. ``rest_is_zero`` speaks of the bytes behind its array."""

    offset: int
    size: int
    capacity: int
    used: int
    offsets: tuple[int, ...]
    array_offset: int
    rest_is_zero: bool


def parse_filemark(offset: int, body: bytes) -> Filemark | None:
    """Parse a filemark from its whole block; None if it is too short to be one."""
    if len(body) < ARRAY_OFFSET:
        return None
    fields = FilemarkBody.parse(body)
    has_field = fields.array_offset == ARRAY_OFFSET
    start = ARRAY_OFFSET if has_field else ARRAY_OFFSET_FIELD
    room = (len(body) - start) // 8
    stored = np.frombuffer(body, "<u8", min(fields.used, room), start)
    # Between the field and the array it points to stand zeros too.
    before = body[ARRAY_OFFSET_FIELD + 4 : start]
    rest = body[start + 8 * len(stored) :]
    return Filemark(
        offset,
        len(body),
        fields.capacity,
        fields.used,
        tuple(int(item) for item in stored),
        start,
        not any(before) and not any(rest),
    )


def judge_filemark(block: Block, earlier: Sequence[int]) -> Evidence:
    """Compare a filemark with the offsets of all filemarks before it, oldest first."""
    mark = parse_filemark(block.offset, block.body)
    if mark is None:
        return mismatch(block.offset, len(block.body), "a filemark", "a shorter block")
    capacity = (mark.size - mark.array_offset) // 8
    # No medium with more filemarks than one can list was seen. If the newest are listed, good.
    listed = tuple(reversed(earlier[-capacity:]))
    if len(earlier) > capacity and mark.offsets != listed:
        return Evidence(
            FILEMARK_OFFSETS,
            Outcome.ABSENT,
            block.offset,
            len(block.body),
            f"at most {capacity} filemarks",
            f"{len(earlier)} filemarks",
        )
    if (mark.capacity, mark.used) != (capacity, len(listed)):
        return mismatch(
            block.offset + FilemarkBody.capacity.offset,
            8,
            f"{len(listed)} of {capacity} entries",
            f"{mark.used} of {mark.capacity}",
        )
    wrong = [
        index
        for index, pair in enumerate(zip(mark.offsets, listed, strict=False))
        if pair[0] != pair[1]
    ]
    if wrong:
        at = block.offset + mark.array_offset + 8 * wrong[0]
        return mismatch(at, 8, f"{listed[wrong[0]]:#x}", f"{mark.offsets[wrong[0]]:#x}")
    return judge_rest(mark)


def judge_rest(mark: Filemark) -> Evidence:
    """Return the row for a filemark whose list is right."""
    end = mark.array_offset + 8 * len(mark.offsets)
    if mark.array_offset == ARRAY_OFFSET:
        if not mark.rest_is_zero:
            return mismatch(
                mark.offset + end, mark.size - end, "zeros", "other bytes", Bearing.REDUNDANT
            )
        # SQL Server 2005 was seen to leave bytes behind the list of its first filemark.
        end = mark.size
    start = FilemarkBody.capacity.offset
    return Evidence(
        FILEMARK_OFFSETS,
        Outcome.MATCHED,
        mark.offset + start,
        end - start,
        vouched_bytes=end - start,
    )


def mismatch(
    offset: int,
    length: int,
    expected: str,
    actual: str,
    bearing: Bearing = Bearing.DOUBTFUL,
) -> Evidence:
    """Return the row for a filemark that lists something else.

    A restore may not look at the list, or may find its set by it: the file does not tell.
    """
    return Evidence(FILEMARK_OFFSETS, Outcome.MISMATCHED, offset, length, expected, actual, bearing)


def last_filemark(source: Source) -> Filemark | None:
    """Return the filemark that ends the file, if one does."""
    for size in SIZES_BYTES:
        offset = source.size - size
        if offset >= 0:
            mark = filemark_at(source, offset)
            if mark is not None and mark.size == size:
                return mark
    return None


def filemark_at(source: Source, offset: int) -> Filemark | None:
    """Return the filemark at ``offset``, if one stands there whole."""
    if offset + BlockHeader.size > source.size:
        return None
    stored = source.read_at(offset, BlockHeader.size)
    header = BlockHeader.parse(stored)
    length = filemark_bytes(header)
    end = offset + length
    if header.kind != FILEMARK or not sum_holds(stored) or end > source.size:
        return None
    return parse_filemark(offset, source.read_at(offset, length))


def filemarks_behind(source: Source, offset: int) -> tuple[int, ...]:
    """Return the offsets of all filemarks at or behind ``offset``, as the file's end lists them."""
    return tuple(sorted({item for item in listed_filemarks(source, offset) if item >= offset}))


def listed_filemarks(source: Source, offset: int) -> Iterator[int]:
    """Yield filemarks from the end of the file back to ``offset``, each as an earlier one lists it.

    One filemark lists only so many; the oldest it lists leads further back.
    """
    mark = last_filemark(source)
    left = FILEMARKS_MAX
    while mark is not None and left > 0:
        yield mark.offset
        yield from mark.offsets
        left -= 1 + len(mark.offsets)
        oldest = min(mark.offsets, default=mark.offset)
        if oldest >= mark.offset or oldest <= offset:
            return
        mark = filemark_at(source, oldest)
