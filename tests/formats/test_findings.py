"""The gathering of evidence: what is kept, what is only counted, what an exception becomes."""

import numpy as np
import pytest

from formats.core.errors import FormatError, Truncated, Unsupported
from formats.core.findings import BAD_ROWS_MAX, Findings, demand, read_under
from formats.core.model import Bearing, Evidence, Outcome
from formats.core.source import BytesSource

BAD = Evidence("some.thing.wrong", Outcome.MISMATCHED, 0, 4, "one", "another")


def test_bad_rows_are_kept_up_to_a_limit_and_then_counted():
    findings = Findings()
    for _ in range(BAD_ROWS_MAX):
        findings.add(BAD)
    assert findings.rows == (BAD,) * BAD_ROWS_MAX
    findings.add(BAD)
    findings.add(BAD)
    *kept, counted = findings.rows
    assert len(kept) == BAD_ROWS_MAX
    assert counted == Evidence("some.thing.wrong", Outcome.MISMATCHED, count=2)


def test_columns_of_bad_rows_share_the_limit():
    findings = Findings()
    findings.add(BAD)
    offsets = np.arange(1000, 1000 + 8 * BAD_ROWS_MAX, 8)
    findings.add_each(BAD, offsets, lambda which: f"number {which}")
    assert findings.rows[1] == Evidence(
        "some.thing.wrong", Outcome.MISMATCHED, 1000, 4, "one", "number 0"
    )
    assert len(findings.rows) == BAD_ROWS_MAX + 1
    assert sum(row.count for row in findings.rows) == BAD_ROWS_MAX + 1
    findings.add_each(BAD, offsets[:0], str)
    findings.add_each(BAD, offsets, str)
    assert findings.rows[-1].count == BAD_ROWS_MAX + 1


def test_bearings_and_checks_are_counted_apart():
    findings = Findings()
    harmless = Evidence("some.thing.wrong", Outcome.MISMATCHED, bearing=Bearing.REDUNDANT)
    for _ in range(BAD_ROWS_MAX + 1):
        findings.add(BAD)
        findings.add(harmless)
    assert [row.bearing for row in findings.rows[-2:]] == [Bearing.NEEDED, Bearing.REDUNDANT]


def test_good_rows_are_all_kept():
    findings = Findings()
    for _ in range(BAD_ROWS_MAX + 5):
        findings.matched("some.thing.right", 0, 4, vouched_bytes=4)
    assert len(findings.rows) == BAD_ROWS_MAX + 5


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(FormatError, Outcome.MISMATCHED), (Unsupported, Outcome.UNSUPPORTED)],
)
def test_exception_becomes_a_row_and_what_follows_goes_on(error, outcome):
    findings = Findings()
    with findings.catching(Bearing.DOUBTFUL):
        raise error("some.thing.wrong", offset=7, length=2, expected="one", actual="another")
    assert findings.rows == (
        Evidence("some.thing.wrong", outcome, 7, 2, "one", "another", Bearing.DOUBTFUL),
    )


def test_read_behind_the_end_is_truncation_in_the_name_of_its_check():
    findings = Findings()
    source = BytesSource(b"abc")
    assert read_under("some.thing.present", source, 1, 2) == b"bc"
    for offset, length in ((2, 2), (-1, 1)):
        with pytest.raises(Truncated):
            read_under("some.thing.present", source, offset, length)
    with findings.catching():
        read_under("some.thing.present", source, 2, 2)
    (row,) = findings.rows
    assert (row.check, row.outcome, row.offset) == ("some.thing.present", Outcome.TRUNCATED, 2)


def test_file_reaches_or_does_not():
    findings = Findings()
    findings.reaches("some.file.needed", 10, 10)
    findings.reaches("some.file.needed", 9, 10, count=0)
    good, bad = findings.rows
    assert good.outcome is Outcome.MATCHED
    assert (bad.outcome, bad.offset, bad.length, bad.count) == (Outcome.TRUNCATED, 9, 1, 1)
    assert (bad.expected, bad.actual) == ("10 bytes", "9 bytes")


def test_demand_raises_only_where_it_does_not_hold():
    demand("some.thing.right", 0, 4, holds=True, expected="one", actual="one")
    with pytest.raises(FormatError):
        demand("some.thing.wrong", 0, 4, holds=False, expected="one", actual="another")
