"""Sizes and durations: what people write, and that what is written out reads back as itself."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.expectations.quantities import (
    DURATION_MAX,
    SIZE_BYTES_MAX,
    duration_text,
    parse_duration,
    parse_size,
    size_text,
)

GB, GIB = 1_000_000_000, 1 << 30


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("800 GB", 800 * GB),
        ("500 GiB", 500 * GIB),
        ("1.5 TB", 1500 * GB),
        ("1.5 TiB", 1536 * GIB),
        ("1 B", 1),
        ("64 KB", 64_000),
        ("64 kB", 64_000),
        ("64 KiB", 65_536),
        ("3MiB", 3 << 20),
        (" 2 pb ", 2_000_000 * GB),
        ("7 EiB", 7 << 60),
        ("0.1 KiB", 102),
        ("9223372036854775807 B", SIZE_BYTES_MAX),
    ],
)
def test_size_is_read_in_decimal_and_binary_units(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        *("", "800", "GB", "800 G", "800 Gib it", "800 GB GB", "1,5 TB", "-5 GB", "+5 GB"),
        *("0 GB", "0.4 B", "8 EiB", "1e3 GB", "1_000 GB", ".5 GB", "5. GB", "٣ GB", "inf GB"),
        "9" * 30 + " B",
    ],
)
def test_what_is_no_size_is_none(text: str) -> None:
    assert parse_size(text) is None


@given(
    st.integers(min_value=1, max_value=SIZE_BYTES_MAX) | st.integers(1, 900).map(lambda n: n * GIB)
)
def test_size_written_out_reads_back_as_itself(size: int) -> None:
    assert parse_size(size_text(size)) == size


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (800 * GB, "800 GB"),
        (500 * GIB, "500 GiB"),
        (1500 * GB, "1500 GB"),
        (1 << 40, "1 TiB"),
        (GIB + 1, "1073741825 B"),
        (1, "1 B"),
        (0, "0 B"),
    ],
)
def test_size_is_written_as_it_was_meant(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("26 h", timedelta(hours=26)),
        ("1 day", timedelta(days=1)),
        ("90 min", timedelta(minutes=90)),
        ("2 weeks", timedelta(weeks=2)),
        ("15 s", timedelta(seconds=15)),
        ("30d", timedelta(days=30)),
        ("1.5 hours", timedelta(minutes=90)),
        ("1 day 2 h", timedelta(hours=26)),
        ("1 d 2 h  5 MIN", timedelta(hours=26, minutes=5)),
        ("0 s", timedelta(0)),
        ("0.25 s", timedelta(milliseconds=250)),
        ("36500 days", DURATION_MAX),
    ],
)
def test_duration_is_read(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text",
    ["", "soon", "26", "h", "26 h soon", "-1 h", "5 m", "1 month", "1 y", "36501 days", "1 h,2 s"],
)
def test_what_is_no_duration_is_none(text: str) -> None:
    assert parse_duration(text) is None


@given(
    st.timedeltas(min_value=timedelta(0), max_value=DURATION_MAX)
    | st.integers(0, 5000).map(lambda count: timedelta(hours=count))
)
def test_duration_written_out_reads_back_as_itself(duration: timedelta) -> None:
    assert parse_duration(duration_text(duration)) == duration


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(hours=26), "26 h"),
        (timedelta(hours=24), "1 day"),
        (timedelta(days=30), "30 days"),
        (timedelta(days=7), "1 week"),
        (timedelta(days=14), "2 weeks"),
        (timedelta(minutes=15), "15 min"),
        (timedelta(seconds=61), "61 s"),
        (timedelta(0), "0 s"),
        (timedelta(microseconds=1), "0.000001 s"),
    ],
)
def test_duration_is_written_in_the_largest_unit_that_divides_it(
    duration: timedelta, text: str
) -> None:
    assert duration_text(duration) == text
