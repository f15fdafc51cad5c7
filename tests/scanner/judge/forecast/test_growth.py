"""Sizes to come from sizes that were: exact on a line, unmoved by outliers, never too sure."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.judge.forecast.growth import MEASURES_MAX, WIDTH_MIN, Dated, trend, usual

START = datetime(2026, 1, 2, 22, tzinfo=UTC)
GB = 10**9


def weeks(*sizes):
    return [Dated(START + timedelta(weeks=index), size) for index, size in enumerate(sizes)]


def week(number):
    return START + timedelta(weeks=number)


def test_a_line_is_followed():
    low, likely, high = trend(weeks(*(100 * GB + 5 * GB * index for index in range(10))), week(10))
    assert likely == pytest.approx(150 * GB)
    assert (low, high) == (pytest.approx(147 * GB), pytest.approx(153 * GB))


def test_outliers_do_not_turn_the_line():
    sizes = [100 * GB + 5 * GB * index for index in range(10)]
    sizes[3], sizes[6], sizes[8] = 900 * GB, 1 * GB, 0
    _, likely, _ = trend(weeks(*sizes), week(10))
    assert likely == pytest.approx(150 * GB, rel=0.05)


def test_what_scatters_is_predicted_with_what_it_scattered_by():
    sizes = [100 * GB + (4 * GB if index % 2 else -4 * GB) for index in range(12)]
    low, likely, high = trend(weeks(*sizes), week(12))
    assert likely == pytest.approx(100 * GB, rel=0.05)
    assert high - likely > 3 * 4 * GB
    assert likely - low > 3 * 4 * GB


def test_no_prediction_is_surer_than_two_percent():
    low, likely, high = trend(weeks(*[100 * GB] * 12), week(12))
    assert (low, likely, high) == (98 * GB, 100 * GB, 102 * GB)


def test_one_backup_may_be_a_fifth_off():
    low, likely, high = trend(weeks(100 * GB), week(1))
    assert (low, likely, high) == (80 * GB, 100 * GB, 120 * GB)


def test_the_fewer_there_are_the_wider():
    widths = []
    for count in (1, 2, 4, 8):
        low, _, high = trend(weeks(*[100 * GB] * count), week(count))
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert widths[0] == 10 * widths[0] / 10 > 2 * widths[2]


def test_the_line_goes_no_further_ahead_than_there_is_history():
    _, likely, _ = trend(weeks(100 * GB, 110 * GB), week(100))
    assert likely == pytest.approx(120 * GB)


def test_a_shrinking_source_is_not_followed_below_what_was_seen():
    low, likely, _ = trend(weeks(800 * GB, 100 * GB), week(2))
    assert likely == 100 * GB
    assert low >= 0


def test_the_next_may_be_as_far_off_as_the_last_one_was():
    _, _, high = trend(weeks(*[100 * GB] * 11, 400 * GB), week(12))
    assert high == 400 * GB
    low, _, _ = trend(weeks(*[100 * GB] * 11, 10 * GB), week(12))
    assert low == 10 * GB


def test_what_was_long_ago_is_forgotten():
    _, likely, _ = trend(weeks(*[900 * GB] * 30, *[100 * GB] * MEASURES_MAX), week(42))
    assert likely == 100 * GB


def test_without_a_time_the_present_level_counts():
    _, likely, _ = trend(weeks(100 * GB, 110 * GB, 120 * GB), None)
    assert likely == pytest.approx(120 * GB)


def test_two_of_one_moment_have_no_slope():
    _, likely, _ = trend([Dated(START, 100 * GB), Dated(START, 200 * GB)], week(1))
    assert likely == 150 * GB


def test_the_usual_is_the_median_and_a_fifth():
    low, likely, high = usual(weeks(10 * GB, 10 * GB, 90 * GB))
    assert (low, likely, high) == (8 * GB, 10 * GB, 12 * GB)


SIZES = st.lists(st.integers(0, 1 << 50), min_size=1, max_size=20)


@given(SIZES, st.integers(0, 60), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_bounds_are_ordered_and_the_order_of_measures_changes_nothing(sizes, due, random):
    history = weeks(*sizes)
    shuffled = list(history)
    random.shuffle(shuffled)
    for predict in (lambda rows: trend(rows, week(due)), usual):
        low, likely, high = predict(history)
        assert 0 <= low <= likely <= high
        assert high - likely >= WIDTH_MIN * likely * 0.999
        assert predict(shuffled) == (low, likely, high)


@given(SIZES, st.integers(0, 60), st.floats(1, 1000))
@settings(deadline=None, max_examples=60)
def test_larger_backups_make_larger_predictions(sizes, due, factor):
    small = trend(weeks(*sizes), week(due))
    large = trend(weeks(*(size * factor for size in sizes)), week(due))
    for one, other in zip(small, large, strict=True):
        assert other >= one * (1 - 1e-9) - 1
