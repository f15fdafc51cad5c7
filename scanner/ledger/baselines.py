"""Baselines: our digests of files whose structure was proven. The engine decides, this obeys.

While a file is read its digests are with its units. When it is done they become its baseline, or
are dropped with the units. 20 TB take some 320 MB here.
"""

import sqlite3
from datetime import datetime

from scanner.config import DIGEST_BLOCK_BYTES, DIGEST_BYTES
from scanner.ledger.files import find
from scanner.ledger.packing import (
    from_stamp_columns,
    from_text,
    from_us,
    maybe_from_text,
    maybe_text,
    pack,
    spelled_out,
    stamp_columns,
    to_us,
    unpack,
    zero_digests,
)
from scanner.ledger.rows import Baseline
from scanner.results import BaselineAction, FileResult

UNREAD = bytes(DIGEST_BYTES)


def settle(db: sqlite3.Connection, file_id: int, result: FileResult) -> None:
    """Do with the baseline what the engine decided; the reading's units must still be there.

    A baseline that stands is never dropped here: where nothing new is proven, the old one is all
    the more worth having.
    """
    decision = result.baseline
    if decision is None:
        return
    match decision.action:
        case BaselineAction.KEEP | BaselineAction.NONE:
            return
        case BaselineAction.ADOPT:
            before = b""
        case BaselineAction.RENEW:
            before = joined(db, file_id)
    write(db, file_id, result, decision.taken_at, before)


def write(
    db: sqlite3.Connection, file_id: int, result: FileResult, taken_at: datetime, before: bytes
) -> None:
    """Make the units' digests the baseline; blocks unread this time stay as they are in ``before``.

    Their bytes were equal when they could still be read, and may be compared again one day.
    """
    units = db.execute(
        "SELECT offset, length, read_us, packing, digests FROM units WHERE file_id = ?",
        (file_id,),
    ).fetchall()
    db.execute("DELETE FROM baselines WHERE file_id = ?", (file_id,))
    stamps = stamp_columns(result.stamps)
    db.execute(
        "INSERT INTO baselines VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (file_id, maybe_text(result.identity_key), to_us(taken_at), *stamps),
    )
    db.executemany(
        "INSERT INTO digests VALUES (?, ?, ?, ?, ?, ?)",
        [
            (
                file_id,
                offset,
                length,
                read_us,
                *pack(shortest(filled(unpack(packing, blob), offset, before), length)),
            )
            for offset, length, read_us, packing, blob in units
        ],
    )


def filled(digests: bytes, offset: int, before: bytes) -> bytes:
    """Return a unit's digests with its unread blocks taken from an earlier, equal reading."""
    if not before or UNREAD not in digests:
        return digests
    first = offset // DIGEST_BLOCK_BYTES
    blocks = bytearray(digests)
    for start in range(0, len(blocks), DIGEST_BYTES):
        place = first * DIGEST_BYTES + start
        if blocks[start : start + DIGEST_BYTES] == UNREAD and place < len(before):
            blocks[start : start + DIGEST_BYTES] = before[place : place + DIGEST_BYTES]
    return bytes(blocks)


def shortest(digests: bytes, length: int) -> bytes:
    """Return nothing where every block is zeros."""
    return b"" if digests == zero_digests(length) else digests


def joined(db: sqlite3.Connection, file_id: int) -> bytes:
    """Return a baseline's digests, one per block; a block no unit covers is unread."""
    rows = db.execute(
        "SELECT offset, length, packing, digests FROM digests WHERE file_id = ? ORDER BY offset",
        (file_id,),
    )
    blocks = bytearray()
    for offset, length, packing, blob in rows:
        first = offset // DIGEST_BLOCK_BYTES
        blocks.extend(UNREAD * (first - len(blocks) // DIGEST_BYTES))
        blocks.extend(spelled_out(unpack(packing, blob), length))
    return bytes(blocks)


def read(
    db: sqlite3.Connection, repository_id: int, path: str, identity_key: str | None
) -> Baseline | None:
    """Return what to compare a file with.

    First choice is a baseline of the same images: at this path, else of a file this run's survey
    has not found any more, which was moved here. Without one it is whatever lay at this path.
    """
    at_path = at(db, find(db, repository_id, path))
    if identity_key is None or (at_path is not None and at_path.identity_key == identity_key):
        return at_path
    return at(db, moved_from(db, repository_id, identity_key)) or at_path


def moved_from(db: sqlite3.Connection, repository_id: int, identity_key: str) -> int | None:
    """Return the file last seen of those with these images that the present run has not found."""
    row = db.execute(
        # CROSS JOIN: the few baselines of these images first, not every file of the repository.
        "SELECT f.id FROM baselines b CROSS JOIN files f ON f.id = b.file_id"
        " WHERE f.repository_id = ? AND b.identity_key = ? AND (f.state = 'gone' OR f.seen_run_id"
        " < (SELECT max(id) FROM runs WHERE repository_id = f.repository_id))"
        " ORDER BY f.seen_us DESC, f.id DESC LIMIT 1",
        (repository_id, maybe_text(identity_key)),
    ).fetchone()
    return None if row is None else int(row[0])


def at(db: sqlite3.Connection, file_id: int | None) -> Baseline | None:
    """Return the baseline of a file by its number."""
    row = db.execute(
        "SELECT f.path, b.identity_key, b.taken_us, b.size, b.mtime_ns, b.ctime_ns, b.inode,"
        " b.allocated_bytes FROM baselines b JOIN files f ON f.id = b.file_id WHERE b.file_id = ?",
        (file_id,),
    ).fetchone()
    if row is None or file_id is None:
        return None
    path, identity_key, taken_us, *columns = row
    stamps = from_stamp_columns(columns)
    return Baseline(
        identity_key=maybe_from_text(identity_key),
        size=stamps.size,
        taken_at=from_us(taken_us),
        digests=joined(db, file_id),
        path=from_text(path),
        stamps=stamps,
    )
