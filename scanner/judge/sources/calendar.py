"""The recovery calendar: what each day can be restored to, and where the stretches without are.

Days are those of one zone, and have 23 or 25 hours where its clocks change. Everything is compared
in UTC: two times of one zone are compared by Python as the clock on the wall shows them, which
shows one hour of the year twice.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from itertools import pairwise
from typing import TypeVar

from scanner.judge.model import Verdict
from scanner.judge.sources.model import USABLE, RestorePoint, Source, Span
from scanner.judge.sources.points import in_zone
from scanner.judge.sqlserver.databases import databases
from scanner.judge.sqlserver.lsn import Way, judged_sets, ways
from scanner.judge.sqlserver.plans import time_ranges

STRETCHES_COMPARED_MAX = 10
"""So many stretches between backups, on either side of one, say what is usual there."""

STRETCHES_WITH_OUTLIER_MIN = 4
"""From so many stretches on the longest is taken for an exception, and the next one for usual."""

UNUSUAL_TIMES = 1.5
"""A stretch so many times as long as usual is a gap: a nightly backup may start an hour late."""

Item = TypeVar("Item")


class DayState(StrEnum):
    """What a day can be restored to, by the best that is there of it."""

    PROVEN = "proven"  # a moment of it restores, and everything that needs is sound
    WEAK = "weak"  # it restores; a redundant copy or the storage is failing
    UNPROVEN = "unproven"  # there are backups of it, and it is not proven what they are worth
    LOST = "lost"  # there are backups of it, and none of them restores
    NONE = "none"  # no backup of it is there
    BEFORE = "before"  # it is before the first backup that is known


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a source. ``points`` are the backups made that day, oldest first.

    ``moments`` are the stretches of it to any moment of which the source can be restored (a log
    made the next morning covers this night). ``gone`` counts backups made that day that are not
    there any more. ``length_seconds`` is that of the day itself.
    """

    date: date
    state: DayState
    points: tuple[RestorePoint, ...]
    moments: tuple[Span, ...]
    gone: int
    length_seconds: float

    @property
    def covered_seconds(self) -> float:
        """How much of the day can be restored to any moment."""
        return sum((span.end - span.begin).total_seconds() for span in self.moments)

    @property
    def restorable_moments(self) -> bool:
        """Whether any stretch of the day, not only single points, can be restored."""
        return bool(self.moments)


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch without anything to restore, longer than ``usual`` between backups around it.

    ``points`` are the backups made within it, which do not restore; where there are none, none was
    made. ``usual`` is nothing for a hole in a log.
    """

    begin: datetime
    end: datetime
    usual: timedelta
    points: tuple[RestorePoint, ...]


def calendar(source: Source, first: date, last: date, zone: tzinfo) -> tuple[Day, ...]:
    """Return each day of a source from ``first`` to ``last``, both included."""
    points = by_day(((point.at, point) for point in ordered(source.points)), zone)
    gone = by_day(((item.at, item) for item in source.history if item.key is None), zone)
    restorable = moments_by_day(source.spans, first, last, zone)
    proven = moments_by_day(proven_spans(source, zone), first, last, zone)
    begin = first_day(source, zone)
    found = []
    for day in days(first, last):
        here = tuple(points.get(day, ()))
        moments = tuple(restorable.get(day, ()))
        state = state_of(
            here,
            restorable=bool(moments),
            proven=day in proven,
            before=begin is None or day < begin,
        )
        length = (midnight(day + timedelta(1), zone) - midnight(day, zone)).total_seconds()
        found.append(Day(day, state, here, moments, len(gone.get(day, ())), length))
    return tuple(found)


def state_of(
    points: Sequence[RestorePoint], *, restorable: bool, proven: bool, before: bool
) -> DayState:
    """Return what a day is worth: the best of its backups, or of its moments, counts."""
    best = min((point.ruling.verdict for point in points), default=None)
    if proven or best is Verdict.SOUND:
        return DayState.PROVEN
    if restorable or (best is not None and best <= USABLE):
        return DayState.WEAK
    if best is None:
        return DayState.BEFORE if before else DayState.NONE
    return DayState.UNPROVEN if best is Verdict.UNPROVEN else DayState.LOST


def proven_spans(source: Source, zone: tzinfo) -> tuple[Span, ...]:
    """Return the stretches of time to which a source goes back by sound backups alone."""
    found = []
    for database in databases(judged_sets(source.images)):
        known = {key: only_sound(way) for key, way in ways(database.family).items()}
        found += [
            Span(in_zone(item.begin, zone), in_zone(item.end, zone))
            for item in time_ranges(database, known)
        ]
    return tuple(found)


def only_sound(way: Way) -> Way:
    """Return a way, or one that leads nowhere where anything on it is not sound."""
    return way if way.worst is Verdict.SOUND else replace(way, worst=Verdict.DAMAGED)


def first_day(source: Source, zone: tzinfo) -> date | None:
    """Return the day of the first backup that is known, also where it is gone."""
    times = [point.at for point in source.points] + [item.at for item in source.history]
    return min((local_day(at, zone) for at in times), default=None)


# Days


def days(first: date, last: date) -> Iterator[date]:
    """Yield the days from one to another, both included."""
    for number in range((last - first).days + 1):
        yield first + timedelta(number)


def midnight(day: date, zone: tzinfo) -> datetime:
    """Return when a day begins, in UTC."""
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def utc(at: datetime) -> datetime:
    """Return a time in UTC; one at the end of all calendars stays what it is."""
    try:
        return at.astimezone(UTC)
    except OverflowError:
        return at.replace(tzinfo=UTC)


def local_day(at: datetime, zone: tzinfo) -> date:
    """Return the day a time is of."""
    try:
        return at.astimezone(zone).date()
    except OverflowError:
        return at.date()


def by_day(items: Iterable[tuple[datetime, Item]], zone: tzinfo) -> dict[date, list[Item]]:
    """Return what was made on each day, in the order given."""
    found: dict[date, list[Item]] = {}
    for at, item in items:
        found.setdefault(local_day(at, zone), []).append(item)
    return found


def moments_by_day(
    spans: Iterable[Span], first: date, last: date, zone: tzinfo
) -> Mapping[date, Sequence[Span]]:
    """Cut spans at midnight. Single points are none: they are no stretch of time."""
    found: dict[date, list[Span]] = {}
    for span in spans:
        begin, end = utc(span.begin), utc(span.end)
        here = days(max(first, local_day(begin, zone)), min(last, local_day(end, zone)))
        for day in here:
            cut = Span(
                max(begin, midnight(day, zone)), min(end, midnight(day + timedelta(1), zone))
            )
            if cut.begin < cut.end:
                found.setdefault(day, []).append(cut)
    return found


def ordered(points: Iterable[RestorePoint]) -> list[RestorePoint]:
    """Return points oldest first."""
    return sorted(points, key=lambda point: (utc(point.at), point.key))


# Gaps


def gaps(source: Source) -> tuple[Gap, ...]:
    """Return the stretches without anything to restore that are longer than usual, oldest first.

    From the newest restorable time to now is none: that is how old the newest one is. Nor is a
    stretch in which backups were made and taken away since: old ones are thinned out. A hole in a
    log is always one: between two stretches of any moment no moment is thinned out.
    """
    holes = holes_in_logs(source)
    unusable = [point for point in ordered(source.points) if not point.usable]
    gone = sorted(utc(item.at) for item in source.history if item.key is None)
    made = sorted({*gone, *(utc(point.at) for point in source.points)})
    dates = [utc(point.at) for point in unusable]
    found = []
    for begin, end in stretches_without(source):
        inside = tuple(unusable[bisect_right(dates, begin) : bisect_left(dates, end)])
        thinned = bisect_right(gone, begin) < bisect_left(gone, end)
        usual = usual_between(made, begin, end, both_sides=not inside)
        if (begin, end) in holes:
            found.append(Gap(begin, end, timedelta(0), inside))
            continue
        if thinned and not inside:
            continue
        if usual is not None and end - begin > usual * UNUSUAL_TIMES:
            found.append(Gap(begin, end, usual, inside))
    return tuple(found)


def holes_in_logs(source: Source) -> frozenset[tuple[datetime, datetime]]:
    """Return from when to when a log is missing between stretches of any moment."""
    spans = sorted((utc(span.begin), utc(span.end)) for span in source.spans)
    logged = [(begin, end) for begin, end in spans if begin < end]
    return frozenset((before[1], after[0]) for before, after in pairwise(logged))


def stretches_without(source: Source) -> Iterator[tuple[datetime, datetime]]:
    """Yield from when to when nothing can be restored, between times that can."""
    spans = [(utc(span.begin), utc(span.end)) for span in source.spans]
    # A usable backup that says no time of its own is in no span.
    spans += [(utc(point.at), utc(point.at)) for point in source.points if point.usable]
    reached: datetime | None = None
    for begin, end in sorted(spans):
        if reached is not None and begin > reached:
            yield reached, begin
        reached = end if reached is None else max(reached, end)


def usual_between(
    made: Sequence[datetime], begin: datetime, end: datetime, *, both_sides: bool
) -> timedelta | None:
    """Return how long a stretch between backups may be at a place; None where too few tell.

    The longer of what is usual before and after: where old backups were thinned out the one is
    longer than the other. What occurs on both sides is usual too, as weekends are. With
    ``both_sides`` a place at the edge of what is known tells nothing.
    """
    count = STRETCHES_COMPARED_MAX + 1  # of times: one more than of stretches between them
    stop, start = bisect_right(made, begin), bisect_left(made, end)
    sides = (lengths(made[max(stop - count, 0) : stop]), lengths(made[start : start + count]))
    known = [side for side in sides if side]
    if not known or (both_sides and len(known) < len(sides)):
        return None
    shared = [min(side[-1] for side in known)] if len(known) == len(sides) else []
    return max(*map(usual_length, known), *shared, timedelta(0))


def lengths(made: Sequence[datetime]) -> list[timedelta]:
    """Return the stretches between backups, shortest first."""
    return sorted(later - earlier for earlier, later in pairwise(made))


def usual_length(sorted_lengths: Sequence[timedelta]) -> timedelta:
    """Return the longest stretch that is no exception."""
    return sorted_lengths[-2 if len(sorted_lengths) >= STRETCHES_WITH_OUTLIER_MIN else -1]
