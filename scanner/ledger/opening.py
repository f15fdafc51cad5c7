"""Open the file of the ledger: make it, tell it from other files, set a broken one aside."""

import glob
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlite_utils import Database

from scanner.errors import LedgerPlaceError, NotThereError
from scanner.ledger.errors import LedgerForeignError, LedgerStorageError
from scanner.ledger.schema import APPLICATION_ID, MIGRATIONS
from scanner.ledger.views import refresh_views, stale_views

MAGIC = b"SQLite format 3\0"
USUAL_SUFFIXES = frozenset({".sqlite", ".sqlite3", ".db"})
BUSY_TIMEOUT_SECONDS = 30.0
"""Another run commits every few hundred milliseconds; who holds on longer than this is stuck."""

LOCK_SUFFIX = ".lock-"
"""Lock files of repositories lie beside the ledger: its name, this, and the repository's key."""

STORAGE_CODES = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
BROKEN_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn what the disk did into a message; what our SQL did wrong passes through."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if primary_code(error) not in STORAGE_CODES:
            raise
        message = f"ledger {str(path)!r}: {error} ({error.sqlite_errorname})"
        raise LedgerStorageError(message) from error


def primary_code(error: sqlite3.DatabaseError) -> int:
    """Return SQLite's code without its extension; 0 where the binding itself complains."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def open_writer(path: Path, now: datetime) -> tuple[sqlite3.Connection, tuple[str, ...]]:
    """Return the writing connection, and what the operator should be told.

    Makes the folder and the file, brings the tables up to date. A broken ledger is renamed, never
    deleted, and a new one is begun. The caller turns what the disk does into messages.
    """
    make_file(path)
    reason = wrong_start(path)
    if reason is None:
        try:
            return connect_writer(path), ()
        except sqlite3.DatabaseError as error:
            if primary_code(error) not in BROKEN_CODES:
                raise
            reason = str(error)
    aside = set_aside(path, now)
    make_file(path)
    connection = connect_writer(path)
    note = (
        f"ledger {str(path)!r} is corrupt ({reason}); it is kept as {aside.name!r}, "
        "a new one is begun"
    )
    return connection, (note,)


def require_file(path: Path) -> None:
    """Raise where there is no ledger, for commands that only look."""
    if not path.is_file():
        message = f"there is no ledger at {str(path)!r}: bakproof scan begins one"
        raise NotThereError(message)


def make_file(path: Path) -> None:
    """Make the folder and an empty file only its owner can read, unless they are there."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        message = f"ledger {str(path)!r} cannot be opened for writing: {error.strerror}"
        raise LedgerPlaceError(message) from error


def wrong_start(path: Path) -> str | None:
    """Return what is wrong with a ledger's first bytes, if anything.

    SQLite is not let near such a file: it would throw away the journal beside it. A file that was
    never a ledger is refused, so that a slip of the hand renames nothing: a broken ledger is told
    from it by its name, by its zeros, or by the lock files beside it.
    """
    with path.open("rb") as file:
        start = file.read(len(MAGIC))
    if start in (MAGIC, b""):
        return None
    wrong = f"expected {MAGIC!r} at its start, found {start!r}"
    locks = path.parent.glob(f"{glob.escape(path.name + LOCK_SUFFIX)}*")
    if path.suffix in USUAL_SUFFIXES or not start.strip(b"\0") or any(locks):
        return wrong
    message = f"{str(path)!r} is no ledger: {wrong}"
    raise LedgerForeignError(message)


def connect_writer(path: Path) -> sqlite3.Connection:
    """Return a checked and migrated connection; raises `sqlite3.DatabaseError` for broken files."""
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        check(connection, path)
        prepare(connection, path)
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Raise where the file is broken, another program's, or of a newer version of this one."""
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        error = sqlite3.DatabaseError(found)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables:
        return
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        message = (
            f"{str(path)!r} is a database of another program: expected application id "
            f"{APPLICATION_ID:#010x}, found {application:#010x}"
        )
        raise LedgerForeignError(message)
    with Database(memory=True, execute_plugins=False) as blank:
        known = {step.name for step in MIGRATIONS.pending(blank)}
    newer = [step.name for step in MIGRATIONS.applied(wrap(connection)) if step.name not in known]
    if newer:
        message = (
            f"ledger {str(path)!r} was made by a newer version of bakproof: "
            f"unknown migration {newer[0]!r}"
        )
        raise LedgerForeignError(message)


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Set what holds for a connection, and the journal.

    ``synchronous=NORMAL`` is enough: in WAL mode a killed process loses nothing that was committed,
    and a power cut at most the last commits. What they held is read again, and no proof is claimed
    meanwhile. A sync per commit would cost seeks on the very disks that are being read.
    """
    (journal,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if journal != "wal":
        message = (
            f"ledger {str(path)!r}: this file system cannot hold a write-ahead log "
            f"(expected journal mode 'wal', found {journal!r})"
        )
        raise LedgerPlaceError(message)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def migrate(connection: sqlite3.Connection) -> None:
    """Bring tables and views up to date in one transaction, unless they are.

    It is immediate, so that of two processes that make the same ledger one waits for the other.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if (
        application == APPLICATION_ID
        and not MIGRATIONS.pending(wrap(connection))
        and not stale_views(connection)
    ):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        MIGRATIONS.apply(wrap(connection))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        refresh_views(connection)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def connect_reader(path: Path) -> sqlite3.Connection:
    """Return a connection that cannot write."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        timeout=BUSY_TIMEOUT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA query_only = ON")
    return connection


def set_aside(path: Path, now: datetime) -> Path:
    """Rename a broken ledger and its journal to a name that is free, and return the name.

    The journal goes first: left beside a new ledger it would be replayed into it.
    """
    stamp = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    number = 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.name}.corrupt-{stamp}-{number}")
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def wrap(connection: sqlite3.Connection) -> Database:
    """Return the connection as sqlite-utils' migrations want it, without its plugins."""
    return Database(connection, recursive_triggers=False, execute_plugins=False)
