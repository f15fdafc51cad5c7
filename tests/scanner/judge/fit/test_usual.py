"""What is usual: patterns that must not cry wolf, and sizes that must."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.core.model import Kind
from scanner.config import USUAL_MIN
from scanner.judge.fit.usual import Compared, compare, past_of

GIB = 1 << 30
MIB = 1 << 20
START = datetime(2026, 1, 6, 22, tzinfo=UTC)  # a Tuesday: the first week ends on a Monday
DAY = timedelta(days=1)
WEEK = timedelta(days=7)
HOUR = timedelta(hours=1)
MONDAY = 0

INCREMENTAL, DIFFERENTIAL, FULL, LOG = Kind.INCREMENTAL, Kind.DIFFERENTIAL, Kind.FULL, Kind.LOG
LARGER, SMALLER = Compared.LARGER, Compared.SMALLER


def compared(sizes: Sequence[int], step: timedelta, kind: Kind | None) -> list[Compared]:
    """Compare each of these sizes with those before it."""
    past = past_of((START + step * number, size) for number, size in enumerate(sizes))
    return [
        compare(past, START + step * number, size, kind).compared
        for number, size in enumerate(sizes)
    ]


def alarms(sizes: Sequence[int], step: timedelta, kind: Kind | None) -> list[int]:
    """Return the places of sizes that are unusual."""
    found = compared(sizes, step, kind)
    return [number for number, item in enumerate(found) if item in (SMALLER, LARGER)]


def nightly(days: int, *, seed: int = 1, monday: int = 30) -> list[int]:
    """Return increments of some 3 GiB, more on Mondays, nearly nothing on Sundays."""
    random = Random(seed)  # noqa: S311 - made-up sizes are no secret
    sizes = []
    for number in range(days):
        weekday = (START + DAY * number).weekday()
        base = {0: monday * GIB, 6: 40 * MIB}.get(weekday, 3 * GIB)
        sizes.append(round(base * random.uniform(0.8, 1.25)))
    return sizes


@pytest.mark.parametrize("seed", range(5))
def test_large_mondays_and_small_sundays_are_usual(seed):
    assert alarms(nightly(400, seed=seed), DAY, INCREMENTAL) == []


def test_a_night_larger_than_every_monday_is_not():
    sizes = [*nightly(60), 200 * GIB]
    assert compared(sizes, DAY, INCREMENTAL)[-1] is LARGER


def test_the_size_of_the_only_monday_is_usual_on_mondays_alone():
    sizes = [3 * GIB] * 20
    sizes[6] = 30 * GIB
    assert (START + DAY * 6).weekday() == MONDAY
    assert compared([*sizes[:9], 30 * GIB], DAY, INCREMENTAL)[-1] is LARGER
    assert compared([*sizes[:13], 30 * GIB], DAY, INCREMENTAL)[-1] is Compared.USUAL
    assert compared([*sizes[:14], 30 * GIB], DAY, INCREMENTAL)[-1] is LARGER


def test_growth_of_one_percent_a_week_is_usual_for_years():
    assert alarms([round(100 * GIB * 1.01**week) for week in range(150)], WEEK, FULL) == []


def test_shrinking_by_one_percent_a_week_is_usual_for_years():
    assert alarms([round(900 * GIB * 0.99**week) for week in range(150)], WEEK, FULL) == []


@pytest.mark.parametrize("minutes", [5, 15, 60, 240])
def test_logs_that_are_empty_at_night_and_on_sundays_are_usual(minutes):
    random = Random(7)  # noqa: S311 - made-up sizes are no secret
    step = timedelta(minutes=minutes)
    sizes = []
    for number in range(35 * 1440 // minutes):
        at = START + step * number
        idle = at.weekday() == 6 or not 7 <= at.hour < 20
        sizes.append(0 if idle else round(random.uniform(0.5, 1.5) * 500 * MIB))
    assert alarms(sizes, step, LOG) == []


def test_a_log_far_larger_than_any_other_is_unusual():
    sizes = [0 if number % 24 < 12 else 500 * MIB for number in range(24 * 12)]
    assert compared([*sizes, 20 * GIB], HOUR, LOG)[-1] is LARGER


def test_one_earlier_outlier_changes_nothing():
    sizes = [100 * GIB, 100 * GIB, 900 * GIB, *[100 * GIB] * 5]
    assert alarms(sizes, WEEK, FULL) == []
    assert compared([*sizes, 30 * GIB], WEEK, FULL)[-1] is SMALLER
    assert compared([*sizes, 3000 * GIB], WEEK, FULL)[-1] is LARGER


def test_constant_sizes_may_differ_by_a_little():
    assert alarms([100 * GIB] * 10 + [101 * GIB, 99 * GIB], WEEK, FULL) == []


def test_small_constant_sizes_may_differ_by_blocks():
    assert alarms([512] * 10 + [5000, 3 * MIB], WEEK, FULL) == []


@pytest.mark.parametrize(
    ("size", "outcome"),
    [(69, SMALLER), (71, Compared.USUAL), (149, Compared.USUAL), (151, LARGER)],
)
def test_a_full_is_unusual_beyond_seven_tenths_and_one_and_a_half(size, outcome):
    assert compared([100 * GIB] * 10 + [size * GIB], WEEK, FULL)[-1] is outcome


@pytest.mark.parametrize(
    ("size", "outcome"),
    [(49, SMALLER), (51, Compared.USUAL), (199, Compared.USUAL), (201, LARGER)],
)
@pytest.mark.parametrize("kind", [INCREMENTAL, DIFFERENTIAL, LOG])
def test_others_are_unusual_beyond_half_and_twice(kind, size, outcome):
    assert compared([100 * GIB] * 10 + [size * GIB], DAY, kind)[-1] is outcome


def test_sizes_that_scatter_widely_are_usual_further_out():
    sizes = [100, 20, 180, 60, 140, 30, 170, 90, 110, 50]
    assert alarms([size * GIB for size in [*sizes, 420]], DAY, INCREMENTAL) == []
    assert alarms([size * GIB for size in [*sizes, 440]], DAY, INCREMENTAL) == [10]


@pytest.mark.parametrize(("step", "kind"), [(WEEK, FULL), (DAY, INCREMENTAL)])
def test_two_alternating_sizes_are_both_usual(step, kind):
    assert alarms([60 * GIB, 800 * GIB] * 30, step, kind) == []


def test_a_full_that_stays_small_is_not_usual_after_two():
    sizes = [100 * GIB] * 30 + [5 * GIB] * 4
    assert compared(sizes, WEEK, FULL)[-4:] == [SMALLER] * 4


def test_a_new_size_is_usual_when_a_fifth_has_it():
    sizes = [100 * GIB] * 20 + [5 * GIB] * 12
    assert compared(sizes, WEEK, FULL)[-1] is Compared.USUAL


def test_differentials_that_start_again_with_each_full_are_usual():
    sizes = [(number % 6 + 1) * 10 * GIB for number in range(120)]
    assert alarms(sizes, DAY, DIFFERENTIAL) == []


def test_too_few_tell_nothing():
    few = [100 * GIB] * (USUAL_MIN - 1)
    assert compared([*few, GIB], WEEK, FULL)[-1] is Compared.LEARNING
    assert compared([*few, 100 * GIB, GIB], WEEK, FULL)[-1] is SMALLER


def test_increments_are_watched_for_more_than_a_week():
    assert compared([3 * GIB] * 9 + [90 * GIB], DAY, INCREMENTAL)[-2:] == [
        Compared.LEARNING,
        LARGER,
    ]


def test_of_an_unknown_kind_nothing_is_unusual():
    assert alarms([100 * GIB] * 10 + [GIB, 9000 * GIB], DAY, None) == []


def test_what_is_usual_is_the_median_of_earlier_ones_alone():
    sizes = [10, 20, 30, 40, 50, 1000, 2000]
    past = past_of((START + DAY * number, size * GIB) for number, size in enumerate(sizes))
    found = compare(past, START + DAY * 5, 1000 * GIB, FULL)
    assert (found.usual_bytes, found.count, found.span) == (30 * GIB, 5, DAY * 4)


def test_only_the_newest_sixty_tell_what_is_usual():
    sizes = [10 * GIB] * 70 + [90 * GIB] * 40
    past = past_of((START + DAY * number, size) for number, size in enumerate(sizes))
    found = compare(past, START + DAY * 110, 90 * GIB, FULL)
    assert (found.usual_bytes, found.count) == (90 * GIB, 110)


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 1000), min_size=5, max_size=40),
    kind=st.sampled_from([*Kind, None]),
    size=st.integers(0, 3000),
    data=st.data(),
)
def test_order_and_scale_change_nothing(sizes, kind, size, data):
    dated = [(START + DAY * number, one * GIB) for number, one in enumerate(sizes)]
    at = START + DAY * len(sizes)
    found = compare(past_of(dated), at, size * GIB, kind)
    shuffled = data.draw(st.permutations(dated))
    assert compare(past_of(shuffled), at, size * GIB, kind) == found
    doubled = past_of((when, 2 * one) for when, one in dated)
    assert compare(doubled, at, 2 * size * GIB, kind).compared is found.compared


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 1000), min_size=5, max_size=40),
    kind=st.sampled_from(list(Kind)),
    pair=st.tuples(st.integers(0, 3000), st.integers(0, 3000)),
)
def test_what_is_less_than_a_small_size_is_small_too(sizes, kind, pair):
    past = past_of((START + DAY * number, one * GIB) for number, one in enumerate(sizes))
    at = START + DAY * len(sizes)
    order = [SMALLER, Compared.USUAL, LARGER]
    less, more = (compare(past, at, size * GIB, kind).compared for size in sorted(pair))
    if Compared.LEARNING not in (less, more):
        assert order.index(less) <= order.index(more)
