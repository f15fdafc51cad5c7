"""What is thought of the evidence: verdicts, chains, and what somebody accepted."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from scanner.errors import NotThereError
from scanner.judge.model import Chain, JudgedImage, Judgement
from scanner.ledger.packing import (
    from_text,
    from_us,
    maybe_text,
    maybe_us,
    to_text,
    to_us,
    to_whole,
)
from scanner.ledger.rows import AcknowledgementRow


def save(
    db: sqlite3.Connection, repository_id: int, judgement: Judgement, judged_at: datetime
) -> None:
    """Replace all verdicts of a repository; images of other repositories are passed over."""
    judged_us = to_us(judged_at)
    mine = [image for image in judgement.images if image.files[0].repository_id == repository_id]
    clear(db, repository_id)
    save_inferences(db, mine)
    db.executemany(
        "INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [row for image in mine for row in verdict_rows(image, judged_us)],
    )
    db.executemany(
        "INSERT INTO parents VALUES (?, ?, ?, ?, ?)",
        [
            (image.key, number, to_text(link.wanted), link.image_key, to_text(link.by))
            for image in mine
            for number, link in enumerate(image.parents)
        ],
    )
    db.executemany(
        "INSERT INTO other_verdicts VALUES (?, ?, ?, ?)",
        [
            (other.file.id, other.ruling.verdict.word, to_text(other.ruling.rule), judged_us)
            for other in judgement.others
            if other.ruling is not None and other.file.repository_id == repository_id
        ],
    )
    keys = {image.key for image in mine}
    for chain in judgement.chains:
        if chain.image_keys and chain.image_keys[0] in keys:
            save_chain(db, repository_id, chain, judged_us)


def save_inferences(db: sqlite3.Connection, judged: Sequence[JudgedImage]) -> None:
    """Write findings of the judge's own, so that they can be shown and acknowledged.

    They follow from rows (a parent that is not there) and are told from evidence by their names.
    """
    known = {
        name for (name,) in db.execute("SELECT finding_id FROM evidence WHERE finding_id > ''")
    }
    db.executemany(
        "INSERT INTO inferences VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                row.file_id,
                row.image_id,
                to_text(row.evidence.check),
                row.evidence.outcome,
                to_whole(row.evidence.offset),
                to_whole(row.evidence.length),
                maybe_text(row.evidence.expected),
                maybe_text(row.evidence.actual),
                row.evidence.bearing,
                to_text(row.evidence.member),
                row.evidence.count,
                to_us(row.found_at),
                row.finding_id,
            )
            for image in judged
            for row in image.evidence
            if row.finding_id is not None and row.finding_id not in known
        ],
    )


def clear(db: sqlite3.Connection, repository_id: int) -> None:
    """Drop the verdicts of a repository."""
    in_repository = (
        "image_id IN (SELECT i.id FROM images i JOIN files f ON f.id = i.file_id"
        " WHERE f.repository_id = ?)"
    )
    db.execute(f"DELETE FROM verdicts WHERE {in_repository}", (repository_id,))  # noqa: S608
    db.execute(f"DELETE FROM parents WHERE {in_repository}", (repository_id,))  # noqa: S608
    db.execute(
        "DELETE FROM other_verdicts WHERE file_id IN"
        " (SELECT id FROM files WHERE repository_id = ?)",
        (repository_id,),
    )
    db.execute(
        "DELETE FROM inferences WHERE file_id IN (SELECT id FROM files WHERE repository_id = ?)",
        (repository_id,),
    )
    db.execute("DELETE FROM chains WHERE repository_id = ?", (repository_id,))


def verdict_rows(image: JudgedImage, judged_us: int) -> list[tuple[object, ...]]:
    """Return one row per piece of an image, all saying the same."""
    proof = image.proof
    said = (
        image.key,
        image.ruling.verdict.word,
        to_text(image.ruling.rule),
        image.deciding_key,
        image.own.verdict.word,
        to_text(image.own.rule),
        maybe_us(proof.structure_at),
        maybe_us(proof.read_at),
        maybe_us(proof.unchanged_since),
        maybe_us(proof.checksums_at),
        to_whole(proof.bytes_vouched),
        to_whole(proof.bytes_needed),
        maybe_us(proof.content_at),
        maybe_us(proof.restored_at),
        judged_us,
    )
    return [(piece.id, *said) for piece in image.pieces]


def save_chain(db: sqlite3.Connection, repository_id: int, chain: Chain, judged_us: int) -> None:
    """Write one chain and its images in order."""
    (number,) = db.execute(
        "INSERT INTO chains (repository_id, name, verdict, restorable_image_id, judged_us)"
        " VALUES (?, ?, ?, ?, ?) RETURNING id",
        (repository_id, to_text(chain.name), chain.verdict.word, chain.restorable_key, judged_us),
    ).fetchone()
    db.executemany(
        "INSERT INTO chain_images VALUES (?, ?, ?)",
        [(number, place, key) for place, key in enumerate(chain.image_keys)],
    )


def require_finding(db: sqlite3.Connection, finding_id: str) -> None:
    """Raise `NotThereError` for a finding that is not on record."""
    known = db.execute(
        "SELECT 1 FROM evidence WHERE finding_id = ? UNION ALL"
        " SELECT 1 FROM inferences WHERE finding_id = ? LIMIT 1",
        (finding_id, finding_id),
    ).fetchone()
    if known is None:
        message = f"the ledger knows no finding {finding_id!r}"
        raise NotThereError(message)


def acknowledge(
    db: sqlite3.Connection, finding_id: str, until: datetime, reason: str, made_at: datetime
) -> None:
    """Accept a finding until a day; accepting it again replaces day and reason."""
    db.execute(
        "INSERT OR REPLACE INTO acknowledgements VALUES (?, ?, ?, ?)",
        (finding_id, to_us(until), to_text(reason), to_us(made_at)),
    )


def acknowledgements(db: sqlite3.Connection, now: datetime) -> tuple[AcknowledgementRow, ...]:
    """Return what is accepted now; expired ones are left out."""
    rows = db.execute(
        "SELECT finding_id, until_us, reason, made_us FROM acknowledgements WHERE until_us > ?"
        " ORDER BY finding_id",
        (to_us(now),),
    )
    return tuple(
        AcknowledgementRow(finding, from_us(until_us), from_text(reason), from_us(made_us))
        for finding, until_us, reason, made_us in rows
    )
