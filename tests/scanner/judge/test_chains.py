"""Chains in order from the root, and the newest point that can be restored."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.core.model import Evidence
from scanner.judge.chains import places
from scanner.judge.model import Chain, Verdict
from scanner.results import FileState
from tests.scanner.judge.rows import GOOD, Rows, bad, of, wanted


def made(
    rows: Rows,
    name: str,
    parent: str | None = None,
    day: int = 1,
    news: tuple[Evidence, ...] = (GOOD,),
    **more: object,
) -> int:
    """Add an image called ``name``, made on a day of March."""
    return rows.backup(
        f"{name}.vhdx",
        news,
        identity=name,
        parents=wanted(parent) if parent else (),
        created_at=datetime(2026, 3, day, tzinfo=UTC),
        **more,
    ).id


def paths(rows: Rows, chain: Chain) -> list[str]:
    judged = {item.key: item.path for item in rows.judged().images}
    return [judged[key].removesuffix(".vhdx") for key in chain.image_keys]


def only(rows: Rows) -> Chain:
    (chain,) = rows.judged().chains
    return chain


def restorable(rows: Rows) -> str | None:
    judged = {item.key: item.path.removesuffix(".vhdx") for item in rows.judged().images}
    key = only(rows).restorable_key
    return None if key is None else judged[key]


def test_a_chain_is_in_order_from_the_root_however_it_is_named():
    rows = Rows()
    made(rows, "a", "k", 3)
    made(rows, "z", None, 1)
    made(rows, "k", "z", 2)
    assert paths(rows, only(rows)) == ["z", "k", "a"]
    assert only(rows).name == "z.vhdx"


def test_children_of_one_parent_are_in_order_of_time_then_of_name():
    rows = Rows()
    made(rows, "full")
    made(rows, "late", "full", 9)
    made(rows, "early", "full", 5)
    made(rows, "also", "full", 5)
    assert paths(rows, only(rows)) == ["full", "also", "early", "late"]


def test_the_newest_restorable_point_is_the_newest_not_the_deepest():
    rows = Rows()
    made(rows, "full", None, 1)
    made(rows, "old", "full", 2)
    made(rows, "older", "old", 3)
    made(rows, "oldest", "older", 4)
    made(rows, "new", "full", 20)
    assert paths(rows, only(rows))[-1] == "oldest"
    assert restorable(rows) == "new"


def test_without_dates_the_last_in_order_is_the_newest():
    rows = Rows()
    for name, parent in (("full", None), ("one", "full"), ("two", "one")):
        rows.backup(f"{name}.vhdx", identity=name, parents=wanted(parent) if parent else ())
    assert restorable(rows) == "two"


def test_what_is_broken_is_not_restorable_and_makes_the_chain_bad():
    rows = Rows()
    made(rows, "full", None, 1)
    made(rows, "one", "full", 2)
    made(rows, "two", "one", 3, news=(GOOD, bad()))
    made(rows, "three", "two", 4)
    assert restorable(rows) == "one"
    assert only(rows).verdict is Verdict.DAMAGED


def test_a_chain_without_a_sound_image_restores_nothing():
    rows = Rows()
    made(rows, "full", None, 1, news=(GOOD, bad()))
    made(rows, "one", "full", 2)
    assert only(rows).restorable_key is None


def test_images_without_parents_are_chains_of_one():
    rows = Rows()
    made(rows, "a")
    made(rows, "b")
    assert [paths(rows, chain) for chain in rows.judged().chains] == [["a"], ["b"]]


def test_a_missing_parent_makes_its_child_a_root():
    rows = Rows()
    made(rows, "child", "missing", 2)
    made(rows, "grandchild", "child", 3)
    assert paths(rows, only(rows)) == ["child", "grandchild"]
    assert only(rows).verdict is Verdict.INCOMPLETE


def test_a_gone_parent_that_is_needed_is_in_the_chain():
    rows = Rows()
    made(rows, "full", None, 1, file={"state": FileState.GONE})
    made(rows, "child", "full", 2)
    assert paths(rows, only(rows)) == ["full", "child"]


def test_a_chain_is_named_after_its_source_where_the_root_tells_it():
    rows = Rows()
    made(rows, "full", source="SRV1/C:")
    made(rows, "child", "full", 2, source="else")
    assert only(rows).name == "SRV1/C:"


@pytest.mark.parametrize("shuffle", range(4))
def test_a_circle_is_one_chain(shuffle):
    rows = Rows()
    made(rows, "a", "c", 1)
    made(rows, "b", "a", 2)
    made(rows, "c", "b", 3)
    made(rows, "d", "c", 4)
    (chain,) = rows.judged(shuffle=shuffle).chains
    assert paths(rows, chain) == ["a", "b", "c", "d"]
    assert chain.restorable_key is None
    assert of(rows.judged(), "d.vhdx").ruling.rule == "parent-cycle"


@given(parents=st.dictionaries(st.integers(0, 12), st.none() | st.integers(0, 12)))
def test_root_and_depth_by_walking_up(parents):
    known = {key: parent if parent in parents else None for key, parent in parents.items()}
    placed = places(known)
    assert set(placed) == set(known)
    for key, (root, depth) in placed.items():
        path = [key]
        while known[path[-1]] is not None and known[path[-1]] not in path:
            path.append(known[path[-1]])
        back = known[path[-1]]
        if back is None:
            assert (root, depth) == (path[-1], len(path) - 1)
        else:
            circle = path[path.index(back) :]
            assert root == min(circle)
            assert depth == path.index(back)
