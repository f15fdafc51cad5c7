"""How fast backups were read here, and how long a restore has to read at least."""

from collections.abc import Sequence
from statistics import median

from scanner.judge.sources.model import RestorePoint
from scanner.ledger.rows import RunRow

PACE_RUN_BYTES_MIN = 1 << 30
"""A run that read less says more about how long looking for files takes."""

PACE_RUNS_MAX = 20
"""Only so many of the newest runs count: storage is replaced."""


def pace(runs: Sequence[RunRow]) -> float | None:
    """Return the usual bytes per second of runs that read enough; None while there is none."""
    newest = sorted(runs, key=lambda run: (run.started_at, run.repository_id, run.id), reverse=True)
    rates = [rate for run in newest if (rate := rate_of(run)) is not None]
    return median(rates[:PACE_RUNS_MAX]) if rates else None


def rate_of(run: RunRow) -> float | None:
    """Return the bytes per second of one run, looking for files included."""
    if run.finished_at is None or run.bytes_read < PACE_RUN_BYTES_MIN:
        return None
    seconds = (run.finished_at - run.started_at).total_seconds()
    # A clock that was set back in between says nothing.
    return run.bytes_read / seconds if seconds > 0 else None


def restore_seconds(point: RestorePoint, bytes_per_second: float | None) -> float | None:
    """Return how long reading all that a restore needs takes; what is written is not counted."""
    return None if bytes_per_second is None else point.restore_bytes / bytes_per_second
