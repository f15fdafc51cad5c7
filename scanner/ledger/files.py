"""Files: what is known of them, and how a survey changes that."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from scanner.ledger.evidence import refresh_finding_ids
from scanner.ledger.packing import (
    from_stamp_columns,
    from_text,
    maybe_from_text,
    maybe_text,
    maybe_time,
    stamp_columns,
    to_text,
)
from scanner.ledger.rows import KnownFile
from scanner.results import FileState, Stamps

STATES: Mapping[str, FileState] = {state.value: state for state in FileState}
RESUMABLE = (FileState.READING, FileState.REFUSED)
"""Units of a reading that was cut short, by a kill or by the storage, are good the next time."""


def known(db: sqlite3.Connection, repository_id: int) -> dict[str, KnownFile]:
    """Return every file ever seen in a repository, gone ones too, by path: one query for all."""
    storage_bad = {
        file_id
        for (file_id,) in db.execute(
            "SELECT DISTINCT e.file_id FROM evidence e JOIN files f ON f.id = e.file_id"
            " WHERE e.finding_id IS NOT NULL AND e.check_id GLOB 'storage.*'"
            " AND f.repository_id = ?",
            (repository_id,),
        )
    }
    rows = db.execute(
        "SELECT id, path, state, format, format_revision, read_us, identity_key,"
        " size, mtime_ns, ctime_ns, inode, allocated_bytes FROM files WHERE repository_id = ?",
        (repository_id,),
    )
    found = {}
    for number, path, state, name, revision, read_us, identity_key, *stamps in rows:
        known_path = from_text(path)
        found[known_path] = KnownFile(
            known_path,
            from_stamp_columns(stamps),
            STATES[state],
            name,
            revision,
            maybe_time(read_us),
            maybe_from_text(identity_key),
            number in storage_bad,
        )
    return found


def find(db: sqlite3.Connection, repository_id: int, path: str) -> int | None:
    """Return a file's number, or None for a path the ledger does not know."""
    row = db.execute(
        "SELECT id FROM files WHERE repository_id = ? AND path = ?", (repository_id, to_text(path))
    ).fetchone()
    return None if row is None else int(row[0])


def enter(
    db: sqlite3.Connection,
    repository_id: int,
    run_id: int,
    path: str,
    stamps: Stamps,
    now_us: int,
) -> int:
    """Return the number of a file this run has seen; a new one is entered as being read."""
    (number,) = db.execute(
        "INSERT INTO files (repository_id, path, size, mtime_ns, ctime_ns, inode, allocated_bytes,"
        " state, first_seen_us, seen_us, seen_run_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (repository_id, path) DO UPDATE SET seen_us = excluded.seen_us,"
        " seen_run_id = excluded.seen_run_id, gone_us = NULL RETURNING id",
        (
            repository_id,
            to_text(path),
            *stamp_columns(stamps),
            FileState.READING,
            now_us,
            now_us,
            run_id,
        ),
    ).fetchone()
    return int(number)


def enter_new(
    db: sqlite3.Connection,
    repository_id: int,
    run_id: int,
    found: Iterable[tuple[str, Stamps]],
    now_us: int,
) -> None:
    """Enter files the ledger has never seen, as being read."""
    db.executemany(
        "INSERT INTO files (repository_id, path, size, mtime_ns, ctime_ns, inode, allocated_bytes,"
        " state, first_seen_us, seen_us, seen_run_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                repository_id,
                to_text(path),
                *stamp_columns(stamps),
                FileState.READING,
                now_us,
                now_us,
                run_id,
            )
            for path, stamps in found
        ),
    )


def start(
    db: sqlite3.Connection,
    file_id: int,
    stamps: Stamps,
    format_name: str | None,
    format_revision: int | None,
) -> None:
    """Begin to read a file, or go on: units recorded for other bytes or by other code are dropped.

    The stamps of the last finished reading stay beside those of this one until it is finished, so
    that a file which changed and whose reading was killed is not mistaken for one nobody wrote to.
    """
    columns = (*stamp_columns(stamps), maybe_text(format_name), format_revision)
    same = db.execute(
        "SELECT 1 FROM readings r JOIN files f ON f.id = r.file_id WHERE r.file_id = ?"
        " AND f.state IN (?, ?) AND r.size = ? AND r.mtime_ns = ? AND r.ctime_ns = ?"
        " AND r.inode = ? AND r.format IS ? AND r.format_revision IS ?",
        (file_id, *RESUMABLE, *columns[:4], *columns[5:]),
    ).fetchone()
    if same is None:
        drop_reading(db, file_id)
        db.execute("INSERT INTO readings VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (file_id, *columns))
    db.execute("UPDATE files SET state = ? WHERE id = ?", (FileState.READING, file_id))


def drop_reading(db: sqlite3.Connection, file_id: int) -> None:
    """Forget the units of a reading, and what they counted."""
    db.execute("DELETE FROM readings WHERE file_id = ?", (file_id,))
    db.execute("DELETE FROM tallies WHERE file_id = ?", (file_id,))
    db.execute("DELETE FROM gaps WHERE file_id = ?", (file_id,))


def see(
    db: sqlite3.Connection, run_id: int, repository_id: int, paths: Iterable[str], now_us: int
) -> None:
    """Write that this run's survey found these files; paths the ledger does not know are skipped.

    A file that was gone stays so until it is started: nobody has looked into it yet.
    """
    db.executemany(
        "UPDATE files SET seen_us = ?, seen_run_id = ? WHERE repository_id = ? AND path = ?",
        ((now_us, run_id, repository_id, to_text(path)) for path in paths),
    )


def mark_cramped(db: sqlite3.Connection, repository_id: int, paths: Iterable[str]) -> None:
    """Remember which content may have ended because there was no room for more."""
    places = [(repository_id, to_text(path)) for path in paths]
    db.executemany(
        "UPDATE files SET cramped_mtime_ns = mtime_ns WHERE repository_id = ? AND path = ?", places
    )
    # What it measured is nothing to compare others with.
    db.executemany(
        "UPDATE history SET complete = 0 WHERE id IN (SELECT max(id) FROM history"
        " WHERE repository_id = ? AND path = ? GROUP BY image_index)",
        places,
    )


def miss(
    db: sqlite3.Connection,
    repository_id: int,
    run_id: int,
    under: Sequence[str],
    except_under: Sequence[str],
    now_us: int,
) -> tuple[str, ...]:
    """Mark files gone that this run's survey looked for and did not find; return their paths.

    It looked under ``under`` (folders or single files, "" is the whole repository) and could not
    look under ``except_under``.
    """
    rows = db.execute(
        "SELECT id, path FROM files WHERE repository_id = ? AND seen_run_id != ? AND state != ?"
        " ORDER BY path",
        (repository_id, run_id, FileState.GONE),
    ).fetchall()
    gone = []
    for number, written in rows:
        path = from_text(written)
        if lies_under(path, under) and not lies_under(path, except_under):
            gone.append((number, path))
    db.executemany(
        "UPDATE files SET state = ?, gone_us = ? WHERE id = ?",
        ((FileState.GONE, now_us, number) for number, _ in gone),
    )
    return tuple(path for _, path in gone)


def lies_under(path: str, places: Iterable[str]) -> bool:
    """Whether a path is one of the places, or in one that is a folder."""
    return any(
        place in ("", ".") or path == place or path.startswith(place.rstrip("/") + "/")
        for place in places
    )


def move(db: sqlite3.Connection, repository_id: int, moves: Mapping[str, str]) -> None:
    """Give files their new paths, all at once, so that names may be exchanged or handed on.

    What was known of a file that stood at a new path, and did not move itself, is dropped: another
    file lies there now. Old paths the ledger does not know are skipped.
    """
    numbers = {old: find(db, repository_id, old) for old in moves}
    moved = {number: moves[old] for old, number in numbers.items() if number is not None}
    # No path of a file ends in a slash, so these names are free.
    db.executemany(
        "UPDATE files SET path = ? WHERE id = ?", ((f"{number}/", number) for number in moved)
    )
    db.executemany(
        "DELETE FROM files WHERE repository_id = ? AND path = ?",
        ((repository_id, to_text(new)) for new in moved.values()),
    )
    db.executemany(
        "UPDATE files SET path = ? WHERE id = ?",
        ((to_text(new), number) for number, new in moved.items()),
    )
    for number in moved:
        refresh_finding_ids(db, number)
