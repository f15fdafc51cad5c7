"""Whether anybody still scans: a scanner that died must not leave a green report behind."""

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from scanner.config import SCAN_AGE_MAX
from scanner.expectations import Expectations
from scanner.judge.words import age
from scanner.ledger.rows import RepositoryRow
from scanner.ledger.store import Ledger

RUNS_LOOKED_AT = 20
"""A scan that was cut short is followed by one that ends, sooner than after so many."""


def silent(ledger: Ledger, expectations: Expectations, now: datetime) -> Iterator[str]:
    """Yield what is wrong where scans have stopped: any at all, or of a configured repository.

    A disk that was brought in once is not expected again; what the configuration names is.
    """
    repositories = ledger.repositories()
    last = {row.id: last_scan(ledger, row) for row in repositories}
    newest = max((at for at in last.values() if at is not None), default=None)
    if repositories and too_long_ago(newest, now):
        yield f"no scan has finished {since(newest, now)}: all that is said here is as old"
        return
    wanted = {os.path.realpath(item.path): item.path for item in expectations.repositories}
    for row in repositories:
        if row.path in wanted and too_long_ago(last[row.id], now):
            yield f"no scan of {wanted[row.path]!r} has finished {since(last[row.id], now)}"
    yield from never_scanned(wanted.values(), repositories)


def never_scanned(wanted: Iterable[str], repositories: Sequence[RepositoryRow]) -> Iterator[str]:
    """Yield the configured repositories that lie in none the ledger knows."""
    known = [row.path for row in repositories]
    for path in wanted:
        real = os.path.realpath(path)
        if known and not any(os.path.commonpath((real, root)) == root for root in known):
            yield f"{path!r} is configured, and was never scanned"


def last_scan(ledger: Ledger, row: RepositoryRow) -> datetime | None:
    """Return when the newest scan of a repository that came to its end did so."""
    runs = ledger.runs(row.id, limit=RUNS_LOOKED_AT)
    return next((run.finished_at for run in runs if run.finished_at is not None), None)


def too_long_ago(at: datetime | None, now: datetime) -> bool:
    """Whether a scan is to be missed."""
    return at is None or now - at > SCAN_AGE_MAX


def since(at: datetime | None, now: datetime) -> str:
    """Say for how long there was none."""
    return "yet" if at is None else f"for {age(max(now - at, timedelta()))}"
