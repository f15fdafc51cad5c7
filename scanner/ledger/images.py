"""Images in columns."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from formats.core.model import Identity, Kind, ParentRef, PieceOf, Position
from scanner.ledger.packing import (
    from_json,
    from_zoned,
    maybe_from_text,
    maybe_text,
    to_json,
    to_whole,
    to_zoned,
)
from scanner.ledger.rows import ImageRow
from scanner.results import ImageResult, PayloadSeen

T = TypeVar("T")

IDENTITIES = msgspec.json.Decoder(tuple[Identity, ...])
PARENTS = msgspec.json.Decoder(tuple[ParentRef, ...])
PIECE = msgspec.json.Decoder(PieceOf)
MEMBERS = msgspec.json.Decoder(tuple[str, ...])
FACTS = msgspec.json.Decoder(dict[str, object])
KINDS: Mapping[str, Kind] = {kind.value: kind for kind in Kind}

COLUMNS = (
    "kind",
    "title",
    "identities",
    "lineage",
    "parents",
    "position_first",
    "position_last",
    "piece",
    "source",
    "created_us",
    "created_zone",
    "source_bytes",
    "used_bytes",
    "payload_bytes",
    "needed_bytes",
    "seen_bytes",
    "seen_nonzero_bytes",
    "seen_nonzero",
    "members",
    "in_progress",
    "complete",
    "facts",
)
UPSERT = f"""
    INSERT INTO images (file_id, image_index, {", ".join(COLUMNS)})
    VALUES (?, ?, {", ".join("?" * len(COLUMNS))})
    ON CONFLICT (file_id, image_index) DO UPDATE
    SET {", ".join(f"{name} = excluded.{name}" for name in COLUMNS)} RETURNING id
"""  # noqa: S608 - names from above
SELECT = f"""
    SELECT i.id, i.file_id, i.image_index, {", ".join(f"i.{name}" for name in COLUMNS)}
    FROM images i JOIN files f ON f.id = i.file_id
    WHERE f.repository_id IN (SELECT value FROM json_each(?))
    ORDER BY f.repository_id, f.path, i.image_index
"""  # noqa: S608 - names from above


def replace(db: sqlite3.Connection, file_id: int, images: Sequence[ImageResult]) -> tuple[int, ...]:
    """Make these the images of a file and return their numbers.

    An image keeps its number from reading to reading; what was found and thought of it goes.
    """
    db.execute("DELETE FROM evidence WHERE file_id = ?", (file_id,))
    db.execute(
        "DELETE FROM verdicts WHERE image_id IN (SELECT id FROM images WHERE file_id = ?)",
        (file_id,),
    )
    db.execute("DELETE FROM inferences WHERE file_id = ?", (file_id,))
    db.execute("DELETE FROM images WHERE file_id = ? AND image_index >= ?", (file_id, len(images)))
    return tuple(
        int(db.execute(UPSERT, (file_id, index, *columns(image))).fetchone()[0])
        for index, image in enumerate(images)
    )


def columns(image: ImageResult) -> tuple[object, ...]:
    """Return the values of `COLUMNS`."""
    facts, seen = image.inspection, image.payload
    position = facts.position
    return (
        facts.kind,
        maybe_text(facts.title),
        to_json(facts.identities),
        maybe_text(facts.lineage),
        to_json(facts.parents),
        None if position is None else str(position.first),
        None if position is None else str(position.last),
        None if facts.piece is None else to_json(facts.piece),
        maybe_text(facts.source),
        *to_zoned(facts.created_at),
        to_whole(facts.source_bytes),
        to_whole(facts.used_bytes),
        to_whole(facts.payload_bytes),
        to_whole(facts.needed_bytes),
        seen.bytes,
        seen.nonzero_bytes,
        int(seen.nonzero),
        to_json(facts.members),
        int(facts.in_progress),
        int(facts.complete),
        to_json(facts.facts),
    )


def read(db: sqlite3.Connection, repository_ids: Sequence[int]) -> tuple[ImageRow, ...]:
    """Return all images of some repositories, by path and place in the file."""
    rows = db.execute(
        SELECT,
        (to_json(repository_ids),),
    )
    return tuple(map(image_row, rows))


def listed(text: str, decoder: msgspec.json.Decoder[tuple[T, ...]]) -> tuple[T, ...]:
    """Return the values of a list, which is empty most of the time."""
    return () if text == "[]" else from_json(text, decoder)


def image_row(row: Sequence[Any]) -> ImageRow:
    """Return one row of `SELECT`."""
    # Any: the columns' types are fixed by the STRICT table; sqlite3 itself is untyped.
    number, file_id, image_index, *values = row
    found: Mapping[str, Any] = dict(zip(COLUMNS, values, strict=True))
    first, last = found["position_first"], found["position_last"]
    facts = from_json(found["facts"], FACTS)
    return ImageRow(
        id=number,
        file_id=file_id,
        image_index=image_index,
        kind=None if found["kind"] is None else KINDS[found["kind"]],
        title=maybe_from_text(found["title"]),
        identities=listed(found["identities"], IDENTITIES),
        lineage=maybe_from_text(found["lineage"]),
        parents=listed(found["parents"], PARENTS),
        position=None if first is None else Position(int(first), int(last)),
        piece=None if found["piece"] is None else from_json(found["piece"], PIECE),
        source=maybe_from_text(found["source"]),
        created_at=from_zoned(found["created_us"], found["created_zone"]),
        source_bytes=found["source_bytes"],
        used_bytes=found["used_bytes"],
        payload_bytes=found["payload_bytes"],
        needed_bytes=found["needed_bytes"],
        payload_seen=PayloadSeen(
            found["seen_bytes"], found["seen_nonzero_bytes"], bool(found["seen_nonzero"])
        ),
        members=listed(found["members"], MEMBERS),
        in_progress=bool(found["in_progress"]),
        complete=bool(found["complete"]),
        facts=facts,
    )
