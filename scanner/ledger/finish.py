"""Write what a finished reading of a file found."""

import sqlite3

from formats.core.model import Evidence
from scanner.ledger import baselines, evidence, history, images, units
from scanner.ledger.packing import maybe_text, maybe_us, stamp_columns, to_us
from scanner.results import BaselineAction, BaselineResult, FileResult, FileState

CONFIRMED = frozenset({BaselineAction.ADOPT, BaselineAction.RENEW})


def finish(db: sqlite3.Connection, file_id: int, result: FileResult, now_us: int) -> None:
    """Replace what is known of a file by this result.

    A file that was refused without a look inside keeps its images and what was found in them, with
    their old dates: that it cannot be opened tonight says nothing about them.
    """
    refused = result.state is FileState.REFUSED and not result.images
    # A proof is as old as the oldest byte it rests on, also where reading took several nights.
    found_us = now_us if result.read_at is None else to_us(result.read_at)
    if refused:
        db.execute("DELETE FROM evidence WHERE file_id = ? AND stage = 'file'", (file_id,))
    else:
        write_images(db, file_id, result, found_us)
    evidence.insert(
        db, file_id, None, evidence.FILE, result.evidence, result.format_revision, found_us
    )
    write_file(db, file_id, result, refused=refused)
    if result.images:
        history.remember(db, file_id, now_us)
    if result.state is FileState.READ:
        baselines.settle(db, file_id, result)
    if result.state is not FileState.REFUSED:
        pieces = any(image.inspection.piece is not None for image in result.images)
        units.finish(db, file_id, keep_tallies=pieces and result.state is FileState.READ)


def write_images(db: sqlite3.Connection, file_id: int, result: FileResult, found_us: int) -> None:
    """Replace a file's images and all evidence about them."""
    numbers = images.replace(db, file_id, result.images)
    for index, (image_id, image) in enumerate(zip(numbers, result.images, strict=True)):
        evidence.insert(
            db,
            file_id,
            (image_id, index),
            evidence.IMAGE,
            image.evidence,
            result.format_revision,
            found_us,
        )


def write_file(db: sqlite3.Connection, file_id: int, result: FileResult, *, refused: bool) -> None:
    """Bring a file's row up to date."""
    read_us = maybe_us(result.read_at) if result.state is FileState.READ else None
    decision = result.baseline
    confirmed = decision is not None and decision.action in CONFIRMED
    since_us = to_us(decision.taken_at) if decision is not None and confirmed else None
    db.execute(
        "UPDATE files SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ?, allocated_bytes = ?,"
        " cramped_mtime_ns = CASE WHEN size = ? AND mtime_ns = ? THEN cramped_mtime_ns END,"
        " state = ?, bytes_read = ?, traceback = ? WHERE id = ?",
        (
            *stamp_columns(result.stamps),
            result.stamps.size,
            result.stamps.mtime_ns,
            result.state,
            result.bytes_read,
            maybe_text(result.traceback),
            file_id,
        ),
    )
    if not refused:
        db.execute(
            "UPDATE files SET format = ?, format_revision = ?, identity_key = ?, read_us = ?,"
            " unchanged_since_us = ? WHERE id = ?",
            (
                maybe_text(result.format),
                result.format_revision,
                maybe_text(result.identity_key),
                read_us,
                since_us,
                file_id,
            ),
        )
    if decision is not None and rewrites(decision, result):
        db.execute("UPDATE files SET rewritten_us = ? WHERE id = ?", (read_us, file_id))


def rewrites(decision: BaselineResult, result: FileResult) -> bool:
    """Whether a file was read whole, and other bytes were there than the proven ones before."""
    compared = decision.replaced or decision.compared_bytes > 0
    return (
        decision.action is BaselineAction.ADOPT and compared and decision.taken_at == result.read_at
    )


def record_joint(
    db: sqlite3.Connection,
    image_id: int,
    rows: tuple[Evidence, ...],
    found_us: int,
) -> None:
    """Replace what all pieces of an image showed together; filed with the piece given."""
    file_id, image_index, revision = db.execute(
        "SELECT i.file_id, i.image_index, f.format_revision FROM images i"
        " JOIN files f ON f.id = i.file_id WHERE i.id = ?",
        (image_id,),
    ).fetchone()
    db.execute("DELETE FROM evidence WHERE image_id = ? AND stage = ?", (image_id, evidence.JOINT))
    evidence.insert(db, file_id, (image_id, image_index), evidence.JOINT, rows, revision, found_us)
