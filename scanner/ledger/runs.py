"""Repositories and runs."""

import sqlite3
from datetime import datetime, timedelta

from scanner.ledger.packing import from_text, from_us, maybe_time, maybe_us, to_text, to_us
from scanner.ledger.rows import RepositoryRow, RunRow

GONE_BASELINE_KEPT = timedelta(days=30)
"""So long a file that is gone may turn up under another name and be compared with itself."""


def enter_repository(
    db: sqlite3.Connection, filesystem: str, root: str, path: str
) -> RepositoryRow:
    """Return the repository's row, made or brought up to date."""
    columns = (to_text(filesystem), to_text(root), to_text(path))
    (number,) = db.execute(
        "INSERT INTO repositories (filesystem, root, path) VALUES (?, ?, ?)"
        " ON CONFLICT (filesystem, root) DO UPDATE SET path = excluded.path RETURNING id",
        columns,
    ).fetchone()
    return RepositoryRow(number, filesystem, root, path)


def read_repositories(db: sqlite3.Connection) -> tuple[RepositoryRow, ...]:
    """Return all repositories, in the order they were first seen."""
    rows = db.execute("SELECT id, filesystem, root, path FROM repositories ORDER BY id")
    return tuple(
        RepositoryRow(number, from_text(filesystem), from_text(root), from_text(path))
        for number, filesystem, root, path in rows
    )


def begin(db: sqlite3.Connection, repository_id: int, started_at: datetime) -> int:
    """Return the number of a new run."""
    (number,) = db.execute(
        "INSERT INTO runs (repository_id, started_us) VALUES (?, ?) RETURNING id",
        (repository_id, to_us(started_at)),
    ).fetchone()
    return int(number)


def end(
    db: sqlite3.Connection,
    run_id: int,
    finished_at: datetime,
    files: int,
    bytes_read: int,
    exit_code: int | None,
) -> None:
    """Write how a run ended, and let go of baselines nobody will come back for."""
    db.execute(
        "UPDATE runs SET finished_us = ?, files = ?, bytes_read = ?, exit_code = ? WHERE id = ?",
        (maybe_us(finished_at), files, bytes_read, exit_code, run_id),
    )
    db.execute(
        "DELETE FROM baselines WHERE file_id IN (SELECT id FROM files WHERE state = 'gone'"
        " AND gone_us < ? AND repository_id = (SELECT repository_id FROM runs WHERE id = ?))",
        (to_us(finished_at - GONE_BASELINE_KEPT), run_id),
    )


def set_exit_code(db: sqlite3.Connection, run_id: int, exit_code: int) -> None:
    """Write what a run exited with."""
    db.execute("UPDATE runs SET exit_code = ? WHERE id = ?", (exit_code, run_id))


def read_runs(db: sqlite3.Connection, repository_id: int, limit: int) -> tuple[RunRow, ...]:
    """Return the newest runs of a repository, newest first."""
    rows = db.execute(
        "SELECT id, repository_id, started_us, finished_us, files, bytes_read, exit_code"
        " FROM runs WHERE repository_id = ? ORDER BY id DESC LIMIT ?",
        (repository_id, limit),
    )
    return tuple(
        RunRow(number, repository, from_us(started), maybe_time(finished), files, read, exit_code)
        for number, repository, started, finished, files, read, exit_code in rows
    )
