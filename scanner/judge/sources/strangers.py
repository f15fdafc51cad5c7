"""Files that lie among a source's backups, are called like them, and are no backup at all.

A job that "ran" may leave a file without a byte, or one of zeros. It holds no image, and is no
restore point of anything; only its name tells whose backup it should have been.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from scanner.judge.advice import Advice, Severity
from scanner.judge.model import JudgedOther, Verdict
from scanner.judge.names.reading import Names
from scanner.judge.rules import rule_meanings
from scanner.judge.sources.model import Source
from scanner.judge.sources.points import written_at
from scanner.judge.sources.saying import said
from scanner.ledger.rows import FileRow

RULE = "source.stranger"
Place: TypeAlias = tuple[int, str, str]
"""Repository, folder and name, without what changes from backup to backup."""

MEANINGS: Mapping[str, str] = rule_meanings()


def by_place(others: Iterable[JudgedOther], names: Names) -> dict[Place, list[JudgedOther]]:
    """Return the files that something calls a backup, by the source their names suggest."""
    found: dict[Place, list[JudgedOther]] = {}
    for other in others:
        if other.ruling is not None and other.ruling.verdict >= Verdict.UNPROVEN:
            found.setdefault(place(other.file, names), []).append(other)
    return found


def place(file: FileRow, names: Names) -> Place:
    """Return what the name of a file has in common with others of its source."""
    reading = names.read(file.path)
    return file.repository_id, reading.home, reading.stem


def stranger_advice(
    source: Source, strangers: Mapping[Place, Sequence[JudgedOther]], names: Names
) -> Iterator[Advice]:
    """Yield one sentence where a source's newest file is no backup."""
    if not strangers:
        return
    places = {place(image.files[0], names) for image in source.images}
    newest = None if source.last is None else source.last.at
    newer = sorted(
        (
            (written_at(other.file.mtime_ns), other.file.path, other)
            for here in places
            for other in strangers.get(here, ())
            if is_newer(other, newest)
        ),
        key=lambda item: item[:2],
    )
    if newer:
        _, path, other = newer[-1]
        rule = "" if other.ruling is None else other.ruling.rule
        more = f", and {len(newer) - 1} more" if len(newer) > 1 else ""
        sentence = f"{path!r} is newer than its newest backup, and none: {MEANINGS.get(rule, rule)}"
        yield said(source, RULE, Severity.WARNING, sentence + more)


def is_newer(other: JudgedOther, newest: datetime | None) -> bool:
    """Whether a file was written after the newest backup."""
    return newest is None or written_at(other.file.mtime_ns) > newest
