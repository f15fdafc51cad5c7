"""When the last byte of a file was read: judge what needs all of it, and doubt what looks bad."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
import xxhash

from formats.core.model import (
    Bearing,
    Columns,
    Evidence,
    Inspection,
    Outcome,
    Part,
    Tally,
    WriteModel,
)
from scanner.clock import Clock
from scanner.config import DIGEST_BLOCK_BYTES, EVIDENCE_PER_CHECK_MAX
from scanner.engine import generic
from scanner.engine.baseline import Reading, compare
from scanner.engine.doubt import (
    blocks_in_doubt,
    differing_blocks,
    digests_of,
    in_order,
    read_again,
    unsteady_block,
)
from scanner.engine.reading import Buffer, StopSignal
from scanner.engine.storage import Storage
from scanner.engine.work import Work
from scanner.ledger.rows import Baseline
from scanner.results import (
    BaselineResult,
    FileResult,
    FileState,
    ImageResult,
    PayloadSeen,
)


def finish(work: Work, buffer: Buffer, clock: Clock, stop: StopSignal) -> FileResult:
    """Return the result of a file that was read to its end.

    Units that had to be read again replace the first ones in ``work``.
    """
    if changed_meanwhile(work):
        work.stop(FileState.CHANGED, changed(work))
        return partial_result(work)
    result = complete_result(work, clock())
    unsteady = differing_blocks(work, blocks_in_doubt(result))
    if not unsteady:
        return result
    for unit in read_again(work, unsteady, buffer, clock, stop):
        work.replace(unit)
    work.evidence.extend(unsteady_block(block, work.storage.size) for block in unsteady)
    return complete_result(work, clock())


def complete_result(work: Work, now: datetime) -> FileResult:
    """Judge a file that was read to its end."""
    images = tuple(image_result(work, index) for index in range(len(work.inspections)))
    units = in_order(work)
    read_at = min((unit.read_at for unit in units), default=now)
    evidence = [*work.evidence, *merged(row for unit in units for row in unit.storage)]
    if work.format is None:
        evidence.extend(generic.checks(work.stamps, digests_of(work)))
    key = identity_key(work.inspections)
    outcome, changes = against_baseline(work, images, key, read_at)
    return FileResult(
        path=work.job.path,
        stamps=work.stamps,
        state=FileState.READ,
        format=work.format.name if work.format else None,
        format_revision=work.format.revision if work.format else None,
        images=images,
        evidence=(*evidence, *changes),
        read_at=read_at,
        bytes_read=sum(unit.bytes_read for unit in units),
        identity_key=key,
        baseline=outcome,
    )


def partial_result(work: Work) -> FileResult:
    """Report a file that was not read to its end: what its structure says, and why it stopped."""
    units = in_order(work)
    storage = merged(row for unit in units for row in unit.storage)
    return FileResult(
        path=work.job.path,
        stamps=work.stamps,
        state=FileState.READING if work.state is FileState.READ else work.state,
        format=work.format.name if work.format else None,
        format_revision=work.format.revision if work.format else None,
        images=tuple(ImageResult(item, item.evidence, PayloadSeen()) for item in work.inspections),
        evidence=(*work.evidence, *storage),
        bytes_read=sum(unit.bytes_read for unit in units),
        identity_key=identity_key(work.inspections),
        traceback=work.traceback,
    )


def image_result(work: Work, index: int) -> ImageResult:
    """Join everything known of one image; a piece of a larger set is concluded elsewhere."""
    inspection = work.inspections[index]
    units = in_order(work)
    rows = [
        *inspection.evidence,
        *merged(row for unit in units for row in unit.evidence.get(index, ())),
    ]
    if inspection.piece is None and work.format is not None:
        part = part_of(work, index)
        rows.extend(work.format.conclude((part,)))
    payload = sum((unit.payload.get(index, PayloadSeen()) for unit in units), PayloadSeen())
    return ImageResult(inspection, tuple(rows), payload)


def part_of(work: Work, index: int) -> Part:
    """Return one image's share in this file, as a conclusion wants it."""
    units = in_order(work)
    gaps = tuple(gap for unit in units for gap in unit.unreadable)
    tally = joined([unit.tallies[index] for unit in units if index in unit.tallies])
    return Part(work.inspections[index], tally, unreadable=gaps)


def joined(tallies: Sequence[Tally]) -> Tally:
    """Join the tables of several units."""
    named: dict[str, list[Columns]] = {}
    for tally in tallies:
        for name, table in tally.items():
            named.setdefault(name, []).append(table)
    return {name: np.concatenate(tables) for name, tables in named.items()}


def merged(rows: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """Sum up good rows of the same check; keep bad ones up to the limit, then count them."""
    good: dict[tuple[object, ...], Evidence] = {}
    bad: dict[str, list[Evidence]] = {}
    for row in rows:
        if row.bad:
            bad.setdefault(row.check, []).append(row)
            continue
        key = (row.check, row.outcome, row.bearing, row.member)
        before = good.get(key)
        good[key] = row if before is None else together(before, row)
    return (*(row for same in bad.values() for row in limited(same)), *good.values())


def together(first: Evidence, second: Evidence) -> Evidence:
    """Sum up two good rows; what they speak of is no longer one range."""
    return replace(
        first,
        offset=None,
        length=None,
        count=first.count + second.count,
        vouched_bytes=first.vouched_bytes + second.vouched_bytes,
    )


def limited(rows: list[Evidence]) -> list[Evidence]:
    """Keep the first bad rows of one check by offset, and count the rest."""
    placed = sorted((row for row in rows if row.offset is not None), key=place)
    floating = [row for row in rows if row.offset is None]
    more = len(placed) - EVIDENCE_PER_CHECK_MAX + sum(row.count for row in floating)
    if len(placed) <= EVIDENCE_PER_CHECK_MAX:
        return [*placed, *floating]
    last = placed[-1]
    return [
        *placed[:EVIDENCE_PER_CHECK_MAX],
        replace(last, offset=None, length=None, expected=None, actual=None, count=more),
    ]


def place(row: Evidence) -> int:
    """Return where a row stands; rows without a place are sorted elsewhere."""
    assert row.offset is not None
    return row.offset


def identity_key(inspections: Sequence[Inspection]) -> str | None:
    """Return what the images of a file call themselves, joined; None if any has no name."""
    if not inspections or any(not item.identities for item in inspections):
        return None
    return "|".join(str(min(item.identities)) for item in inspections)


def against_baseline(
    work: Work, images: Sequence[ImageResult], key: str | None, read_at: datetime
) -> tuple[BaselineResult, tuple[Evidence, ...]]:
    """Compare with the file's baseline."""
    baseline = work.job.baseline(key)
    reading = Reading(
        identity_key=key,
        write_model=work.format.write_model if work.format else WriteModel.REWRITTEN,
        stamps=work.stamps,
        digests=digests_of(work),
        proven=structure_proven(work, images),
        read_at=read_at,
        tail_digest=tail_digest(work.storage, baseline),
    )
    return compare(reading, baseline)


def structure_proven(work: Work, images: Sequence[ImageResult]) -> bool:
    """Whether these bytes may become a reference.

    A truncated or damaged file never does. Where a format is unknown or not read yet there is no
    structure to prove, and no verdict rises by the baseline either.
    """
    storage = any(row.bad for unit in work.results.values() for row in unit.storage)
    if storage or not work.format or not work.format.supported:
        return not storage
    return all(
        image.inspection.complete
        and not any(row.bad and row.bearing is not Bearing.REDUNDANT for row in hard(image))
        for image in images
    )


def hard(image: ImageResult) -> list[Evidence]:
    """Return what is known to be wrong or missing, not merely unread by us."""
    return [row for row in image.evidence if row.outcome is not Outcome.UNSUPPORTED]


def tail_digest(storage: Storage, baseline: Baseline | None) -> bytes | None:
    """Digest what now stands where a grown file's last, partial block was."""
    if baseline is None or storage.size <= baseline.size:
        return None
    length = baseline.size % DIGEST_BLOCK_BYTES
    if not length:
        return None
    return xxhash.xxh3_128_digest(storage.read_at(baseline.size - length, length))


def changed_meanwhile(work: Work) -> bool:
    """Whether somebody wrote to the file while it was read."""
    now = work.storage.stamps()
    return (now.size, now.mtime_ns) != (work.stamps.size, work.stamps.mtime_ns)


def changed(work: Work) -> Evidence:
    """Return evidence that the file changed under the scan."""
    now = work.storage.stamps()
    return Evidence(
        "storage.changed",
        Outcome.MISMATCHED,
        expected=f"{work.stamps.size} bytes, unchanged while read",
        actual=f"{now.size} bytes",
        bearing=Bearing.DOUBTFUL,
    )
