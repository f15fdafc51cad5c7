"""When the next backup of a kind is due: by its schedule, else by habit."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise
from statistics import median

from formats.core.model import Kind
from scanner.config import SQL_RETIRED_AGE
from scanner.expectations import next_time
from scanner.judge.forecast.sizes import Sized
from scanner.judge.sources.model import Source

RETRY_SHARE = 0.1
"""A backup that came after less than this share of the usual time repeats one that failed."""

GAPS_MAX = 40
"""Only so many of the newest gaps make a habit."""

LONE_GAP_MAX = timedelta(days=62)
"""Two backups further apart than this are two occasions, and no habit."""

ALL_KINDS_FACTOR = 1.5
"""A schedule that comes round nearly as often as backups of any kind is of all of them."""

MISSED_MAX = 3
"""After so many times without a backup of a kind it is not expected any more ..."""

MISSED_AGE = timedelta(days=2)
"""... unless that is no longer ago than a weekend."""

BETWEEN = (Kind.DIFFERENTIAL, Kind.INCREMENTAL)


def due_at(
    source: Source, sizes: Sequence[Sized], kind: Kind, now: datetime, zone: tzinfo
) -> datetime | None:
    """Return when the next backup of a kind is due, in ``zone``; None where nobody knows."""
    schedule = source.declared.schedule if source.declared is not None else None
    if schedule is not None and kind is not Kind.LOG:
        following = next_time(schedule, now.astimezone(zone))
        gap = next_time(schedule, following) - following
        if of_all_kinds(gap, sizes) != (kind is Kind.FULL):
            return following
    times = [item.at for item in sizes if item.kind is kind]
    interval = habit(times)
    return None if interval is None else next_by_habit(occasions(times)[-1], interval, now, zone)


def of_all_kinds(gap: timedelta, sizes: Sequence[Sized]) -> bool:
    """Whether a schedule is of everything but logs, not of the fulls alone."""
    times = [item.at for item in sizes if item.kind in (Kind.FULL, *BETWEEN)]
    interval = habit(times)
    between = any(item.kind in BETWEEN for item in sizes)
    return between and interval is not None and gap <= interval * ALL_KINDS_FACTOR


def habit(times: Iterable[datetime]) -> timedelta | None:
    """Return the usual time between backups; None where there is none yet."""
    gaps = [after - before for before, after in pairwise(occasions(times))]
    if len(gaps) == 1 and gaps[0] > LONE_GAP_MAX:
        return None
    return timedelta(seconds=median(gap.total_seconds() for gap in gaps)) if gaps else None


def occasions(times: Iterable[datetime]) -> list[datetime]:
    """Return when backups were begun anew, without those that repeat one that failed."""
    newest = sorted(set(times))[-GAPS_MAX - 1 :]
    gaps = sorted(after - before for before, after in pairwise(newest))
    if not gaps:
        return newest
    shortest = gaps[len(gaps) * 3 // 4] * RETRY_SHARE
    found = newest[:1]
    found.extend(after for before, after in pairwise(newest) if after - before >= shortest)
    return found


def next_by_habit(
    last: datetime, interval: timedelta, now: datetime, zone: tzinfo
) -> datetime | None:
    """Return the next time after now; None where too many passed without a backup."""
    missed = max((now - last) // interval, 0)
    if missed > MISSED_MAX and now - last > MISSED_AGE:
        return None
    # Added to the local time, so that a backup at 22:00 stays one when the clocks change.
    return last.astimezone(zone) + interval * (missed + 1)


def retired(source: Source, sizes: Sequence[Sized], now: datetime) -> bool:
    """Whether nothing more is expected of a source that nobody declared."""
    if source.declared is not None or not sizes:
        return False
    last = max(item.at for item in sizes)
    interval = habit(item.at for item in sizes) or timedelta()
    return now - last > max(SQL_RETIRED_AGE, interval * MISSED_MAX)
