"""When the last byte of a file was read: judge what needs all of it, and doubt what looks bad."""

from collections.abc import Sequence
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
from scanner.config import DIGEST_BLOCK_BYTES
from scanner.engine import generic
from scanner.engine.baseline import IMAGES_SEPARATOR, Reading, compare
from scanner.engine.doubt import (
    blocks_in_doubt,
    differing_blocks,
    digests_of,
    in_order,
    read_again,
    unsteady_block,
)
from scanner.engine.merging import merged
from scanner.engine.reading import Buffer, StopSignal
from scanner.engine.storage import Storage
from scanner.engine.trouble import MEDIA_ERRORS
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
    work.follow_to_the_end()
    if changed_meanwhile(work):
        return changed_result(work)
    result = complete_result(work, clock())
    unsteady = differing_blocks(work, blocks_in_doubt(result))
    if not unsteady:
        return result
    for unit in read_again(work, unsteady, buffer, clock, stop):
        work.replace(unit)
    if changed_meanwhile(work):
        return changed_result(work)
    work.evidence.extend(unsteady_block(block, work.storage.size) for block in unsteady)
    return complete_result(work, clock())


def complete_result(work: Work, now: datetime) -> FileResult:
    """Judge a file that was read to its end."""
    images = tuple(image_result(work, index) for index in range(len(work.inspections)))
    units = in_order(work)
    read_at = min((unit.read_at for unit in units), default=now)
    evidence = [*work.evidence, *merged(row for unit in units for row in unit.storage)]
    if work.format is None or not work.format.supported:
        path, digests = work.job.path, digests_of(work)
        evidence.extend(generic.of_stranger(path, work.stamps, digests, work.format))
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


def changed_result(work: Work) -> FileResult:
    """Report a file that somebody wrote to while it was read."""
    work.stop(FileState.CHANGED, changed(work))
    return partial_result(work)


def partial_result(work: Work) -> FileResult:
    """Report a file that was not read to its end: what its structure says, and why it stopped."""
    units = in_order(work)
    rows = [row for unit in units for row in unit.storage]
    if work.state is FileState.CHANGED:
        # Bytes that came out differently were written anew: the storage is not to blame.
        rows = [row for row in rows if row.outcome is not Outcome.UNSTEADY]
    storage = merged(rows)
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


def identity_key(inspections: Sequence[Inspection]) -> str | None:
    """Return what the images of a file call themselves, joined; None if any has no name."""
    if not inspections or any(not item.identities for item in inspections):
        return None
    return IMAGES_SEPARATOR.join(str(min(item.identities)) for item in inspections)


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
    rows = [*work.evidence, *(row for unit in work.results.values() for row in unit.storage)]
    if any(row.bad for row in rows):
        return False
    if work.format is None or not work.format.supported:
        return True
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
    try:
        return xxhash.xxh3_128_digest(storage.read_at(baseline.size - length, length))
    except OSError as error:
        if error.errno not in MEDIA_ERRORS:
            raise
        return None  # recorded when the unit was read


def changed_meanwhile(work: Work) -> bool:
    """Whether somebody wrote to the file while it was read, or while it was opened."""
    now = work.storage.stamps()
    written = (now.size, now.mtime_ns) != (work.storage.size, work.stamps.mtime_ns)
    return written or whereabouts(work) is not None


def whereabouts(work: Work) -> str | None:
    """Say what became of the path, if it no longer leads to the file that was read."""
    if work.job.present is None:
        return None
    now = work.job.present()
    if now is None:
        return "removed meanwhile"
    return None if now.inode == work.stamps.inode else "replaced meanwhile"


def changed(work: Work) -> Evidence:
    """Return evidence that the file changed under the scan."""
    size, now = work.storage.size, work.storage.stamps()
    written = "written to meanwhile" if now.size == size else f"{now.size} bytes"
    return Evidence(
        "storage.changed",
        Outcome.MISMATCHED,
        expected=f"{size} bytes, unchanged while read",
        actual=whereabouts(work) or written,
        bearing=Bearing.DOUBTFUL,
    )
