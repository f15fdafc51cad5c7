"""Write a file whose every byte is in one result: most files are small, and many are new.

The ledger need not be told that such a file was begun, what its unit gave and how it ended, one
after the other. Where nothing is on record of it that would have to go, four statements do.
"""

import sqlite3
from collections.abc import Sequence

from scanner.ledger import baselines, evidence, files, finish, units
from scanner.ledger.packing import (
    maybe_text,
    maybe_us,
    pack,
    stamp_columns,
    to_text,
    to_us,
)
from scanner.results import BaselineAction, FileResult, FileState, UnitResult

NOTHING_ON_RECORD = """
    SELECT NOT (
        EXISTS (SELECT 1 FROM readings WHERE file_id = f.id)
        OR EXISTS (SELECT 1 FROM tallies WHERE file_id = f.id)
        OR EXISTS (SELECT 1 FROM gaps WHERE file_id = f.id)
        OR EXISTS (SELECT 1 FROM baselines WHERE file_id = f.id)
        OR EXISTS (SELECT 1 FROM images WHERE file_id = f.id)
        OR EXISTS (SELECT 1 FROM evidence WHERE file_id = f.id)
        OR EXISTS (SELECT 1 FROM inferences WHERE file_id = f.id)
    ) FROM files f WHERE f.repository_id = ? AND f.path = ?
"""
COLUMNS = (
    "size",
    "mtime_ns",
    "ctime_ns",
    "inode",
    "allocated_bytes",
    "state",
    "format",
    "format_revision",
    "identity_key",
    "read_us",
    "unchanged_since_us",
    "bytes_read",
    "seen_us",
    "seen_run_id",
)
WRITE = f"""
    INSERT INTO files (repository_id, path, first_seen_us, {", ".join(COLUMNS)})
    VALUES (?, ?, ?, {", ".join("?" * len(COLUMNS))})
    ON CONFLICT (repository_id, path) DO UPDATE
    SET {", ".join(f"{name} = excluded.{name}" for name in COLUMNS)},
        traceback = NULL, gone_us = NULL
    RETURNING id
"""  # noqa: S608 - names from above


def write(
    db: sqlite3.Connection,
    repository_id: int,
    run_id: int,
    result: FileResult,
    read: Sequence[UnitResult],
    now_us: int,
) -> None:
    """Write a finished file and all its units; what is then on record is as if step by step."""
    if is_plain(result, read) and is_blank(db, repository_id, result.path):
        write_plain(db, repository_id, run_id, result, read, now_us)
        return
    file_id = files.enter(db, repository_id, run_id, result.path, result.stamps, now_us)
    files.start(db, file_id, result.stamps, result.format, result.format_revision)
    for unit in read:
        units.record(db, file_id, unit)
    finish.finish(db, file_id, result, now_us)


def is_plain(result: FileResult, read: Sequence[UnitResult]) -> bool:
    """Whether a result says nothing of images, and was compared with nothing."""
    decision = result.baseline
    compared = decision is not None and (decision.replaced or decision.compared_bytes > 0)
    return (
        result.state is FileState.READ
        and not compared
        and not result.images
        and result.traceback is None
        and not any(unit.tallies for unit in read)
    )


def is_blank(db: sqlite3.Connection, repository_id: int, path: str) -> bool:
    """Whether the ledger knows a file by its survey only, or not at all."""
    row = db.execute(NOTHING_ON_RECORD, (repository_id, to_text(path))).fetchone()
    return row is None or bool(row[0])


def write_plain(
    db: sqlite3.Connection,
    repository_id: int,
    run_id: int,
    result: FileResult,
    read: Sequence[UnitResult],
    now_us: int,
) -> None:
    """Write a plain result of a file that nothing is known of."""
    stamps = stamp_columns(result.stamps)
    identity_key, decision = maybe_text(result.identity_key), result.baseline
    adopted = decision is not None and decision.action is BaselineAction.ADOPT
    since_us = to_us(decision.taken_at) if decision is not None and adopted else None
    read_us = maybe_us(result.read_at)
    (file_id,) = db.execute(
        WRITE,
        (
            repository_id,
            to_text(result.path),
            now_us,
            *stamps,
            result.state,
            maybe_text(result.format),
            result.format_revision,
            identity_key,
            read_us,
            since_us,
            result.bytes_read,
            now_us,
            run_id,
        ),
    ).fetchone()
    found_us = now_us if read_us is None else read_us
    rows = result.evidence
    evidence.insert(db, file_id, None, evidence.FILE, rows, result.format_revision, found_us)
    if since_us is not None:
        db.execute(
            "INSERT INTO baselines VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (file_id, identity_key, since_us, *stamps),
        )
        for unit in read:
            blob = pack(baselines.shortest(unit.digests, unit.length))
            db.execute(
                "INSERT INTO digests VALUES (?, ?, ?, ?, ?, ?)",
                (file_id, unit.offset, unit.length, to_us(unit.read_at), *blob),
            )
