"""The worst along the path decides: by property against a walk of every path, and in a bounded
number of steps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.judge.model import Ruling, Verdict
from scanner.judge.paths import along_paths, circles
from tests.scanner.judge.rows import GOOD, Rows, bad, of, ruled, wanted


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[int, Ruling], dict[int, tuple[int, ...]]]:
    count = draw(st.integers(1, 9))
    keys = range(count)
    own = {key: Ruling(draw(st.sampled_from(Verdict)), f"rule {key}") for key in keys}
    links = {
        key: tuple(draw(st.lists(st.integers(0, count - 1), max_size=3, unique=True)))
        for key in keys
    }
    return own, links


def reach(key: int, links: Mapping[int, Sequence[int]]) -> set[int]:
    """Return everything an image needs, itself only where it needs itself."""
    found: set[int] = set()
    ahead = list(links[key])
    while ahead:
        at = ahead.pop()
        if at not in found:
            found.add(at)
            ahead.extend(links[at])
    return found


@given(graph=graphs())
def test_the_worst_of_all_that_is_needed_decides_and_circles_are_incomplete(graph):
    own, links = graph
    needs = {key: reach(key, links) for key in own}
    circular = {key for key in own if key in needs[key]}
    decided = along_paths(own, links)
    assert set(decided) == set(own)
    for key in own:
        owed = {key} | needs[key]
        worst = max(own[item].verdict for item in owed)
        if owed & circular:
            worst = max(worst, Verdict.INCOMPLETE)
        ruling, deciding = decided[key]
        assert ruling.verdict is worst
        assert deciding in owed
        if ruling.rule == "parent-cycle":
            assert deciding in circular
        else:
            assert ruling == own[deciding]


@given(graph=graphs())
def test_an_image_decides_about_itself_unless_a_parent_is_worse(graph):
    own, links = graph
    for key, (ruling, deciding) in along_paths(own, links).items():
        if own[key].verdict is ruling.verdict:
            assert deciding == key or ruling.rule == "parent-cycle" or key in reach(key, links)


@given(graph=graphs())
def test_groups_come_parents_first_and_hold_every_image_once(graph):
    _own, links = graph
    seen: set[int] = set()
    for group in circles(links):
        assert not seen & set(group)
        outside = {parent for key in group for parent in links[key]} - set(group)
        assert outside <= seen
        seen |= set(group)
    assert seen == set(links)


def test_of_equally_bad_images_the_nearest_decides():
    damaged = Ruling(Verdict.DAMAGED, "bytes-wrong")
    sound = Ruling(Verdict.SOUND, "proven")
    own = {1: damaged, 2: damaged, 3: sound, 4: sound}
    decided = along_paths(own, {1: (), 2: (1,), 3: (2,), 4: (3,)})
    assert {key: item[1] for key, item in decided.items()} == {1: 1, 2: 2, 3: 2, 4: 2}


def test_a_chain_as_long_as_a_year_of_logs_needs_no_recursion():
    count = 40_000
    own = {key: Ruling(Verdict.SOUND, "proven") for key in range(count)}
    own[0] = Ruling(Verdict.DAMAGED, "bytes-wrong")
    links = {key: (key - 1,) if key else () for key in own}
    decided = along_paths(own, links)
    assert decided[count - 1] == (own[0], 0)
    turned = along_paths(own, dict(reversed(links.items())))
    assert turned == decided


# Through the judge


def chain(*rows_of: tuple) -> Rows:
    """Return a chain of images; each is given its evidence."""
    made = Rows()
    for number, rows in enumerate(rows_of):
        parents = wanted(f"{number - 1}") if number else ()
        made.backup(f"{number}.vhdx", rows, identity=f"{number}", parents=parents)
    return made


def test_damage_in_the_middle_breaks_every_later_restore_point_and_no_earlier():
    judged = chain((GOOD,), (GOOD, bad()), (GOOD,), (GOOD,)).judged()
    verdicts = [of(judged, f"{number}.vhdx").ruling.verdict for number in range(4)]
    assert verdicts == [Verdict.SOUND, Verdict.DAMAGED, Verdict.DAMAGED, Verdict.DAMAGED]
    last = of(judged, "3.vhdx")
    assert last.deciding_key == of(judged, "1.vhdx").key
    assert (last.ruling.rule, last.own.rule) == ("bytes-wrong", "proven")


@pytest.mark.parametrize("shuffle", range(5))
def test_images_that_need_each_other_are_incomplete_and_so_is_what_needs_them(shuffle):
    rows = Rows()
    rows.backup("a.vhdx", identity="a", parents=wanted("b"))
    rows.backup("b.vhdx", identity="b", parents=wanted("a"))
    rows.backup("c.vhdx", identity="c", parents=wanted("a"))
    rows.backup("d.vhdx", identity="d")
    judged = rows.judged(shuffle=shuffle)
    for path in ("a.vhdx", "b.vhdx", "c.vhdx"):
        assert ruled(judged, path) == (Verdict.INCOMPLETE, "parent-cycle")
    assert ruled(judged, "d.vhdx") == (Verdict.SOUND, "proven")


def test_a_circle_with_a_damaged_image_in_it_is_damaged():
    rows = Rows()
    rows.backup("a.vhdx", (GOOD, bad()), identity="a", parents=wanted("b"))
    rows.backup("b.vhdx", identity="b", parents=wanted("a"))
    judged = rows.judged()
    assert ruled(judged, "b.vhdx") == (Verdict.DAMAGED, "bytes-wrong")
    assert of(judged, "b.vhdx").deciding_key == of(judged, "a.vhdx").key


def test_a_ruling_is_not_changed_by_being_inherited():
    rows = chain((GOOD, bad()), (GOOD,))
    judged = rows.judged()
    assert of(judged, "1.vhdx").ruling == replace(of(judged, "0.vhdx").own)
