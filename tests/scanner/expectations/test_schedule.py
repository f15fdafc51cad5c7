"""Schedules, also in the nights on which clocks are put forward and back."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.expectations import last_time, next_time
from scanner.expectations.schedule import in_words, is_schedule

BERLIN = ZoneInfo("Europe/Berlin")
FIELDS = st.text("0123456789*/-,#LWFRI", min_size=1, max_size=5)


def test_next_and_last_time_lie_around_a_moment() -> None:
    saturday = datetime(2026, 3, 14, 13, tzinfo=BERLIN)
    assert next_time("0 22 * * FRI", saturday) == datetime(2026, 3, 20, 22, tzinfo=BERLIN)
    assert last_time("0 22 * * FRI", saturday) == datetime(2026, 3, 13, 22, tzinfo=BERLIN)


def test_next_time_is_after_the_moment_even_if_that_is_one() -> None:
    friday = datetime(2026, 3, 13, 22, tzinfo=UTC)
    assert next_time("0 22 * * 5", friday) == datetime(2026, 3, 20, 22, tzinfo=UTC)


def test_time_keeps_to_the_clock_on_the_wall_when_that_is_put_forward() -> None:
    before = datetime(2026, 3, 28, 23, tzinfo=BERLIN)
    at = next_time("30 6 * * *", before)
    assert at.isoformat() == "2026-03-29T06:30:00+02:00"


def test_time_that_the_night_leaves_out_comes_all_the_same() -> None:
    before = datetime(2026, 3, 28, 23, tzinfo=BERLIN)
    at = next_time("30 2 * * *", before)
    assert at.astimezone(UTC) == datetime(2026, 3, 29, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["0 22 * * FRI", "*/15 8-18 * * 1-5", "0 3 L * *", "0 4 29 2 *", " 0 1 * * fri#1 "]
)
def test_schedule_is_known(text: str) -> None:
    assert is_schedule(text)


@pytest.mark.parametrize(
    "text",
    ["", "daily", "@daily", "0 22 * *", "0 0 22 * * FRI", "60 * * * *", "0 0 30 2 *", "0 0 * * X"],
)
def test_what_never_comes_round_is_no_schedule(text: str) -> None:
    assert not is_schedule(text)


@given(st.lists(FIELDS, min_size=4, max_size=6).map(" ".join))
def test_any_text_is_a_schedule_or_not(text: str) -> None:
    if is_schedule(text):
        assert next_time(text, datetime(2026, 3, 14, tzinfo=UTC)) > datetime(
            2026, 3, 14, tzinfo=UTC
        )
        assert in_words(text)


def test_schedule_is_said_in_words() -> None:
    assert in_words("0 22 * * FRI") == "at 22:00 on Friday"
    assert in_words("*/15 * * * *") == "every 15th minute of every hour"
