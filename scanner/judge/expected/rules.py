"""What is expected of a source, and is not so: by the configuration, or by its own habit.

Two moments matter. A restore may be needed *now*, and what is proven by then counts. That no backup
was made is known only as of the *last look*: what arrived since is in no ledger. What would be late
by now, and was not yet when a scan last looked, is therefore said and alarms nobody.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from scanner.config import SQL_RETIRED_AGE
from scanner.expectations import Expectations, SourceExpectation, last_time, next_time
from scanner.expectations.quantities import duration_text
from scanner.judge.advice import Advice, Severity
from scanner.judge.expected.pace import pace, restore_seconds
from scanner.judge.expected.rhythm import BACKUPS_MIN, Rhythm, backup_times, rhythm
from scanner.judge.expected.words import every, lasting, moment, old
from scanner.judge.sources.model import Measure, Source
from scanner.judge.sources.saying import said
from scanner.judge.words import counted, size
from scanner.ledger.rows import RunRow

GRACE_SHARE = 0.25
"""How late a backup may come, as a share of the time until the next one is due ..."""

GRACE_MIN = timedelta(hours=1)
GRACE_MAX = timedelta(hours=12)
"""... but never less than an hour, nor more than half a day."""

EARLY_MAX = timedelta(hours=1)
"""A backup may seem to come before its time: clocks differ, some by summer time."""

AHEAD_MAX = timedelta(days=1)
"""Local times of a machine are read in another zone than its own: less than a day is no wonder."""

LEARNING_AGE_MAX = timedelta(days=35)
"""After so long without another, two or three backups begin no rhythm: they were made by hand."""

RHYTHMS_UNTIL_RETIRED = 2
SEVERAL = 2
A_SECOND = timedelta(seconds=1)

SQL_SAYS_SO = frozenset({"sql.full-too-old", "sql.log-backups-missing"})
"""Rules about databases after which nothing needs to be said of backups that do not come."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What all sources are held to; made by `terms_of`.

    ``represented`` are the declared sources of which any image is there, ``lying`` is what each
    image that is there measured (see `sign`).
    """

    expectations: Expectations
    bytes_per_second: float | None
    represented: frozenset[str]
    lying: frozenset[tuple[object, ...]]
    now: datetime
    zone: tzinfo


def terms_of(
    sources: Iterable[Source],
    runs: Sequence[RunRow],
    expectations: Expectations,
    now: datetime,
    zone: tzinfo,
) -> Terms:
    """Return what all sources are held to."""
    every_source = tuple(sources)
    return Terms(
        expectations,
        pace(runs),
        frozenset(one.declared.name for one in every_source if one.declared and one.images),
        frozenset(
            sign(measure)
            for one in every_source
            for measure in one.history
            if measure.key is not None
        ),
        now,
        zone,
    )


@dataclass(frozen=True, slots=True)
class Subject:
    """A source as the rules see it. ``times`` are those of its backups, oldest first.

    ``rhythm`` is how often it is backed up, None where that is not known; ``looked_at`` when a scan
    last found any of its files. ``spoken`` names the rules that have warned of it already.
    """

    source: Source
    terms: Terms
    times: tuple[datetime, ...]
    rhythm: Rhythm | None
    looked_at: datetime
    spoken: frozenset[str]

    @property
    def age(self) -> timedelta:
        """How old the newest backup is, of any verdict."""
        return self.terms.now - self.times[-1]

    @property
    def retired(self) -> bool:
        """Whether nothing more is expected of it."""
        if self.source.declared is not None and self.source.declared.required:
            return False
        found = self.rhythm
        wait = timedelta() if found is None else RHYTHMS_UNTIL_RETIRED * found.patience
        return bool(self.times) and self.age > max(SQL_RETIRED_AGE, wait)

    @property
    def awaited(self) -> bool:
        """Whether the limits for sources that do not say hold for it: another backup will come."""
        if self.source.declared is not None:
            return True
        return len(self.times) >= SEVERAL and not self.retired

    def shown(self, at: datetime) -> str:
        """Return a moment as messages spell it."""
        return moment(at, self.terms.zone)


Said = tuple[Severity, str] | None


@dataclass(frozen=True, slots=True)
class ExpectedRule:
    """One line of the table: its name, and what it says of a source, if anything."""

    name: str
    says: Callable[[Subject], Said]


def expected_advice(
    source: Source, terms: Terms, already: Collection[Advice] = ()
) -> Iterator[Advice]:
    """Yield what is to be said of a source; ``already`` is what other rules said of it."""
    spoken = frozenset(item.rule for item in already if item.severity is Severity.WARNING)
    seen = (file.seen_at for image in source.images for file in image.files)
    looked_at = min(max(seen, default=terms.now), terms.now)
    times = backup_times(source)
    subject = Subject(source, terms, times, rhythm(times), looked_at, spoken)
    for rule in RULES:
        found = rule.says(subject)
        if found is not None:
            severity, sentence = found
            yield said(source, rule.name, severity, sentence)


def missing(subject: Subject) -> Said:
    """The configuration names it, and there is no backup of it."""
    declared = subject.source.declared
    if subject.source.images or declared is None or not declared.required:
        return None
    if is_represented(subject):
        return None  # one of several that one declaration is about: such a one may be no more
    if not subject.times:
        return Severity.WARNING, "no backup of it was ever seen"
    return Severity.WARNING, what_was_left(subject)


def gone(subject: Subject) -> Said:
    """There were backups of it not long ago, and none is left."""
    source, declared = subject.source, subject.source.declared
    if source.images or not source.history or subject.age > SQL_RETIRED_AGE:
        return None
    if declared is not None and not (declared.required and is_represented(subject)):
        return None  # nobody asks for it, or `missing` says so
    newest = source.history[-1]
    if sign(newest) in subject.terms.lying:
        return None  # it was moved, and is of another source now
    # One backup alone may have been made by hand, for a day.
    severity = Severity.WARNING if len(subject.times) >= SEVERAL else Severity.ADVICE
    return severity, what_was_left(subject)


def sign(measure: Measure) -> tuple[object, ...]:
    """Return what one image measures alike wherever it lies, and hardly any other one does.

    Date and size are not enough: fixed disks of two machines are equally long every night.
    """
    sizes = (measure.source_bytes, measure.payload_bytes, measure.nonzero_bytes, measure.file_bytes)
    return (measure.at, measure.kind, *sizes)


def is_represented(subject: Subject) -> bool:
    """Whether there are images of any source that the same declaration is about."""
    declared = subject.source.declared
    return declared is not None and declared.name in subject.terms.represented


def what_was_left(subject: Subject) -> str:
    """Say what there was of a source of which nothing is left."""
    newest = subject.source.history[-1]
    when = f"{newest.path!r}, made {subject.shown(newest.at)}"
    if len(subject.times) < SEVERAL:
        return f"its only backup is gone: {when}"
    return f"none of its {counted(len(subject.times), 'backup')} is left; the last was {when}"


def older_than_rpo(subject: Subject) -> Said:
    """What can be restored is older than it may be."""
    limit = rpo_of(subject)
    if limit is None or not subject.source.images:
        return None
    until = restorable_until(subject.source)
    if until is None:
        text = f"no backup of it is proven to restore; expected within {duration_text(limit)}"
        return Severity.WARNING, text
    age = subject.terms.now - until
    if age <= limit:
        return None
    text = (
        f"newest restorable point {subject.shown(until)}, {old(age)} ago; "
        f"expected within {duration_text(limit)}"
    )
    if subject.looked_at - until <= limit:
        text += f"; no scan looked for a newer one since {subject.shown(subject.looked_at)}"
    return Severity.WARNING, text


def rpo_of(subject: Subject) -> timedelta | None:
    """Return how old the newest restorable point may be, where that is limited."""
    expectations, declared = subject.terms.expectations, subject.source.declared
    if not subject.awaited:
        return None
    return expectations.defaults.rpo if declared is None else expectations.rpo(declared)


def restorable_until(source: Source) -> datetime | None:
    """Return the newest moment a source can be restored to."""
    ends = [span.end for span in source.spans]
    if source.newest is not None:
        ends.append(source.newest.at)
    return max(ends, default=None)


def ahead(subject: Subject) -> Said:
    """Its newest backup is of a day to come: no rule that asks for a newer one could apply."""
    last = subject.source.last
    if last is None or last.at - subject.terms.now <= AHEAD_MAX:
        return None
    path = next(image.path for image in subject.source.images if image.key == last.key)
    return Severity.WARNING, (
        f"newest backup {path!r} is dated {subject.shown(last.at)}, which is yet to come: until "
        "then nobody can tell whether newer ones come"
    )


def late(subject: Subject) -> Said:
    """A backup was due by schedule, and none was made since."""
    declared = subject.source.declared
    if declared is None or declared.schedule is None or not subject.source.images:
        return None
    newest = subject.times[-1]
    for severity, at in (
        (Severity.WARNING, subject.looked_at),
        (Severity.ADVICE, subject.terms.now),
    ):
        due = due_by(declared.schedule, at, subject.terms.zone)
        if newest < in_utc(due) - early(declared.schedule, due):
            text = f"no backup since {subject.shown(newest)}; one was due {subject.shown(due)}"
            return severity, text + unwatched(subject, severity)
    return None


def due_by(schedule: str, at: datetime, zone: tzinfo) -> datetime:
    """Return the last scheduled time for which the wait is over at a moment."""
    # `last_time` leaves out the moment itself.
    due = last_time(schedule, (at - GRACE_MIN + A_SECOND).astimezone(zone))
    while in_utc(due) + grace(schedule, due) > at:
        due = last_time(schedule, due)
    return due


def grace(schedule: str, due: datetime) -> timedelta:
    """Return how long a backup that was due is waited for."""
    return min(max(until_next(schedule, due) * GRACE_SHARE, GRACE_MIN), GRACE_MAX)


def early(schedule: str, due: datetime) -> timedelta:
    """Return how long before its time a backup still counts as the one that was due."""
    return min(until_next(schedule, due) * GRACE_SHARE, EARLY_MAX)


def until_next(schedule: str, due: datetime) -> timedelta:
    """Return the time between two scheduled times."""
    return in_utc(next_time(schedule, due)) - in_utc(due)


def in_utc(at: datetime) -> datetime:
    """Return a moment in UTC: Python takes two of one zone as the clock on the wall shows them."""
    return at.astimezone(UTC)


def unwatched(subject: Subject, severity: Severity) -> str:
    """Say since when nobody looked, where that is why something is no warning."""
    if severity is Severity.WARNING:
        return ""
    return f"; no scan has looked since {subject.shown(subject.looked_at)}"


def overdue(subject: Subject) -> Said:
    """Backups came in a rhythm, and do not come any more; nobody needs to declare anything."""
    source, found = subject.source, subject.rhythm
    if found is None or not source.images or subject.retired or SQL_SAYS_SO & subject.spoken:
        return None
    limit = rpo_of(subject)
    if is_scheduled(source.declared) or (limit is not None and limit <= found.patience):
        return None  # the configuration says it better, and earlier
    if subject.age <= found.patience:
        return None
    looked = subject.looked_at - subject.times[-1] > found.patience
    severity = Severity.WARNING if looked else Severity.ADVICE
    text = f"no backup for {old(subject.age)}; usually one every {every(found.usual)}"
    return severity, text + unwatched(subject, severity)


def is_scheduled(declared: SourceExpectation | None) -> bool:
    """Whether it is declared when backups are due."""
    return declared is not None and declared.schedule is not None


def learning(subject: Subject) -> Said:
    """It is not known yet how often backups come, so none is missed."""
    count, source = len(subject.times), subject.source
    if not SEVERAL <= count < BACKUPS_MIN or not source.images or subject.age > LEARNING_AGE_MAX:
        return None
    if is_scheduled(source.declared) or rpo_of(subject) is not None:
        return None
    text = (
        f"{counted(count, 'backup')} so far: from {BACKUPS_MIN} on it is known how often they "
        "come, and one that does not come is missed"
    )
    return Severity.ADVICE, text


def slower_than_rto(subject: Subject) -> Said:
    """Reading what a restore of the newest point needs takes longer than the restore may."""
    expectations, declared = subject.terms.expectations, subject.source.declared
    point, rate = subject.source.newest, subject.terms.bytes_per_second
    limit = expectations.defaults.rto if declared is None else expectations.rto(declared)
    if limit is None or point is None or rate is None or not subject.awaited:
        return None
    seconds = restore_seconds(point, rate)
    if seconds is None or seconds <= limit.total_seconds():
        return None
    needs = "image" if point.steps == 1 else counted(point.steps, "image")
    return Severity.WARNING, (
        f"reading the {needs} its newest point needs, {size(point.restore_bytes)} at the measured "
        f"{size(int(rate))}/s, takes at least {lasting(seconds)}; "
        f"expected within {duration_text(limit)}"
    )


def undeclared(subject: Subject) -> Said:
    """The configuration names sources, and not this one."""
    expectations, source = subject.terms.expectations, subject.source
    wanted = expectations.defaults.undeclared
    if not expectations.sources or source.declared is not None or not source.images:
        return None
    if wanted == "ignore":
        return None
    count = counted(len(source.points), "backup")
    text = f"no source of the configuration claims its {count}"
    return (Severity.WARNING if wanted == "warning" else Severity.ADVICE), text


RULES: tuple[ExpectedRule, ...] = (
    ExpectedRule("source.missing", missing),
    ExpectedRule("source.gone", gone),
    ExpectedRule("source.rpo", older_than_rpo),
    ExpectedRule("source.ahead", ahead),
    ExpectedRule("source.late", late),
    ExpectedRule("source.overdue", overdue),
    ExpectedRule("source.learning", learning),
    ExpectedRule("source.rto", slower_than_rto),
    ExpectedRule("source.undeclared", undeclared),
)
