"""Judge what the ledger knows: rows are read once, and may be judged several times."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import formats
from scanner.config import Settings
from scanner.judge.judge import Vocabulary, judge
from scanner.judge.model import Judgement
from scanner.ledger.rows import EvidenceRow, FileRow, ImageRow, RepositoryRow
from scanner.ledger.store import Ledger
from scanner.uncollected import uncollected


@dataclass(frozen=True, slots=True)
class Rows:
    """What is judged: all rows about some repositories."""

    repositories: Sequence[RepositoryRow]
    files: Sequence[FileRow]
    images: Sequence[ImageRow]
    evidence: Sequence[EvidenceRow]


def read_rows(ledger: Ledger, repositories: Sequence[RepositoryRow]) -> Rows:
    """Return what the ledger knows of some repositories."""
    numbers = [repository.id for repository in repositories]
    return Rows(
        repositories, ledger.files(numbers), ledger.images(numbers), ledger.evidence(numbers)
    )


def judge_rows(
    rows: Rows, *, settings: Settings | None = None, acknowledged: frozenset[str] = frozenset()
) -> Judgement:
    """Judge rows of the ledger."""
    return judge(
        rows.repositories,
        rows.files,
        rows.images,
        rows.evidence,
        Vocabulary(supported_names(), frozenset(formats.suffixes()), open_ended_names()),
        (settings or Settings()).settle,
        acknowledged,
    )


def judge_ledger(
    ledger: Ledger,
    repositories: Sequence[RepositoryRow],
    now: datetime,
    *,
    settings: Settings | None = None,
    acknowledged: frozenset[str] = frozenset(),
) -> Judgement:
    """Judge what the ledger knows; nothing in a repository is touched."""
    assert now.tzinfo is not None
    with uncollected():
        rows = read_rows(ledger, repositories)
        return judge_rows(rows, settings=settings, acknowledged=acknowledged)


def supported_names() -> frozenset[str]:
    """Return the names of the formats that are read, not only recognised."""
    return frozenset(item.name for item in formats.FORMATS if item.supported)


def open_ended_names() -> frozenset[str]:
    """Return the names of the formats in which a copy that broke off can look whole."""
    return frozenset(item.name for item in formats.FORMATS if item.supported and item.open_ended)
