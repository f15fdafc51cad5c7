"""How fast backups are read, measured by runs that read enough."""

from datetime import UTC, datetime, timedelta

import pytest

from scanner.judge.expected.pace import PACE_RUN_BYTES_MIN, PACE_RUNS_MAX, pace, restore_seconds
from scanner.ledger.rows import RunRow
from tests.scanner.judge.built_sources import Backup, source_of

START = datetime(2026, 3, 1, 2, tzinfo=UTC)
GIB = 1 << 30


def run(bytes_read: int, seconds: float | None, *, number: int = 1) -> RunRow:
    begun = START + timedelta(days=number)
    ended = None if seconds is None else begun + timedelta(seconds=seconds)
    return RunRow(number, 1, begun, ended, 1, bytes_read, 0)


def test_pace_is_the_median_of_runs():
    runs = [run(GIB, 10), run(4 * GIB, 10), run(2 * GIB, 10)]
    assert pace(runs) == 2 * GIB / 10


def test_without_any_run_no_pace_is_known():
    assert pace([]) is None


@pytest.mark.parametrize(
    "one",
    [run(PACE_RUN_BYTES_MIN - 1, 10), run(GIB, None), run(GIB, 0), run(GIB, -3600)],
    ids=["read too little", "not finished", "took no time", "clock was set back"],
)
def test_a_run_that_tells_nothing_is_left_out(one: RunRow):
    assert pace([one]) is None
    assert pace([one, run(3 * GIB, 10)]) == 3 * GIB / 10


def test_the_smallest_run_that_counts_does():
    assert pace([run(PACE_RUN_BYTES_MIN, 8)]) == PACE_RUN_BYTES_MIN / 8


def test_only_the_newest_runs_count_in_whatever_order_they_come():
    old = [run(8 * GIB, 1, number=number) for number in range(1, 100)]
    new = [run(GIB, 1, number=number) for number in range(100, 100 + PACE_RUNS_MAX)]
    assert pace([*new, *old]) == pace([*old, *new]) == GIB


def test_a_restore_reads_all_it_needs_at_that_pace():
    (point,) = source_of(Backup(START, 800)).points
    assert restore_seconds(point, 100.0) == 8
    assert restore_seconds(point, None) is None
