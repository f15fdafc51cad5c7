"""The recovery calendar: what a day is worth, where a day begins, and what is a gap."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.judge.model import Verdict
from scanner.judge.sources.calendar import Day, DayState, Gap, calendar, gaps
from scanner.judge.sources.model import DatedBy, Source, Span
from tests.scanner.judge import backups
from tests.scanner.judge.dated import a_measure, a_point, a_source, sources_in
from tests.scanner.judge.rows import REPOSITORIES, Rows, bad

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = date(2026, 3, 9)
NIGHT = datetime(2026, 3, 9, 22, tzinfo=UTC)
VERDICTS = st.sampled_from(list(Verdict))
RANKS = [DayState.PROVEN, DayState.WEAK, DayState.UNPROVEN, DayState.LOST]


def nights(*verdicts: Verdict | None) -> Source:
    """Return a source with a backup each night from Monday on; None for a night without."""
    return a_source(
        a_point(number, NIGHT + timedelta(number), verdict)
        for number, verdict in enumerate(verdicts)
        if verdict is not None
    )


def shown(source: Source, first: date, count: int, zone: tzinfo = UTC) -> list[DayState]:
    return [day.state for day in week(source, first, count, zone)]


def week(source: Source, first: date, count: int, zone: tzinfo = UTC) -> tuple[Day, ...]:
    return calendar(source, first, first + timedelta(count - 1), zone)


def database(*sets: backups.BackupSet, zone: tzinfo = UTC) -> Source:
    repositories = [backups.REPOSITORY, backups.SECOND_REPOSITORY]
    (found,) = sources_in(backups.judged(sets).images, repositories, zone=zone)
    return found


def hours(number: float) -> float:
    """Return hours after Saturday, 14 March 2026, 06:00 UTC as the builder counts: in minutes."""
    return number * 60


def test_a_day_is_worth_its_best_backup() -> None:
    source = nights(Verdict.SOUND, Verdict.WEAKENED, Verdict.UNPROVEN, Verdict.DAMAGED, None)
    assert shown(source, MONDAY - timedelta(1), 6) == [
        DayState.BEFORE,
        DayState.PROVEN,
        DayState.WEAK,
        DayState.UNPROVEN,
        DayState.LOST,
        DayState.NONE,
    ]


@pytest.mark.parametrize("verdict", [Verdict.EMPTY, Verdict.INCOMPLETE, Verdict.DAMAGED])
def test_backups_that_do_not_restore_make_a_lost_day(verdict: Verdict) -> None:
    assert shown(nights(verdict), MONDAY, 1) == [DayState.LOST]


def test_a_second_backup_of_the_day_saves_it() -> None:
    bad_one = a_point(1, NIGHT, Verdict.DAMAGED)
    good_one = a_point(2, NIGHT - timedelta(hours=3))
    (day,) = week(a_source([bad_one, good_one]), MONDAY, 1)
    assert day.state is DayState.PROVEN
    assert day.points == (good_one, bad_one), "oldest first"


def test_a_source_never_backed_up_has_only_days_before_its_first_backup() -> None:
    assert shown(a_source(), MONDAY, 3) == [DayState.BEFORE] * 3
    assert gaps(a_source()) == ()


def test_a_backup_that_is_gone_is_counted_and_makes_the_days_after_it_days_without() -> None:
    source = replace(nights(None, Verdict.SOUND), history=(a_measure(NIGHT), a_measure(NIGHT, 1)))
    monday, tuesday = week(source, MONDAY, 2)
    assert (monday.state, monday.gone) == (DayState.NONE, 1)
    assert (tuesday.state, tuesday.gone) == (DayState.PROVEN, 0)


def test_days_are_those_of_the_zone() -> None:
    source = a_source([a_point(1, datetime(2026, 3, 9, 23, 30, tzinfo=UTC))])
    assert shown(source, MONDAY, 2, UTC) == [DayState.PROVEN, DayState.NONE]
    assert shown(source, MONDAY, 2, BERLIN) == [DayState.BEFORE, DayState.PROVEN]


def test_a_backup_dated_by_its_file_alone_counts_like_any_other() -> None:
    rows = Rows()
    rows.backup("vm/disk.qcow2", file={"mtime": NIGHT})
    (source,) = sources_in(rows.judged().images, REPOSITORIES)
    (day,) = week(source, MONDAY, 1)
    assert day.state is DayState.PROVEN
    assert [point.dated_by for point in day.points] == [DatedBy.FILE]


def test_times_at_the_end_of_all_calendars_are_no_accident() -> None:
    last = datetime(9999, 12, 31, 23, tzinfo=ZoneInfo("America/New_York"))
    first = datetime(1, 1, 1, tzinfo=BERLIN)
    source = a_source([a_point(1, first), a_point(2, NIGHT), a_point(3, last)])
    assert shown(source, MONDAY, 2, BERLIN) == [DayState.PROVEN, DayState.NONE]


# Stretches of time


def test_a_log_made_after_midnight_covers_the_night_before() -> None:
    source = database(
        backups.full("F", 100, 110, at=hours(2)),
        backups.log("L1", 105, 200, at=hours(10)),
        backups.log("L2", 200, 300, at=hours(20)),
    )
    saturday, sunday = week(source, date(2026, 3, 14), 2)
    at = backups.minute
    midnight = datetime(2026, 3, 15, tzinfo=UTC)
    assert saturday.moments == (Span(at(hours(2)), midnight),)
    assert sunday.moments == (Span(midnight, at(hours(20))),)
    assert (saturday.covered_seconds, sunday.covered_seconds) == (16 * 3600, 2 * 3600)
    assert saturday.restorable_moments


def test_a_day_without_backups_is_proven_by_the_log_that_covers_it() -> None:
    sets = (
        backups.full("F", 100, 110, at=0),
        backups.log("L1", 105, 300, at=hours(50)),
    )
    sunday = date(2026, 3, 15)
    (day,) = week(database(*sets), sunday, 1)
    assert (day.state, day.points, day.covered_seconds) == (DayState.PROVEN, (), 86_400)
    weak = (sets[0], backups.worse(sets[1], Verdict.WEAKENED))
    assert shown(database(*weak), sunday, 1) == [DayState.WEAK]
    damaged = (sets[0], backups.worse(sets[1], Verdict.DAMAGED))
    assert shown(database(*damaged), sunday, 1) == [DayState.NONE]


def test_a_day_whose_only_backup_is_damaged_can_still_be_covered_by_a_log() -> None:
    source = database(
        backups.full("F", 100, 110, at=0),
        backups.differential("D", "F", 150, 160, at=hours(30), verdict=Verdict.DAMAGED),
        backups.log("L1", 105, 300, at=hours(50)),
    )
    assert shown(source, date(2026, 3, 15), 1) == [DayState.PROVEN]


def test_a_single_moment_is_no_stretch() -> None:
    source = a_source([a_point(1, NIGHT)])
    (day,) = week(source, MONDAY, 1)
    assert (day.moments, day.covered_seconds, day.restorable_moments) == ((), 0, False)


def test_days_on_which_clocks_change_have_23_and_25_hours() -> None:
    span = Span(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
    source = a_source(spans=[span], history=[a_measure(span.begin)])
    for day, length in ((date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (MONDAY, 24)):
        (found,) = week(source, day, 1, BERLIN)
        assert (found.length_seconds, found.covered_seconds) == (length * 3600, length * 3600)


def test_the_hour_that_comes_twice_is_two_hours() -> None:
    first = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN)
    span = Span(first, first.replace(fold=1))
    source = a_source(spans=[span], history=[a_measure(first)])
    (day,) = week(source, date(2026, 10, 25), 1, BERLIN)
    assert day.covered_seconds == 3600


# Gaps


def gap_days(source: Source) -> list[tuple[int, int, list[int]]]:
    """Return begin and end of each gap in nights after Monday, and what lies there."""
    return [
        ((gap.begin - NIGHT).days, (gap.end - NIGHT).days, [point.key for point in gap.points])
        for gap in gaps(source)
    ]


SOUND, DAMAGED = Verdict.SOUND, Verdict.DAMAGED


def test_a_steady_rhythm_has_no_gap() -> None:
    assert gap_days(nights(*[SOUND] * 20)) == []


def test_damaged_nights_between_sound_ones_are_a_gap() -> None:
    source = nights(*[SOUND] * 5, DAMAGED, DAMAGED, *[SOUND] * 5)
    assert gap_days(source) == [(4, 7, [5, 6])]
    assert gaps(source)[0].usual == timedelta(1)


def test_nights_without_a_backup_are_a_gap() -> None:
    assert gap_days(nights(*[SOUND] * 5, None, None, *[SOUND] * 5)) == [(4, 7, [])]


def test_a_backup_that_comes_some_hours_late_leaves_no_gap() -> None:
    times = [NIGHT + timedelta(number) for number in range(10)]
    times[5] += timedelta(hours=11)
    points = [a_point(number, at) for number, at in enumerate(times)]
    assert gaps(a_source(points)) == ()


def test_weekends_without_a_backup_are_as_usual() -> None:
    source = nights(*([SOUND] * 5 + [None] * 2) * 4)
    assert gap_days(source) == []


def test_old_backups_that_were_thinned_out_leave_no_gaps() -> None:
    ages = [*range(30), 37, 44, 51, 80, 110, 140]
    points = [a_point(number, NIGHT - timedelta(age)) for number, age in enumerate(ages)]
    assert gaps(a_source(points)) == ()


def test_backups_that_were_there_and_are_gone_leave_no_gap() -> None:
    source = nights(*[SOUND] * 6, None, None, None, *[SOUND] * 6)
    assert gap_days(source) == [(5, 9, [])]
    gone = tuple(a_measure(NIGHT + timedelta(number)) for number in (6, 7, 8))
    assert gaps(replace(source, history=gone)) == ()


def test_what_is_lost_since_the_newest_restorable_point_is_no_gap() -> None:
    assert gap_days(nights(*[SOUND] * 5, DAMAGED, DAMAGED, DAMAGED)) == []
    assert gap_days(nights(DAMAGED, DAMAGED, *[SOUND] * 5)) == []


def test_at_the_edge_of_what_is_known_only_backups_that_do_not_restore_make_a_gap() -> None:
    assert gap_days(nights(*[SOUND] * 5, DAMAGED, SOUND)) == [(4, 6, [5])]
    assert gap_days(nights(*[SOUND] * 5, None, SOUND)) == []


def test_too_few_backups_make_no_rhythm() -> None:
    assert gap_days(nights(SOUND, None, None, None, SOUND)) == []
    assert gap_days(nights(SOUND, DAMAGED, SOUND)) == []


def test_a_damaged_log_is_a_gap_in_what_logs_cover() -> None:
    logs = [backups.log(f"L{n}", 100 * n, 100 * n + 100, at=10 * n) for n in range(1, 12)]
    logs[5] = backups.worse(logs[5], Verdict.DAMAGED)
    second = backups.full("G", 950, 960, at=85)
    source = database(backups.full("F", 90, 120, at=5), *logs, second)
    at = backups.minute
    (gap,) = gaps(source)
    assert (gap.begin, gap.end) == (at(50), at(85))
    assert len(gap.points) == 3, "the damaged log, and two that only follow it"
    assert isinstance(gap, Gap)


def test_a_log_that_was_deleted_is_a_gap_however_short() -> None:
    logs = [backups.log(f"L{n}", 100 * n, 100 * n + 100, at=10 * n) for n in range(1, 12)]
    second = backups.full("G", 740, 760, at=69)
    at = backups.minute
    source = database(backups.full("F", 90, 120, at=5), *logs, second)
    assert gaps(source) == ()
    missing = database(backups.full("F", 90, 120, at=5), *logs[:5], *logs[6:], second)
    assert [(gap.begin, gap.end, gap.usual) for gap in gaps(missing)] == [
        (at(50), at(69), timedelta(0))
    ]


# Properties


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 200), VERDICTS), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
def test_order_changes_nothing_and_green_needs_a_sound_point(
    drawn: list[tuple[int, Verdict]], random: Random
) -> None:
    points = [
        a_point(number, NIGHT + timedelta(hours=hour), verdict)
        for number, (hour, verdict) in enumerate(drawn)
    ]
    found = week(a_source(points), MONDAY, 10, BERLIN)
    for day in found:
        sound = any(point.ruling.verdict is Verdict.SOUND for point in day.points)
        assert (day.state is DayState.PROVEN) == sound
    random.shuffle(points)
    source = a_source(points)
    assert week(source, MONDAY, 10, BERLIN) == found
    assert gaps(source) == gaps(a_source(sorted(points, key=lambda point: point.at)))


@settings(deadline=None, max_examples=40)
@given(st.lists(VERDICTS, min_size=6, max_size=6), st.integers(0, 5), VERDICTS)
def test_a_worse_backup_of_a_database_never_improves_a_day(
    verdicts: list[Verdict], changed: int, other: Verdict
) -> None:
    sets = [replace(item, verdict=Verdict.SOUND) for item in days_of_logs()]
    verdicts = [Verdict.UNPROVEN if item is Verdict.EMPTY else item for item in verdicts]
    other = Verdict.UNPROVEN if other is Verdict.EMPTY else other
    before = [backups.worse(*pair) for pair in zip(sets, verdicts, strict=True)]
    after = list(before)
    after[changed] = backups.worse(before[changed], max(other, verdicts[changed]))
    first, count = date(2026, 3, 13), 8
    for was, now in zip(
        week(database(*before), first, count), week(database(*after), first, count), strict=True
    ):
        assert rank(now) >= rank(was), (was, now)
        assert now.covered_seconds <= was.covered_seconds


def rank(day: Day) -> int:
    return RANKS.index(day.state) if day.state in RANKS else len(RANKS)


def days_of_logs() -> tuple[backups.BackupSet, ...]:
    """A full, a log every two days, and a differential between."""
    return (
        backups.full("F", 100, 110, at=0),
        backups.log("L1", 95, 200, at=hours(48)),
        backups.log("L2", 200, 300, at=hours(96)),
        backups.differential("D", "F", 240, 250, at=hours(70)),
        backups.log("L2copy", 200, 300, at=hours(96)),
        backups.log("L3", 300, 400, at=hours(140)),
    )


def test_a_worse_disk_image_never_improves_a_day() -> None:
    rows = Rows()
    rows.backup("vm/a.qcow2", identity="a", created_at=NIGHT)
    sound = week(sources_in(rows.judged().images, REPOSITORIES)[0], MONDAY, 2)
    spoiled = Rows()
    spoiled.backup("vm/a.qcow2", [bad()], identity="a", created_at=NIGHT)
    lost = week(sources_in(spoiled.judged().images, REPOSITORIES)[0], MONDAY, 2)
    assert [day.state for day in sound] == [DayState.PROVEN, DayState.NONE]
    assert [day.state for day in lost] == [DayState.LOST, DayState.NONE]
