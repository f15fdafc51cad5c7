"""Units of a reading that is not finished, and tallies that outlive it."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from formats.core.model import Columns, Evidence, Tally
from scanner.config import DIGEST_BLOCK_BYTES
from scanner.ledger.packing import (
    from_json,
    from_text,
    from_us,
    pack,
    spelled_out,
    table_bytes,
    table_of,
    to_json,
    to_text,
    to_us,
    unpack,
)
from scanner.results import PayloadSeen, UnitResult

PER_IMAGE = msgspec.json.Decoder(dict[int, tuple[Evidence, ...]])
STORAGE = msgspec.json.Decoder(tuple[Evidence, ...])
PAYLOAD = msgspec.json.Decoder(dict[int, PayloadSeen])
RANGES = msgspec.json.Decoder(tuple[tuple[int, int], ...])


def record(db: sqlite3.Connection, file_id: int, unit: UnitResult) -> None:
    """Write one unit; a unit that was recorded before at this offset is replaced."""
    assert unit.offset % DIGEST_BLOCK_BYTES == 0
    assert spelled_out(unit.digests, unit.length)
    db.execute(
        "INSERT OR REPLACE INTO units VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            file_id,
            unit.offset,
            unit.length,
            to_us(unit.read_at),
            unit.bytes_read,
            *pack(unit.digests),
            to_json(unit.evidence),
            to_json(unit.payload),
            to_json(unit.storage),
            to_json(unit.unreadable),
        ),
    )
    db.execute("DELETE FROM tallies WHERE file_id = ? AND unit_offset = ?", (file_id, unit.offset))
    if not unit.tallies:
        return
    db.executemany(
        "INSERT INTO tallies VALUES (?, ?, ?, ?, ?, ?)",
        [
            (file_id, unit.offset, image_index, to_text(name), *pack(table_bytes(columns)))
            for image_index, tally in unit.tallies.items()
            for name, columns in tally.items()
        ],
    )


def recorded(db: sqlite3.Connection, file_id: int) -> tuple[UnitResult, ...]:
    """Return the units of a file's unfinished reading, by offset, exactly as they were recorded."""
    tallies = unit_tallies(db, file_id)
    rows = db.execute(
        "SELECT offset, length, read_us, bytes_read, packing, digests, evidence, payload, storage,"
        " unreadable FROM units WHERE file_id = ? ORDER BY offset",
        (file_id,),
    )
    return tuple(unit_result(row, tallies.get(row[0], {})) for row in rows)


def unit_result(row: Sequence[Any], tallies: Mapping[int, Tally]) -> UnitResult:
    """Return one row of the query above."""
    # Any: the columns' types are fixed by the STRICT table; sqlite3 itself is untyped.
    offset, length, read_us, bytes_read, packing, digests, *texts = row
    evidence_text, payload_text, storage, unreadable = texts
    evidence = from_json(evidence_text, PER_IMAGE)
    payload = from_json(payload_text, PAYLOAD)
    return UnitResult(
        offset=offset,
        length=length,
        digests=unpack(packing, digests),
        read_at=from_us(read_us),
        bytes_read=bytes_read,
        evidence=evidence,
        tallies=tallies,
        payload=payload,
        storage=from_json(storage, STORAGE),
        unreadable=from_json(unreadable, RANGES),
    )


def unit_tallies(
    db: sqlite3.Connection, file_id: int
) -> Mapping[int, dict[int, dict[str, Columns]]]:
    """Return a file's tallies by unit offset, image index and name."""
    found: dict[int, dict[int, dict[str, Columns]]] = {}
    rows = db.execute(
        "SELECT unit_offset, image_index, name, packing, content FROM tallies WHERE file_id = ?"
        " ORDER BY unit_offset, image_index, rowid",
        (file_id,),
    )
    for offset, image_index, name, packing, content in rows:
        table = table_of(unpack(packing, content))
        found.setdefault(offset, {}).setdefault(image_index, {})[from_text(name)] = table
    return found


def finish(db: sqlite3.Connection, file_id: int, *, keep_tallies: bool) -> None:
    """Drop the units of a reading that is done; a piece of a set keeps what it counted.

    The set is concluded when its last piece was read, perhaps nights later.
    """
    if keep_tallies:
        rows = db.execute("SELECT unreadable FROM units WHERE file_id = ?", (file_id,)).fetchall()
        db.executemany(
            "INSERT OR REPLACE INTO gaps VALUES (?, ?, ?)",
            [(file_id, *gap) for (text,) in rows for gap in from_json(text, RANGES)],
        )
    else:
        db.execute("DELETE FROM tallies WHERE file_id = ?", (file_id,))
    db.execute("DELETE FROM readings WHERE file_id = ?", (file_id,))


def image_tally(db: sqlite3.Connection, image_id: int) -> Tally:
    """Return what was counted in one piece of an image, all units joined, name by name."""
    rows = db.execute(
        "SELECT t.name, t.packing, t.content FROM images i JOIN tallies t"
        " ON t.file_id = i.file_id AND t.image_index = i.image_index"
        " WHERE i.id = ? ORDER BY t.unit_offset, t.rowid",
        (image_id,),
    )
    tables: dict[str, list[Columns]] = {}
    for name, packing, content in rows:
        tables.setdefault(from_text(name), []).append(table_of(unpack(packing, content)))
    return {name: np.concatenate(parts) for name, parts in tables.items()}


def image_gaps(db: sqlite3.Connection, image_id: int) -> tuple[tuple[int, int], ...]:
    """Return the (offset, length) ranges the storage refused in the file of one piece."""
    rows = db.execute(
        "SELECT g.offset, g.length FROM images i JOIN gaps g ON g.file_id = i.file_id"
        " WHERE i.id = ? ORDER BY g.offset",
        (image_id,),
    )
    return tuple((offset, length) for offset, length in rows)
