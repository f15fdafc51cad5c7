"""How sources stood when they were last looked at."""

import sqlite3
from datetime import datetime

from scanner.judge.sources.outlook import Outlook, SourceOutlook
from scanner.ledger.packing import maybe_text, to_text, to_us


def save(db: sqlite3.Connection, outlook: Outlook, judged_at: datetime) -> None:
    """Replace what is known of all sources."""
    judged_us = to_us(judged_at)
    db.execute("DELETE FROM sources")
    db.executemany(
        "INSERT INTO sources VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [row(one, judged_us) for one in outlook.sources],
    )


def row(one: SourceOutlook, judged_us: int) -> tuple[object, ...]:
    """Return the columns of one source."""
    source, found = one.source, one.answer
    newest, failing = found.newest, found.failing
    return (
        source.id,
        to_text(source.name),
        source.kind,
        maybe_text(source.machine),
        found.state.word,
        len(source.points),
        found.failed,
        None if newest is None else to_us(newest.at),
        None if newest is None else newest.key,
        None if failing is None else failing.key,
        maybe_text(found.wrong),
        maybe_text(found.first),
        judged_us,
    )
