"""What the judge reads of files."""

import sqlite3
from collections.abc import Sequence

from scanner.ledger.files import STATES
from scanner.ledger.packing import Times, from_text, maybe_from_text, to_json
from scanner.ledger.rows import FileRow


def files(db: sqlite3.Connection, repository_ids: Sequence[int]) -> tuple[FileRow, ...]:
    """Return all files of some repositories, gone ones too, by path."""
    rows = db.execute(
        "SELECT id, repository_id, path, size, allocated_bytes, mtime_ns, state, format,"
        " format_revision, read_us, unchanged_since_us, bytes_read, first_seen_us, seen_us,"
        " rewritten_us, cramped_mtime_ns IS mtime_ns"
        " FROM files WHERE repository_id IN (SELECT value FROM json_each(?))"
        " ORDER BY repository_id, path",
        (to_json(repository_ids),),
    )
    times = Times()
    return tuple(
        FileRow(
            number,
            repository_id,
            from_text(path),
            size,
            allocated_bytes,
            mtime_ns,
            STATES[state],
            maybe_from_text(name),
            revision,
            times.maybe(read_us),
            times.maybe(since_us),
            bytes_read,
            times.at(first_seen_us),
            times.at(seen_us),
            times.maybe(rewritten_us),
            bool(cramped),
        )
        for (
            number,
            repository_id,
            path,
            size,
            allocated_bytes,
            mtime_ns,
            state,
            name,
            revision,
            read_us,
            since_us,
            bytes_read,
            first_seen_us,
            seen_us,
            rewritten_us,
            cramped,
        ) in rows
    )


def traceback(db: sqlite3.Connection, file_id: int) -> str | None:
    """Return the error of ours that was met while reading a file, if any."""
    row = db.execute("SELECT traceback FROM files WHERE id = ?", (file_id,)).fetchone()
    return None if row is None else maybe_from_text(row[0])
