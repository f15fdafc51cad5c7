"""Doubt: what looks bad is read again, past the page cache, before it is believed.

Right the second time is *unsteady*: trouble with the hardware, not damage in the file.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import xxhash

from formats.core.errors import FormatError
from formats.core.model import Evidence, Outcome
from scanner.clock import Clock
from scanner.config import CONFIRM_BLOCKS_MAX, DIGEST_BLOCK_BYTES, DIGEST_BYTES
from scanner.engine.plan import Unit
from scanner.engine.reading import (
    UNREAD_DIGEST,
    Buffer,
    StopSignal,
    read_unit,
    task_end,
    unpack_digests,
)
from scanner.engine.storage import Storage
from scanner.engine.trouble import unsteady
from scanner.engine.work import Work, bare_units, plan
from scanner.results import FileResult, UnitResult


def steadied(
    work: Work, unit: Unit, first: UnitResult, buffer: Buffer, clock: Clock, stop: StopSignal
) -> UnitResult:
    """Return the unit's result, read a second time if a check in it failed."""
    found = [row for same in first.evidence.values() for row in same]
    if not any(row.outcome is Outcome.MISMATCHED for row in found):
        return first
    again = work.storage.uncached()
    try:
        second = read_unit(again, unit, buffer, clock(), stop)
    finally:
        if again is not work.storage:
            again.close()
    rows = [unsteady_block(block, work.storage.size) for block in differing(first, second)]
    if not rows and second.evidence != first.evidence:
        rows = [unsteady_behind(unit)]
    return replace(second, storage=(*second.storage, *rows)) if rows else first


def differing(first: UnitResult, second: UnitResult) -> list[int]:
    """Return the digest blocks in which two readings of a unit differ."""
    one = unpack_digests(first.digests, first.length)
    two = unpack_digests(second.digests, second.length)
    return [
        (first.offset // DIGEST_BLOCK_BYTES) + index
        for index in range(len(one) // DIGEST_BYTES)
        if one[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES]
        != two[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES]
    ]


def blocks_in_doubt(result: FileResult) -> list[int]:
    """Return the digest blocks of everything that looks bad and has a place."""
    rows = [*result.evidence, *(row for image in result.images for row in image.evidence)]
    blocks: set[int] = set()
    for row in rows:
        if row.outcome is not Outcome.MISMATCHED or row.offset is None or row.member:
            continue
        first = row.offset // DIGEST_BLOCK_BYTES
        last = (row.offset + max(row.length or 1, 1) - 1) // DIGEST_BLOCK_BYTES
        blocks.update(range(first, min(last, first + CONFIRM_BLOCKS_MAX) + 1))
        if len(blocks) > CONFIRM_BLOCKS_MAX:
            break
    return sorted(blocks)[:CONFIRM_BLOCKS_MAX]


def differing_blocks(work: Work, blocks: Sequence[int]) -> list[int]:
    """Read blocks again, past the page cache; return those that come out otherwise."""
    if not blocks:
        return []
    digests = digests_of(work)
    again = work.storage.uncached()
    try:
        return [block for block in blocks if not same_again(again, digests, block)]
    finally:
        if again is not work.storage:
            again.close()


def same_again(storage: Storage, digests: bytes, block: int) -> bool:
    """Whether a block still has the digest it had."""
    offset = block * DIGEST_BLOCK_BYTES
    before = digests[block * DIGEST_BYTES : (block + 1) * DIGEST_BYTES]
    length = min(DIGEST_BLOCK_BYTES, storage.size - offset)
    if length <= 0 or before in (b"", UNREAD_DIGEST):
        return True
    try:
        return xxhash.xxh3_128_digest(storage.read_at(offset, length)) == before
    except OSError:
        return False


def read_again(
    work: Work, blocks: Sequence[int], buffer: Buffer, clock: Clock, stop: StopSignal
) -> Iterator[UnitResult]:
    """Read the units that hold unsteady blocks once more, past the page cache."""
    wanted = {block * DIGEST_BLOCK_BYTES // work.unit_bytes * work.unit_bytes for block in blocks}
    again = work.storage.uncached()
    try:
        for unit in planned_again(work, again, wanted):
            yield read_unit(again, unit, buffer, clock(), stop)
    finally:
        if again is not work.storage:
            again.close()


def planned_again(work: Work, storage: Storage, wanted: set[int]) -> Iterator[Unit]:
    """Yield the units at some offsets as they were planned: without checks where the map ends."""
    left = set(wanted)
    try:
        for unit in plan(work, storage):
            if unit.offset in left:
                left.discard(unit.offset)
                yield unit
            if not left:
                return
    except FormatError:  # recorded when the map was followed first
        units = bare_units(0, storage.size, frozenset(), work.unit_bytes)
        yield from (unit for unit in units if unit.offset in left)


def unsteady_block(block: int, size: int) -> Evidence:
    """Return evidence that a block was read differently twice."""
    offset = block * DIGEST_BLOCK_BYTES
    return unsteady(offset, min(DIGEST_BLOCK_BYTES, size - offset))


def unsteady_behind(unit: Unit) -> Evidence:
    """Return evidence that bytes behind a unit's end, of elements that cross it, were unsteady."""
    start = unit.offset + unit.length
    return unsteady(start, max(task_end(task) for task in unit.tasks) - start)


def in_order(work: Work) -> list[UnitResult]:
    """Return the units read so far, in order of offset."""
    return [work.results[offset] for offset in sorted(work.results)]


def digests_of(work: Work) -> bytes:
    """Return the digests of the whole file, one per block."""
    return b"".join(unpack_digests(unit.digests, unit.length) for unit in in_order(work))
