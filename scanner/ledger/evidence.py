"""Evidence in columns, and the names of findings."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from formats.core.model import Bearing, Evidence, Outcome
from scanner.findings import finding_id
from scanner.ledger.packing import (
    Times,
    from_text,
    maybe_from_text,
    maybe_text,
    to_json,
    to_text,
    to_whole,
)
from scanner.ledger.rows import EvidenceRow

FILE, IMAGE, JOINT = "file", "image", "joint"
"""Stages: about the file itself, about one image, and what all pieces of an image showed."""

OUTCOMES: Mapping[str, Outcome] = {outcome.value: outcome for outcome in Outcome}
BEARINGS: Mapping[str, Bearing] = {bearing.value: bearing for bearing in Bearing}


def name_finding(place: tuple[str, str], image_index: int | None, evidence: Evidence) -> str | None:
    """Return the name of bad evidence, None for good; ``place`` is repository and path."""
    if not evidence.bad:
        return None
    member, check = to_text(evidence.member), to_text(evidence.check)
    return finding_id(*place, member, image_index, check, to_whole(evidence.offset))


def place_of(db: sqlite3.Connection, file_id: int) -> tuple[str, str]:
    """Return the name of a file's repository, and its path."""
    filesystem, root, path = db.execute(
        "SELECT r.filesystem, r.root, f.path FROM files f"
        " JOIN repositories r ON r.id = f.repository_id WHERE f.id = ?",
        (file_id,),
    ).fetchone()
    return f"{from_text(filesystem)}\0{from_text(root)}", from_text(path)


def insert(
    db: sqlite3.Connection,
    file_id: int,
    image: tuple[int, int] | None,
    stage: str,
    rows: Sequence[Evidence],
    revision: int | None,
    found_us: int,
) -> None:
    """Write evidence; ``image`` is (image_id, image_index), None for evidence about the file."""
    if not rows:
        return
    place = place_of(db, file_id) if any(row.bad for row in rows) else ("", "")
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
                name_finding(place, image_index, row),
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
    times = Times()
    return tuple(evidence_row(row, times) for row in rows)


def evidence_row(row: Sequence[Any], times: Times) -> EvidenceRow:
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
        times.at(found_us),
        finding,
    )


def refresh_finding_ids(db: sqlite3.Connection, file_id: int) -> None:
    """Name a file's findings anew after it moved; what was acknowledged stays so."""
    place = place_of(db, file_id)
    rows = db.execute(
        "SELECT e.finding_id, i.image_index, e.check_id, e.offset, e.member FROM evidence e"
        " LEFT JOIN images i ON i.id = e.image_id"
        " WHERE e.file_id = ? AND e.finding_id IS NOT NULL UNION"
        " SELECT n.finding_id, i.image_index, n.check_id, n.offset, n.member FROM inferences n"
        " LEFT JOIN images i ON i.id = n.image_id WHERE n.file_id = ?",
        (file_id, file_id),
    ).fetchall()
    names = []
    for before, image_index, check, offset, member in rows:
        moved = Evidence(
            from_text(check), Outcome.MISMATCHED, offset=offset, member=from_text(member)
        )
        names.append((name_finding(place, image_index, moved), before, file_id))
    db.executemany("UPDATE evidence SET finding_id = ? WHERE finding_id = ? AND file_id = ?", names)
    db.executemany(
        "UPDATE inferences SET finding_id = ? WHERE finding_id = ? AND file_id = ?", names
    )
    db.executemany(
        "UPDATE OR REPLACE acknowledgements SET finding_id = ? WHERE finding_id = ?",
        [(after, before) for after, before, _ in names],
    )
