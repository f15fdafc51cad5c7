"""Summing evidence up: nothing bad becomes better, and no element is lost from the counts."""

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from formats.core.model import Bearing, Evidence, Outcome
from scanner.config import EVIDENCE_PER_CHECK_MAX
from scanner.engine.merging import merged

ROWS = st.builds(
    Evidence,
    st.sampled_from(["toy.a.sum", "toy.b.sum"]),
    st.sampled_from([Outcome.MATCHED, Outcome.MISMATCHED, Outcome.UNREADABLE, Outcome.UNSTEADY]),
    st.none() | st.integers(0, 50),
    st.none(),
    st.none() | st.just("this"),
    st.none(),
    st.sampled_from(Bearing),
    count=st.integers(1, 5),
)


def kinds(rows: tuple[Evidence, ...] | list[Evidence]) -> Counter:
    found: Counter = Counter()
    for row in rows:
        found[row.check, row.outcome, row.bearing] += row.count
    return found


@given(rows=st.lists(ROWS, max_size=40))
def test_every_kind_keeps_its_count(rows):
    assert kinds(merged(rows)) == kinds(rows)


@given(rows=st.lists(ROWS, max_size=40), at=st.integers(0, 40))
def test_merging_by_parts_is_merging_at_once(rows, at):
    parts = (*merged(rows[:at]), *merged(rows[at:]))
    assert Counter(merged(parts)) == Counter(merged(rows))


def bad(offset: int | None, **more: object) -> Evidence:
    return replace(Evidence("toy.a.sum", Outcome.MISMATCHED, offset, 1, "x", "y"), **more)


def test_the_first_bad_rows_are_kept_by_place_and_the_rest_counted():
    rows = [bad(offset) for offset in range(500, 0, -1)]
    kept = merged(rows)
    assert [row.offset for row in kept[:-1]] == list(range(1, EVIDENCE_PER_CHECK_MAX + 1))
    last = kept[-1]
    assert (last.offset, last.expected, last.actual) == (None, None, None)
    assert last.count == 500 - EVIDENCE_PER_CHECK_MAX


def test_one_needed_row_behind_many_redundant_ones_of_its_check_stays_needed():
    rows = [bad(offset, bearing=Bearing.REDUNDANT) for offset in range(500)]
    rows.insert(300, bad(10_000))
    rows.append(bad(20_000, bearing=Bearing.REDUNDANT))
    needed = [row for row in merged(rows) if row.bearing is Bearing.NEEDED]
    assert needed == [bad(10_000)]


def test_an_unsteady_row_is_not_counted_among_mismatches():
    rows = [bad(offset) for offset in range(300)] + [bad(900, outcome=Outcome.UNSTEADY)]
    found = merged(rows)
    assert [row.count for row in found if row.outcome is Outcome.UNSTEADY] == [1]


def test_a_limit_reached_in_every_unit_counts_on():
    units = [merged([bad(unit * 1000 + at) for at in range(250)]) for unit in range(4)]
    found = merged(row for unit in units for row in unit)
    assert len(found) == EVIDENCE_PER_CHECK_MAX + 1
    assert sum(row.count for row in found) == 1000
    assert found[0].offset == 0


def test_good_rows_become_one_without_a_place():
    row = Evidence("toy.a.sum", Outcome.MATCHED, 0, 10, vouched_bytes=10)
    assert merged([row]) == (row,)
    (both,) = merged([row, replace(row, offset=10)])
    assert (both.offset, both.length, both.count, both.vouched_bytes) == (None, None, 2, 20)


def test_bad_evidence_comes_first():
    good = Evidence("toy.a.sum", Outcome.MATCHED)
    assert [row.bad for row in merged([good, bad(0), good])] == [True, False]
