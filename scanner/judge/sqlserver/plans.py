"""In which order to restore the backups of a database, and to which times.

What a plan uses is proven: every set in it is sound or weakened. A log is taken to hold everything
up to the start of its backup, which is the least it holds; what was logged while it was written may
be in it or in the next one.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from scanner.judge.sqlserver.databases import Database
from scanner.judge.sqlserver.lsn import BackupSet, Way, instant, ways


@dataclass(frozen=True, slots=True)
class Plan:
    """Backup sets to restore, in order. ``at`` is where to stop, None for the end of the last."""

    steps: tuple[BackupSet, ...]
    at: datetime | None = None

    @property
    def reached(self) -> datetime | None:
        """The time the database is restored to; None where the backup has no date."""
        return self.at or self.steps[-1].finished


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Any time from ``begin`` to ``end`` can be restored, with these sets."""

    begin: datetime
    end: datetime
    sets: tuple[BackupSet, ...]


def newest_plan(database: Database, known: Mapping[int, Way]) -> Plan | None:
    """Return the plan that leads to the latest time; None where nothing restores."""
    usable = [known[item.key] for item in database.sets if is_usable(item, known)]
    newest = max(
        usable, key=lambda way: (way.item.end, way.item.last_lsn, -way.steps), default=None
    )
    return Plan(steps_to(newest.item, known)) if newest else None


def is_usable(item: BackupSet, known: Mapping[int, Way]) -> bool:
    """Whether a set restores, with everything it needs."""
    way = known.get(item.key)
    return way is not None and way.usable


def steps_to(item: BackupSet, known: Mapping[int, Way]) -> tuple[BackupSet, ...]:
    """Return a set with everything that is restored before it, in order."""
    steps = [item]
    while (after := known[steps[-1].key].after) is not None:
        steps.append(after)
    return tuple(reversed(steps))


def plan_at(database: Database, at: datetime) -> Plan | None:
    """Return the plan that restores the database as it was at a time; None where none does.

    A time without a zone is local to the server, as ``STOPAT`` has it. Of databases with several
    recovery forks the log that was written first after that time knows best.
    """
    early = [item for item in database.family if not leads_past(item, at)]
    known = ways(early)
    logs = [known[item.key] for item in database.sets if covers(item, at) and item.key in known]
    usable = [way for way in logs if way.usable]
    best = min(
        usable,
        key=lambda way: (instant(way.item.started), way.item.last_lsn, way.steps),
        default=None,
    )
    if best is not None:
        return Plan(steps_to(best.item, known), at)
    # The end of what cannot be stopped within is a time as well.
    ends = (
        item
        for item in database.sets
        if (not item.is_log or item.bulk_logged) and is_usable(item, known)
    )
    exact = (item for item in ends if item.finished and not_after(at, item.finished))
    end = next(exact, None)
    return Plan(steps_to(end, known)) if end is not None else None


def leads_past(item: BackupSet, at: datetime) -> bool:
    """Whether restoring a set leads past a time, from where nothing leads back.

    Logs are stopped at the time, but for those with bulk-logged operations.
    """
    if item.is_log and not item.bulk_logged:
        return False
    return item.finished is None or not not_after(item.finished, at)


def covers(item: BackupSet, at: datetime) -> bool:
    """Whether a log surely holds everything up to a time, and can be stopped there.

    A log with bulk-logged operations is applied to its end or not at all (RESTORE, "STOPAT").
    """
    return (
        item.is_log
        and not item.bulk_logged
        and item.started is not None
        and not_after(at, item.started)
    )


def not_after(one: datetime, other: datetime) -> bool:
    """Whether a time is not later than another; by the server's clock unless both have zones."""
    if one.tzinfo is None or other.tzinfo is None:
        return one.replace(tzinfo=None) <= other.replace(tzinfo=None)
    return one <= other


def time_ranges(database: Database, known: Mapping[int, Way]) -> tuple[TimeRange, ...]:
    """Return every stretch of time to any moment of which the database can be restored."""
    usable = [item for item in database.family if is_usable(item, known)]
    states = Reached.of(usable)
    own = {item.key for item in database.sets}
    pieces: list[TimeRange] = []
    earliest: dict[int, datetime] = {}
    for item in usable:
        before = states.first_before(item) if item.is_log else None
        start = item.finished if before is None else earliest.get(before.key)
        if start is None or item.finished is None:
            continue
        # No earlier than the full was finished, however early the log behind it was begun.
        earliest[item.key] = start
        if before is None or item.bulk_logged:
            piece = TimeRange(item.finished, item.finished, (item,))
        else:
            begin = max(start, known_until(before) or start, key=instant)
            piece = TimeRange(begin, item.started or begin, (item,))
        if item.key in own:
            pieces.append(piece)
    return tuple(merged(pieces))


def known_until(item: BackupSet) -> datetime | None:
    """Return up to when a set tells everything: where the log after it takes over."""
    return item.started if item.is_log and not item.bulk_logged else item.finished


def merged(pieces: Iterable[TimeRange]) -> list[TimeRange]:
    """Join stretches of time that touch."""
    whole: list[tuple[datetime, datetime, list[BackupSet]]] = []
    for piece in sorted(pieces, key=lambda item: (instant(item.begin), instant(item.end))):
        if instant(piece.end) < instant(piece.begin):
            continue  # the log ended before the backup it is applied to: it adds no time
        if whole and instant(piece.begin) <= instant(whole[-1][1]):
            begin, end, sets = whole[-1]
            sets.extend(piece.sets)
            whole[-1] = (begin, max(end, piece.end, key=instant), sets)
        else:
            whole.append((piece.begin, piece.end, list(piece.sets)))
    return [TimeRange(begin, end, tuple(sets)) for begin, end, sets in whole]


@dataclass(frozen=True, slots=True)
class Reached:
    """The states that can be restored, by recovery fork, along the log."""

    by_fork: Mapping[str | None, list[BackupSet]]

    @classmethod
    def of(cls, sets: Iterable[BackupSet]) -> "Reached":
        """Index sets that are given along the log."""
        by_fork: dict[str | None, list[BackupSet]] = {}
        for item in sets:
            by_fork.setdefault(item.fork, []).append(item)
        return cls(by_fork)

    def first_before(self, log: BackupSet) -> BackupSet | None:
        """Return the earliest state that a log can be applied to."""
        found = []
        for fork, limit in ((log.fork, log.last_lsn), (log.first_fork, log.fork_point)):
            sets = self.by_fork.get(fork, [])
            index = bisect_left(sets, log.first_lsn, key=lambda item: item.last_lsn)
            fits = limit is not None and index < len(sets) and sets[index].last_lsn <= limit
            if fits and sets[index].key != log.key:
                found.append(sets[index])
        return min(found, key=lambda item: item.last_lsn, default=None)
