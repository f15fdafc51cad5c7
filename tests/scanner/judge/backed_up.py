"""A disk, or a database, with a past: rows for what is said of how images fit their source."""

from datetime import UTC, datetime, timedelta

from formats.core.model import Kind
from scanner.expectations import SourceExpectation
from scanner.judge.fit.advice import fit_advice
from scanner.judge.fit.fit import Fit, fits, newest_fits
from scanner.judge.sources.model import Source
from scanner.ledger.rows import HistoryRow
from scanner.results import FileState, PayloadSeen
from tests.scanner.judge.outlooks import measured, one
from tests.scanner.judge.rows import GOOD, Rows

GIB = 1 << 30
NOW = datetime(2026, 3, 9, 22, tzinfo=UTC)
WEEK = timedelta(days=7)
DAY = timedelta(days=1)
DISK = "vm/disk-2026-03-09.qcow2"


def seen(size: int, nonzero: int | None = None) -> PayloadSeen:
    """Return that all of a payload was looked at, and how much of it is not zeros."""
    left = size if nonzero is None else nonzero
    return PayloadSeen(size, left, nonzero=left > 0)


def past(
    *sizes: int | None, kind: Kind | None = Kind.FULL, step: timedelta = WEEK, **changes: object
) -> tuple[HistoryRow, ...]:
    """Return what backups measured that are gone now, the last of them one step before `NOW`."""
    count = len(sizes)
    return tuple(
        measured(
            f"vm/disk-{NOW - step * (count - number):%Y-%m-%d}.qcow2",
            NOW - step * (count - number),
            **({"kind": kind, "payload_bytes": size, "nonzero_bytes": size} | changes),
        )
        for number, size in enumerate(sizes)
    )


def backup(
    stored: int | None,
    *declared: SourceExpectation,
    history: tuple[HistoryRow, ...] = (),
    nonzero: int | None = None,
    file: int | None = None,
    state: FileState = FileState.READ,
    **image: object,
) -> Source:
    """Return a source with one living image that stores so much, in a file as large."""
    rows = Rows()
    size = (stored or 0) if file is None else file
    row: dict[str, object] = {
        "payload_bytes": stored,
        "payload_seen": seen(stored or 0, nonzero),
        "created_at": NOW,
    }
    rows.backup(
        DISK,
        (GOOD,),
        file={"size": size, "allocated_bytes": size, "state": state},
        **(row | image),
    )
    return one(rows, *declared, history=history)


def only_fit(source: Source) -> Fit:
    """Return the fit of the one image that is there."""
    (found,) = fits(source).values()
    return found


def ruled(source: Source) -> tuple[str, str]:
    """Return the word about the one image that is there, and its reason."""
    found = only_fit(source)
    return found.word.value, found.reason


def advised(source: Source) -> dict[str, tuple[str, str]]:
    """Return severity and sentence by rule."""
    found = list(fit_advice(source, fits(source)))
    assert list(fit_advice(source, newest_fits(source))) == found
    assert len({item.id for item in found}) == len(found)
    return {item.rule: (item.severity.value, item.text) for item in found}
