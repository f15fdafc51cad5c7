"""Decide which files must be read: everything that is not proven to be as it was."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import formats
from formats.core.checksums import crc32
from scanner.ledger.rows import KnownFile
from scanner.results import FileState
from scanner.survey.walk import Seen


def registry_revision() -> int:
    """Return a number that changes when any format is added or revised.

    Recorded for files that no format reads, so that a newer version looks at them again.
    """
    text = "".join(f"{item.name}:{item.revision}:{item.supported};" for item in formats.FORMATS)
    return crc32(text.encode())


def must_read(seen: Seen, known: KnownFile | None, now: datetime, proof_age: timedelta) -> bool:
    """Whether a file has to be read, going by its stamps and by what is known of it.

    Equal stamps only postpone the next read: after ``proof_age`` the file is read again. So it is
    where the last read lies in the future, by a clock that was wrong then or is wrong now.
    """
    if known is None or known.state is not FileState.READ or known.read_at is None:
        return True
    if not known.stamps.same_content(seen.stamps) or known.storage_bad:
        return True
    if known.format_revision != present_revision(known.format):
        return True
    return not timedelta() <= now - known.read_at < proof_age


def present_revision(name: str | None) -> int | None:
    """Return the revision evidence must have to count; unread formats have the registry's."""
    known = formats.by_name(name) if name is not None else None
    if known is None or not known.supported:
        return registry_revision()
    return known.revision


def renamed(files: Iterable[Seen], known: Mapping[str, KnownFile]) -> dict[str, str]:
    """Return old path → new path of files that were moved within the repository.

    The inode, the size and the time of the content stay when a file is renamed; ctime does not.
    """
    present = {seen.path for seen in files}
    lost = {
        (item.stamps.inode, item.stamps.size, item.stamps.mtime_ns): path
        for path, item in known.items()
        if path not in present
    }
    moves = {}
    for seen in files:
        key = (seen.stamps.inode, seen.stamps.size, seen.stamps.mtime_ns)
        if seen.path not in known and key in lost:
            moves[lost.pop(key)] = seen.path
    return moves
