"""Moments and lengths of time in sentences."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from scanner.judge.expected.words import every, lasting, moment, old

EAST = timezone(timedelta(hours=2))


def test_a_moment_is_that_of_the_clock_on_the_wall():
    assert moment(datetime(2026, 11, 14, 22, tzinfo=UTC), EAST) == "2026-11-15 00:00"


def test_a_moment_no_other_zone_can_hold_is_said_as_it_is():
    assert moment(datetime.max.replace(tzinfo=UTC), EAST) == "9999-12-31 23:59"


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(seconds=-1), "0 hours"),
        (timedelta(hours=26), "26 hours"),
        (timedelta(days=9), "9 days"),
        (timedelta(days=730), "730 days"),
        (timedelta(days=731), "2 years"),
        (timedelta(days=1100), "3 years"),
    ],
)
def test_an_age_is_said_as_people_say_it(length: timedelta, words: str):
    assert old(length) == words


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(seconds=1), "minute"),
        (timedelta(minutes=15), "15 minutes"),
        (timedelta(minutes=58), "hour"),
        (timedelta(hours=4), "4 hours"),
        (timedelta(hours=23), "day"),
        (timedelta(days=1, hours=1), "day"),
        (timedelta(days=7), "7 days"),
    ],
)
def test_a_rhythm_is_said_as_people_say_it(length: timedelta, words: str):
    assert every(length) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (4511, "1 h 15 min"),
        (47.5 * 3600, "47 h 30 min"),
        (48 * 3600, "2 days"),
        (51 * 3600, "2 days 3 h"),
    ],
)
def test_what_takes_at_least_so_long_is_rounded_down(seconds: float, words: str):
    assert lasting(seconds) == words
