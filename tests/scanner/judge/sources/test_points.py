"""Restore points: never better than what they need, whatever the chains look like."""

from hypothesis import given, settings
from hypothesis import strategies as st

from formats.core.model import Bearing, Evidence, Outcome
from scanner.judge.model import JudgedImage, Verdict
from scanner.judge.sources.model import RestorePoint
from scanner.judge.sources.points import path_to
from tests.scanner.judge.outlooks import found
from tests.scanner.judge.rows import GOOD, Rows, bad, named

EVIDENCE: tuple[Evidence, ...] = (
    GOOD,
    bad(Outcome.UNSTEADY),
    bad(Outcome.MISMATCHED, Bearing.REDUNDANT),
    bad(Outcome.UNSUPPORTED),
    bad(Outcome.TRUNCATED),
    bad(Outcome.MISMATCHED),
)
"""From nothing bad to the worst."""

# Each image: the one it needs (a number, taken among those before it or anywhere), and what was
# found in it.
CHAINS = st.lists(
    st.tuples(st.integers(-1, 11), st.integers(0, len(EVIDENCE) - 1)), min_size=1, max_size=12
)


def rows_of(images: list[tuple[int, int]]) -> Rows:
    rows = Rows()
    for number, (parent, grade) in enumerate(images):
        parents = named(f"{parent}.qcow2") if 0 <= parent < len(images) else ()
        rows.backup(f"{number}.qcow2", (GOOD, EVIDENCE[grade]), parents=parents)
    return rows


def points_of(rows: Rows) -> dict[str, RestorePoint]:
    paths = {image.key: image.path for image in rows.judged().images}
    return {paths[point.key]: point for source in found(rows) for point in source.points}


def by_key(rows: Rows) -> dict[int, JudgedImage]:
    return {image.key: image for image in rows.judged().images}


@given(CHAINS)
@settings(deadline=None, max_examples=100)
def test_a_point_is_never_better_than_anything_it_needs(images):
    rows = rows_of(images)
    judged = by_key(rows)
    for point in points_of(rows).values():
        needed = [judged[key] for key in path_to(point.key, judged)]
        assert point.ruling.verdict >= max(image.own.verdict for image in needed)
        assert point.deciding_key in {image.key for image in needed}
        assert point.usable == (point.ruling.verdict <= Verdict.WEAKENED)


@given(CHAINS, st.data())
@settings(deadline=None, max_examples=100)
def test_worse_evidence_improves_no_point(images, data):
    index = data.draw(st.integers(0, len(images) - 1))
    parent, grade = images[index]
    worse = data.draw(st.integers(grade, len(EVIDENCE) - 1))
    before = points_of(rows_of(images))
    after = points_of(rows_of([*images[:index], (parent, worse), *images[index + 1 :]]))
    assert before.keys() == after.keys()
    for path, point in before.items():
        assert after[path].ruling.verdict >= point.ruling.verdict, path


@given(CHAINS, st.integers(0, 99))
@settings(deadline=None, max_examples=50)
def test_judging_again_or_in_another_order_gives_the_same_points(images, seed):
    rows = rows_of(images)
    expected = [(source.id, source.points, source.spans) for source in found(rows)]
    assert [(one.id, one.points, one.spans) for one in found(rows)] == expected
    assert [(one.id, one.points, one.spans) for one in found(rows, shuffle=seed)] == expected


@given(CHAINS)
@settings(deadline=None, max_examples=50)
def test_a_path_ends_with_the_image_and_names_each_once_after_what_it_needs(images):
    judged = by_key(rows_of(images))
    for key in judged:
        path = path_to(key, judged)
        assert path[-1] == key
        assert len(set(path)) == len(path)


@given(CHAINS)
@settings(deadline=None, max_examples=50)
def test_nothing_on_the_way_makes_a_restore_read_less(images):
    rows = rows_of(images)
    judged = by_key(rows)
    for point in points_of(rows).values():
        alone = judged[point.key].proof.bytes_needed or 0
        assert point.restore_bytes >= alone
        assert point.steps >= 1
