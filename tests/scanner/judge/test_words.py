from datetime import UTC, datetime, timedelta

import pytest

from scanner.judge import words


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1500, "1.5 kB"),
        (812 * 10**9, "812 GB"),
        (99_949_999, "99.9 MB"),
        (99_960_000, "100 MB"),
        (999_400_000, "999 MB"),
        (999_600_000, "1 GB"),
        (500 * 10**9, "500 GB"),
        (1_200_000_000_000, "1.2 TB"),
        (5 * 10**18, "5 EB"),
        (10**22, "10000 EB"),
    ],
)
def test_sizes_have_three_digits_and_a_decimal_unit(length, said):
    assert words.size(length) == said


def test_days_are_named():
    assert words.day(datetime(2026, 11, 27, 22, tzinfo=UTC)) == "Friday 2026-11-27"


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(minutes=59), "0 hours"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(hours=47, minutes=59), "47 hours"),
        (timedelta(hours=48), "2 days"),
        (timedelta(days=400), "400 days"),
    ],
)
def test_ages_are_hours_then_days(length, said):
    assert words.age(length) == said


def test_nouns_have_their_plural():
    assert words.counted(1, "copy") == "1 copy"
    assert words.counted(2, "copy") == "2 copies"
    assert words.counted(2, "day") == "2 days"
    assert words.counted(1200, "full") == "1,200 fulls"
