"""Cut a file into units, and every check into the pieces that belong to each unit.

A unit is a range of the file whose ends lie on digest blocks. An element that crosses a unit's end
belongs to the unit where it starts. Planning is columns from beginning to end: a file of millions
of extents costs a few sorts per span, never an object per extent.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from formats.core.errors import FormatError
from formats.core.model import (
    Algorithm,
    Bearing,
    Check,
    Declared,
    Examined,
    ExtentBatch,
    Payload,
)
from scanner.config import EXTENTS_PER_SPAN_MAX

Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Task:
    """One check on some pieces of one unit.

    Columns are sorted by offset; ``origin`` is where the extent begins that a piece was cut from.
    """

    check: Check
    check_id: str
    image_index: int
    bearing: Bearing
    offset: Offsets
    length: Offsets
    origin: Offsets
    plain_length: Offsets | None = None
    digest: npt.NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """A range of a file to be read once, with everything to check on the way."""

    offset: int
    length: int
    tasks: tuple[Task, ...] = ()


@dataclass(frozen=True, slots=True)
class _Column:
    """All pieces of one check in a span, with the index of the unit each belongs to."""

    task: Task
    unit_index: Offsets


def plan_span(
    start: int, end: int, batches: Iterable[ExtentBatch], unit_bytes: int
) -> Iterator[Unit]:
    """Yield the units of ``start..end`` in order.

    Raises `FormatError` if the batches hold more extents than any real file does.
    """
    columns = [
        column
        for batch in gather(batches, start, end)
        for column in cut(batch, start, end, unit_bytes)
    ]
    for index, offset in enumerate(range(start, end, unit_bytes)):
        tasks = tuple(task for column in columns if (task := pieces_of(column, index)) is not None)
        yield Unit(offset, min(unit_bytes, end - offset), tasks)


def gather(batches: Iterable[ExtentBatch], start: int, end: int) -> list[ExtentBatch]:
    """Keep the rows that concern ``start..end`` and join batches of the same check."""
    kept: dict[tuple[object, ...], list[ExtentBatch]] = {}
    rows = 0
    for batch in batches:
        part = within(batch, start, end)
        if not len(part.offset):
            continue
        rows += len(part.offset)
        if rows > EXTENTS_PER_SPAN_MAX:
            raise FormatError(
                "source.extents",
                offset=start,
                length=end - start,
                expected=f"at most {EXTENTS_PER_SPAN_MAX} extents",
                actual="more",
            )
        key = (check_key(batch.check), batch.check_id, batch.image_index, batch.bearing)
        kept.setdefault(key, []).append(part)
    return [batch for parts in kept.values() for batch in joined(parts)]


def check_key(check: Check) -> object:
    """Return what must be equal for two batches to be joined."""
    # A kernel carries its own parameters, so two are one only if they are the same object.
    return id(check) if isinstance(check, Examined) else check


def within(batch: ExtentBatch, start: int, end: int) -> ExtentBatch:
    """Return the rows that have something to do in ``start..end``."""
    if divisible(batch.check):
        chosen = (batch.offset < end) & (batch.offset + batch.stored_length > start)
    else:
        chosen = (batch.offset >= start) & (batch.offset < end)
    return replace(
        batch,
        offset=batch.offset[chosen],
        stored_length=batch.stored_length[chosen],
        plain_length=None if batch.plain_length is None else batch.plain_length[chosen],
        digest=None if batch.digest is None else batch.digest[chosen],
    )


def divisible(check: Check) -> bool:
    """Whether an extent may be cut at unit ends: no sum runs over the whole of it."""
    match check:
        case Examined() | Payload():
            return True
        case Declared(algorithm=algorithm, codec=codec):
            return algorithm is Algorithm.ZEROS and codec is None


def joined(parts: Sequence[ExtentBatch]) -> Sequence[ExtentBatch]:
    """Join batches of one check, unless a kernel would have to go back for what overlaps."""
    whole = join(parts)
    if isinstance(whole.check, Examined) and overlapping(whole):
        return parts
    return (whole,)


def overlapping(batch: ExtentBatch) -> bool:
    """Whether any row begins before the one before it has ended."""
    end = batch.offset + batch.stored_length
    return bool((batch.offset[1:] < end[:-1]).any())


def join(parts: Sequence[ExtentBatch]) -> ExtentBatch:
    """Join batches of one check into one, sorted by offset."""
    first = parts[0]
    if len(parts) == 1:
        return first
    offset = np.concatenate([part.offset for part in parts])
    if divisible(first.check) and not isinstance(first.check, Examined):
        length = np.concatenate([part.stored_length for part in parts])
        offset, length = union(offset, length)
        return replace(first, offset=offset, stored_length=length)
    order = np.argsort(offset, kind="stable")
    plain = [part.plain_length for part in parts if part.plain_length is not None]
    digest = [part.digest for part in parts if part.digest is not None]
    return ExtentBatch(
        first.check,
        first.check_id,
        first.image_index,
        offset[order],
        np.concatenate([part.stored_length for part in parts])[order],
        np.concatenate(plain)[order] if plain else None,
        np.concatenate(digest)[order] if digest else None,
        first.bearing,
    )


def union(offset: Offsets, length: Offsets) -> tuple[Offsets, Offsets]:
    """Return sorted, disjoint ranges that cover the same bytes: damaged maps overlap."""
    order = np.argsort(offset, kind="stable")
    start, reach = offset[order], np.maximum.accumulate((offset + length)[order])
    fresh = np.r_[True, start[1:] > reach[:-1]]
    first = np.flatnonzero(fresh)
    last = np.r_[first[1:] - 1, len(start) - 1]
    return start[first], reach[last] - start[first]


def cut(batch: ExtentBatch, start: int, end: int, unit_bytes: int) -> Iterator[_Column]:
    """Cut the extents of one check at unit ends, where that is allowed."""
    match batch.check:
        case Examined(stride=stride):
            yield from cut_at(batch, start, end, unit_bytes, stride)
        case Payload():
            yield from cut_at(batch, start, end, unit_bytes, 1)
        case Declared():
            if divisible(batch.check):
                yield from cut_at(batch, start, end, unit_bytes, 1)
            else:
                task = as_task(batch, batch.offset, batch.stored_length, batch.offset)
                yield _Column(task, (batch.offset - start) // unit_bytes)


def cut_at(
    batch: ExtentBatch, start: int, end: int, unit_bytes: int, stride: int
) -> Iterator[_Column]:
    """Cut extents at unit ends, at multiples of ``stride`` from where each extent begins."""
    origin, length = batch.offset, batch.stored_length
    extent_end = origin + length
    first = (np.maximum(origin, start) - start) // unit_bytes
    last = (np.minimum(extent_end, end) - 1 - start) // unit_bytes
    count = last - first + 1
    row = np.repeat(np.arange(len(origin)), count)
    unit = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[row]
    unit_start = start + unit * unit_bytes
    # The first element that starts at or after each unit's end; the one crossing it stays behind.
    piece_start = first_element(origin[row], unit_start, stride)
    piece_end = first_element(origin[row], np.minimum(unit_start + unit_bytes, end), stride)
    piece_end = np.minimum(piece_end, extent_end[row])
    some = piece_end > piece_start
    order = np.argsort(unit[some], kind="stable")
    task = as_task(
        batch,
        piece_start[some][order],
        (piece_end - piece_start)[some][order],
        origin[row][some][order],
    )
    yield _Column(task, unit[some][order])


def first_element(origin: Offsets, at: Offsets, stride: int) -> Offsets:
    """Return where the first element begins that starts at or after ``at``."""
    steps = np.maximum(-((origin - at) // stride), 0)
    found: Offsets = origin + steps * stride
    return found


def as_task(batch: ExtentBatch, offset: Offsets, length: Offsets, origin: Offsets) -> Task:
    """Return all pieces of a batch as one task."""
    return Task(
        batch.check,
        batch.check_id,
        batch.image_index,
        batch.bearing,
        offset,
        length,
        origin,
        batch.plain_length,
        batch.digest,
    )


def pieces_of(column: _Column, unit_index: int) -> Task | None:
    """Return the part of a column that belongs to one unit; None where there is none."""
    low, high = np.searchsorted(column.unit_index, [unit_index, unit_index + 1])
    if low == high:
        return None
    task = column.task
    return Task(
        task.check,
        task.check_id,
        task.image_index,
        task.bearing,
        task.offset[low:high],
        task.length[low:high],
        task.origin[low:high],
        None if task.plain_length is None else task.plain_length[low:high],
        None if task.digest is None else task.digest[low:high],
    )
