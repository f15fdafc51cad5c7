"""Decide which files must be read: everything that is not proven to be as it was."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import formats
from formats.core.checksums import crc32
from formats.core.model import Format
from scanner.ledger.rows import KnownFile
from scanner.results import FileState
from scanner.survey.walk import Seen


def revision_of(known: Iterable[Format]) -> int:
    """Return a number that changes when any format is added or revised."""
    text = "".join(f"{item.name}:{item.revision}:{item.supported};" for item in known)
    return crc32(text.encode())


# Worked out once: a survey asks for every file.
REGISTRY_REVISION = revision_of(formats.FORMATS)


def registry_revision() -> int:
    """Return the revision of all formats together.

    Recorded for files that no format reads, so that a newer version looks at them again.
    """
    return REGISTRY_REVISION


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


def renamed(files: Sequence[Seen], known: Mapping[str, KnownFile]) -> dict[str, str]:
    """Return old path → new path of files that were moved within the repository.

    The inode, the size and the time of the content stay when a file is renamed; ctime does not.
    Names that are handed on (by a rotation) or exchanged lead to other inodes than before.
    """
    present = {seen.path: seen.stamps.inode for seen in files}
    lost = {
        (item.stamps.inode, item.stamps.size, item.stamps.mtime_ns): path
        for path, item in known.items()
        if present.get(path) != item.stamps.inode
    }
    moves = {}
    for seen in files:
        before = known.get(seen.path)
        if before is not None and before.stamps.inode == seen.stamps.inode:
            continue
        key = (seen.stamps.inode, seen.stamps.size, seen.stamps.mtime_ns)
        if key in lost:
            moves[lost.pop(key)] = seen.path
    return moves
