"""Evidence in columns, and the names of findings."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import xxhash

from formats.core.model import Bearing, Evidence, Outcome
from scanner.ledger.packing import (
    from_text,
    from_us,
    maybe_from_text,
    maybe_text,
    to_json,
    to_text,
    to_whole,
)
from scanner.ledger.rows import EvidenceRow

FILE, IMAGE, JOINT = "file", "image", "joint"
"""Stages: about the file itself, about one image, and what all pieces of an image showed."""

FINDING_ID_DIGITS = 10
OUTCOMES = {outcome.value: outcome for outcome in Outcome}
BEARINGS = {bearing.value: bearing for bearing in Bearing}


def finding_id(
    place: tuple[str, str, str], image_index: int | None, evidence: Evidence
) -> str | None:
    """Return the name of bad evidence, None for good.

    ``place`` is file system, root and path as written in the ledger. The name says where and by
    which check, not what was found, so it is the same in every run that meets the same trouble.
    """
    if not evidence.bad:
        return None
    named = (
        *place,
        to_text(evidence.member),
        image_index,
        to_text(evidence.check),
        to_whole(evidence.offset),
    )
    return xxhash.xxh3_64_hexdigest(msgspec.json.encode(named))[:FINDING_ID_DIGITS]


def place_of(db: sqlite3.Connection, file_id: int) -> tuple[str, str, str]:
    """Return a file's file system, root and path, as written in the ledger."""
    filesystem, root, path = db.execute(
        "SELECT r.filesystem, r.root, f.path FROM files f"
        " JOIN repositories r ON r.id = f.repository_id WHERE f.id = ?",
        (file_id,),
    ).fetchone()
    return filesystem, root, path


def insert(
    db: sqlite3.Connection,
    file_id: int,
    image: tuple[int, int] | None,
    stage: str,
    rows: Iterable[Evidence],
    revision: int | None,
    found_us: int,
) -> None:
    """Write evidence; ``image`` is (image_id, image_index), None for evidence about the file."""
    place = place_of(db, file_id)
    image_id, image_index = image if image is not None else (None, None)
    db.executemany(
        "INSERT INTO evidence (file_id, image_id, stage, check_id, outcome, offset, length,"
        " expected, actual, bearing, member, count, vouched_bytes, revision, found_us, finding_id)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                file_id,
                image_id,
                stage,
                to_text(row.check),
                row.outcome,
                to_whole(row.offset),
                to_whole(row.length),
                maybe_text(row.expected),
                maybe_text(row.actual),
                row.bearing,
                to_text(row.member),
                to_whole(row.count),
                to_whole(row.vouched_bytes),
                revision,
                found_us,
                finding_id(place, image_index, row),
            )
            for row in rows
        ],
    )


def read(db: sqlite3.Connection, repository_ids: Sequence[int]) -> tuple[EvidenceRow, ...]:
    """Return all evidence of some repositories, in the order it was recorded."""
    rows = db.execute(
        "SELECT e.file_id, e.image_id, e.check_id, e.outcome, e.offset, e.length, e.expected,"
        " e.actual, e.bearing, e.member, e.count, e.vouched_bytes, e.revision, e.found_us,"
        " e.finding_id FROM evidence e JOIN files f ON f.id = e.file_id"
        " WHERE f.repository_id IN (SELECT value FROM json_each(?)) ORDER BY e.id",
        (to_json(repository_ids),),
    )
    return tuple(map(evidence_row, rows))


def evidence_row(row: Sequence[Any]) -> EvidenceRow:
    """Return one row of the query above."""
    # Any: the columns' types are fixed by the STRICT table; sqlite3 itself is untyped.
    (
        file_id,
        image_id,
        check,
        outcome,
        offset,
        length,
        expected,
        actual,
        bearing,
        member,
        count,
        vouched_bytes,
        revision,
        found_us,
        finding,
    ) = row
    return EvidenceRow(
        file_id,
        image_id,
        Evidence(
            from_text(check),
            OUTCOMES[outcome],
            offset,
            length,
            maybe_from_text(expected),
            maybe_from_text(actual),
            BEARINGS[bearing],
            from_text(member),
            count,
            vouched_bytes,
        ),
        revision,
        from_us(found_us),
        finding,
    )


def refresh_finding_ids(db: sqlite3.Connection, file_id: int) -> None:
    """Name a file's findings anew after it moved; what was acknowledged stays so."""
    place = place_of(db, file_id)
    rows = db.execute(
        "SELECT e.id, e.finding_id, i.image_index, e.check_id, e.offset, e.member FROM evidence e"
        " LEFT JOIN images i ON i.id = e.image_id"
        " WHERE e.file_id = ? AND e.finding_id IS NOT NULL",
        (file_id,),
    ).fetchall()
    renamed = []
    for number, before, image_index, check, offset, member in rows:
        again = Evidence(
            from_text(check), Outcome.MISMATCHED, offset=offset, member=from_text(member)
        )
        renamed.append((finding_id(place, image_index, again), number, before))
    db.executemany(
        "UPDATE evidence SET finding_id = ? WHERE id = ?", [entry[:2] for entry in renamed]
    )
    db.executemany(
        "UPDATE OR REPLACE acknowledgements SET finding_id = ? WHERE finding_id = ?",
        {(after, before) for after, _, before in renamed},
    )
