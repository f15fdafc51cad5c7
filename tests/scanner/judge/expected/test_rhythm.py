"""How often a source is backed up, and how long the next backup is waited for."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.judge.expected.rhythm import Rhythm, backup_times, rhythm
from tests.scanner.judge.built_sources import Backup, source_of

DAY = timedelta(days=1)
MONDAY = datetime(2026, 3, 2, 22, tzinfo=UTC)


def at(*days: float) -> list[datetime]:
    return [MONDAY + day * DAY for day in days]


def weekdays(weeks: int) -> list[datetime]:
    return at(*(7 * week + day for week in range(weeks) for day in range(5)))


def test_four_backups_make_no_rhythm_and_five_do():
    assert rhythm(at(0, 1, 2, 3)) is None
    assert rhythm(at(0, 1, 2, 3, 4)) == Rhythm(DAY, DAY)


def test_a_nightly_backup_is_waited_for_over_a_weekend():
    assert rhythm(at(*range(10))).patience == timedelta(days=3, hours=12)


def test_a_backup_of_weekdays_is_waited_for_over_easter():
    found = rhythm(weekdays(4))
    assert found == Rhythm(DAY, 3 * DAY)
    # Thursday before Good Friday until Tuesday after Easter Monday.
    assert found.patience > 5 * DAY


def test_a_weekly_backup_may_be_missed_twice():
    assert rhythm(at(0, 7, 14, 21, 28)).patience == 21 * DAY


def test_logs_by_the_quarter_of_an_hour_leave_room_for_a_weekend():
    # Eight to six on weekdays: the twenty newest are of one afternoon.
    working = [day + timedelta(hours=hour / 4) for day in weekdays(3) for hour in range(41)]
    found = rhythm(working)
    assert found.usual == timedelta(minutes=15)
    assert found.longest == timedelta(days=2, hours=14)


def test_a_stretch_of_long_ago_is_forgotten():
    times = at(0, 60, *range(61, 110))
    assert rhythm(times).longest == DAY


def test_a_stretch_among_the_last_twenty_is_remembered_however_long_ago():
    times = at(0, 10, *range(20, 140, 7))
    assert rhythm(times).longest == 10 * DAY


def test_repeated_attempts_are_no_rhythm():
    times = [time + minutes for time in at(*range(8)) for minutes in (DAY / 1440, DAY / 720)]
    assert timedelta(hours=23) < rhythm(sorted(times)).usual <= DAY


def test_years_no_calendar_goes_before_are_no_trouble():
    times = [datetime(1, 1, day, tzinfo=UTC) for day in range(1, 7)]
    assert rhythm(times) == Rhythm(DAY, DAY)


def test_backups_that_are_gone_count_and_copies_do_not():
    first, second = at(0, 1)
    source = source_of(
        Backup(first, 10, gone=True), Backup(second, 10, path="a"), Backup(second, 10, path="b")
    )
    assert backup_times(source) == (first, second)


@given(
    st.lists(st.integers(1, 10_000), min_size=5, max_size=40, unique=True),
    st.integers(0, 5_000),
)
@settings(deadline=None, max_examples=50)
def test_a_last_backup_that_came_later_makes_nobody_less_patient(hours: list[int], more: int):
    times = at(*(hour / 24 for hour in sorted(hours)))
    later = [*times[:-1], times[-1] + timedelta(hours=more)]
    before, after = rhythm(times), rhythm(later)
    assert (before is None) == (after is None)
    assert before is None or after.patience >= before.patience
