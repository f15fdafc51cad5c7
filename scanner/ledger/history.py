"""What images measured, night by night, and the space there was; kept when the files are gone."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from scanner.ledger.images import KINDS
from scanner.ledger.packing import (
    from_text,
    from_us,
    from_zoned,
    maybe_from_text,
    to_json,
    to_text,
    to_us,
)
from scanner.ledger.rows import HistoryRow, SpaceRow

KEPT_PER_IMAGE_MAX = 100
"""Rows kept of one place: an image that is rewritten every night tells of three months."""

MEASURED = (
    "format",
    "kind",
    "source",
    "piece_number",
    "piece_count",
    "created_us",
    "created_zone",
    "mtime_ns",
    "source_bytes",
    "used_bytes",
    "payload_bytes",
    "needed_bytes",
    "nonzero_bytes",
    "file_bytes",
    "complete",
)
# The images a file has now, unless the newest row of that place says the same already.
REMEMBER = f"""
    INSERT INTO history (repository_id, path, image_index, seen_us, {", ".join(MEASURED)})
    SELECT f.repository_id, f.path, i.image_index, :seen_us, f.format, i.kind, i.source,
        json_extract(i.piece, '$.number'), json_extract(i.piece, '$.count'), i.created_us,
        i.created_zone, f.mtime_ns, i.source_bytes, i.used_bytes, i.payload_bytes,
        i.needed_bytes, i.seen_nonzero_bytes, f.size,
        i.complete AND f.cramped_mtime_ns IS NOT f.mtime_ns
    FROM images i JOIN files f ON f.id = i.file_id
        LEFT JOIN history h ON h.id = (
            SELECT max(id) FROM history
            WHERE repository_id = f.repository_id AND path = f.path
                AND image_index = i.image_index)
    WHERE i.file_id = :file_id AND (
        h.id IS NULL OR h.mtime_ns <> f.mtime_ns OR h.file_bytes <> f.size
        OR h.created_us IS NOT i.created_us OR h.payload_bytes IS NOT i.payload_bytes
        OR h.used_bytes IS NOT i.used_bytes
        OR h.complete <> (i.complete AND f.cramped_mtime_ns IS NOT f.mtime_ns)
        OR h.nonzero_bytes IS NOT i.seen_nonzero_bytes)
"""  # noqa: S608 - names from above
FORGET = """
    DELETE FROM history WHERE id IN (
        SELECT id FROM (
            SELECT h.id, row_number() OVER (
                PARTITION BY h.repository_id, h.path, h.image_index ORDER BY h.id DESC) AS place
            FROM history h JOIN files f ON f.repository_id = h.repository_id AND f.path = h.path
            WHERE f.id = ?)
        WHERE place > ?)
"""
SELECT = f"""
    SELECT repository_id, path, image_index, seen_us, {", ".join(MEASURED)} FROM history
    WHERE repository_id IN (SELECT value FROM json_each(?)) ORDER BY id
"""  # noqa: S608 - names from above


def remember(db: sqlite3.Connection, file_id: int, seen_us: int) -> None:
    """Write what a file's images measured, if that is news."""
    written = db.execute(REMEMBER, {"file_id": file_id, "seen_us": seen_us}).rowcount
    if written > 0:
        db.execute(FORGET, (file_id, KEPT_PER_IMAGE_MAX))


def move(db: sqlite3.Connection, repository_id: int, moves: Mapping[str, str]) -> None:
    """Give what was measured the files' new paths, all at once: names may be exchanged."""
    place = "UPDATE history SET path = ? WHERE repository_id = ? AND path = ?"
    # No path of a file ends in a slash, so these names are free.
    db.executemany(place, ((f"{to_text(old)}/", repository_id, to_text(old)) for old in moves))
    db.executemany(
        place,
        ((to_text(new), repository_id, f"{to_text(old)}/") for old, new in moves.items()),
    )


def read(db: sqlite3.Connection, repository_ids: Sequence[int]) -> tuple[HistoryRow, ...]:
    """Return everything measured in some repositories, in the order it was seen."""
    rows = db.execute(SELECT, (to_json(repository_ids),))
    return tuple(map(history_row, rows))


def history_row(row: Sequence[Any]) -> HistoryRow:
    """Return one row of `SELECT`."""
    # Any: the columns' types are fixed by the STRICT table; sqlite3 itself is untyped.
    repository_id, path, image_index, seen_us, *values = row
    found: Mapping[str, Any] = dict(zip(MEASURED, values, strict=True))
    return HistoryRow(
        repository_id=repository_id,
        path=from_text(path),
        image_index=image_index,
        format=maybe_from_text(found["format"]),
        kind=None if found["kind"] is None else KINDS[found["kind"]],
        source=maybe_from_text(found["source"]),
        piece_number=found["piece_number"],
        piece_count=found["piece_count"],
        created_at=from_zoned(found["created_us"], found["created_zone"]),
        mtime_ns=found["mtime_ns"],
        source_bytes=found["source_bytes"],
        used_bytes=found["used_bytes"],
        payload_bytes=found["payload_bytes"],
        needed_bytes=found["needed_bytes"],
        nonzero_bytes=found["nonzero_bytes"],
        file_bytes=found["file_bytes"],
        complete=bool(found["complete"]),
        seen_at=from_us(seen_us),
    )


def write_space(db: sqlite3.Connection, space: SpaceRow) -> None:
    """Replace what is known of a repository's space."""
    db.execute(
        "INSERT OR REPLACE INTO spaces VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            space.repository_id,
            space.total_bytes,
            space.available_bytes,
            space.quota_bytes,
            space.quota_used_bytes,
            int(space.read_only),
            to_us(space.measured_at),
        ),
    )


def read_spaces(db: sqlite3.Connection, repository_ids: Sequence[int]) -> tuple[SpaceRow, ...]:
    """Return the space of some repositories, as far as it was measured."""
    rows = db.execute(
        "SELECT repository_id, total_bytes, available_bytes, quota_bytes, quota_used_bytes,"
        " read_only, measured_us FROM spaces"
        " WHERE repository_id IN (SELECT value FROM json_each(?)) ORDER BY repository_id",
        (to_json(repository_ids),),
    )
    return tuple(
        SpaceRow(number, total, available, quota, used, bool(read_only), from_us(measured_us))
        for number, total, available, quota, used, read_only, measured_us in rows
    )
