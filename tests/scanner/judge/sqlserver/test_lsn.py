"""How each set is reached: hand-made chains, and a slow search as the reference."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.core.model import Kind
from scanner.judge.model import Verdict
from scanner.judge.sqlserver.lsn import USABLE, BackupSet, Way, backup_set, instant, ways
from tests.scanner.judge import backups
from tests.scanner.judge.backups import (
    a_set,
    crossing,
    differential,
    full,
    image_row,
    log,
    minute,
    week,
    worse,
)


def known(*sets: BackupSet) -> dict[str, Way]:
    return {way.item.path: way for way in ways(sets).values()}


def after(*sets: BackupSet) -> dict[str, str | None]:
    return {name: way.after.path if way.after else None for name, way in known(*sets).items()}


def test_each_log_follows_the_shortest_way() -> None:
    assert after(*week()) == {
        "F": None,
        "L1": "F",
        "L2": "L1",
        "D": "F",
        "L3": "D",
        "L4": "L3",
    }
    assert all(way.usable for way in known(*week()).values())


def test_damaged_differential_is_gone_around_through_the_logs() -> None:
    sets = [worse(item, Verdict.DAMAGED) if item.path == "D" else item for item in week()]
    assert after(*sets)["L3"] == "L2"
    assert known(*sets)["L4"].usable
    assert not known(*sets)["D"].usable


def test_damaged_log_is_gone_around_through_the_differential() -> None:
    sets = [worse(item, Verdict.DAMAGED) if item.path == "L1" else item for item in week()]
    found = known(*sets)
    assert after(*sets)["L3"] == "D"
    assert found["L4"].usable
    assert found["L2"].worst is Verdict.DAMAGED


def test_log_after_a_gap_is_reached_by_nothing_and_leads_on() -> None:
    sets = [item for item in week() if item.path not in ("L3", "D")]
    found = known(*sets)
    assert found["L4"].after is None
    assert not found["L4"].reached
    assert found["L4"].worst is Verdict.INCOMPLETE
    follower = known(*sets, log("L5", 500, 600))["L5"]
    assert follower.after is not None
    assert follower.after.path == "L4"
    assert not follower.usable


def test_log_that_begins_one_behind_the_point_reached_does_not_fit() -> None:
    assert known(full("F", 1, 10), log("L", 10, 20))["L"].reached
    assert not known(full("F", 1, 10), log("L", 11, 20))["L"].reached


def test_log_that_ends_before_the_full_is_older_than_it() -> None:
    assert known(full("F", 1, 10), log("L", 5, 10))["L"].reached
    assert not known(full("F", 1, 10), log("L", 5, 9))["L"].reached


def test_differential_needs_its_base_and_no_other() -> None:
    found = known(full("F", 1, 10), full("G", 30, 40), differential("D", "F", 50, 60))
    assert found["D"].after is not None
    assert found["D"].after.path == "F"
    lost = known(full("G", 30, 40), differential("D", "F", 50, 60))["D"]
    assert (lost.after, lost.reached) == (None, False)


def test_copy_only_full_is_no_base_and_starts_a_roll_forward() -> None:
    copy = full("C", 30, 40, copy_only=True)
    found = known(copy, differential("D", "C", 50, 60), log("L", 35, 70))
    assert not found["D"].reached
    assert found["L"].after == copy


def test_soundest_copy_of_the_base_counts() -> None:
    copies = [full(name, 1, 10, guid="F", verdict=verdict) for name, verdict in (
        ("a", Verdict.DAMAGED), ("b", Verdict.SOUND), ("c", Verdict.WEAKENED))]  # fmt: skip
    way = known(*copies, differential("D", "F", 50, 60))["D"]
    assert way.after is not None
    assert way.after.path == "b"


def test_copies_of_one_log_do_not_follow_one_another() -> None:
    copies = (log("a", 10, 20), log("b", 10, 20, verdict=Verdict.DAMAGED))
    found = after(full("F", 1, 10), *copies, log("L", 20, 30))
    assert found == {"F": None, "a": "F", "b": "F", "L": "a"}


def test_copies_of_a_log_that_nothing_reaches_both_lack_what_is_missing() -> None:
    found = after(full("F", 1, 10), log("a", 15, 20), log("b", 15, 20), log("L", 20, 30))
    assert found == {"F": None, "a": None, "b": None, "L": "a"}


def test_empty_logs_all_follow_what_reached_their_lsn() -> None:
    empties = [log(f"E{number}", 20, 20, at=number) for number in range(3)]
    found = after(full("F", 1, 10), log("L", 10, 20), *empties, log("M", 20, 30))
    assert {found[item.path] for item in empties} == {"L"}
    assert found["M"] == "L"


def test_overlapping_log_saves_steps() -> None:
    wide = log("W", 5, 40)
    found = after(full("F", 1, 10), log("L1", 10, 20), log("L2", 20, 30), wide, log("L3", 35, 50))
    assert found["L3"] == "W"


def test_log_of_another_fork_does_not_fit() -> None:
    assert not known(full("F", 1, 10), log("L", 5, 20, fork="two", first_fork="two"))["L"].reached


def test_log_across_a_fork_is_applied_before_the_point_where_they_part() -> None:
    state = full("F", 1, 10)
    assert known(state, crossing("X", 5, 30, at=1, point=10, new="two"))["X"].reached
    assert not known(state, crossing("X", 5, 30, at=1, point=9, new="two"))["X"].reached


def test_log_across_a_fork_is_applied_to_a_state_of_its_new_fork_too() -> None:
    state = full("F", 12, 20, fork="two")
    way = known(state, crossing("X", 5, 30, at=1, point=9, new="two"))["X"]
    assert way.after == state


def test_old_fork_goes_on_beside_the_new_one() -> None:
    sets = (
        full("F", 1, 10),
        log("L1", 10, 20),
        log("L2", 20, 30),
        crossing("X1", 20, 40, at=5, point=25, new="two"),
        log("X2", 40, 50, fork="two", first_fork="two"),
    )
    found = after(*sets)
    assert (found["L2"], found["X1"], found["X2"]) == ("L1", "L1", "X1")


def test_families_do_not_mix() -> None:
    other = log("L", 5, 20, family="another")
    assert not known(full("F", 1, 10), other)["L"].reached


def test_replica_continues_the_log_of_its_primary() -> None:
    assert known(full("F", 1, 10), log("L", 5, 20, server="SRV2"))["L"].usable


def test_file_backups_are_not_followed() -> None:
    found = known(a_set("P", Kind.FULL, 1, 10, letter="F"), log("L", 5, 20))
    assert "P" not in found
    assert not found["L"].reached


def test_partial_backup_begins_a_restore() -> None:
    assert known(full("P", 1, 10, letter="P"), log("L", 5, 20))["L"].usable


SMALL = st.integers(0, 12)


@st.composite
def chains(draw: st.DrawFn) -> list[BackupSet]:
    """Return up to nine sets with LSNs so close that they overlap, touch and miss each other."""
    sets = []
    for number in range(draw(st.integers(1, 9))):
        kind = draw(st.sampled_from([Kind.FULL, Kind.DIFFERENTIAL, Kind.LOG, Kind.LOG, Kind.LOG]))
        first = draw(SMALL)
        last = first + draw(st.integers(0, 6))
        fork, old = draw(st.sampled_from(["one", "two"])), draw(st.sampled_from(["one", "two"]))
        point = draw(st.integers(first, last)) if kind is Kind.LOG and draw(st.booleans()) else None
        sets.append(
            a_set(
                f"s{number}",
                kind,
                first,
                last,
                at=draw(st.integers(0, 30)),
                base_guid=f"s{draw(st.integers(0, 8))}" if kind is Kind.DIFFERENTIAL else None,
                fork=fork,
                first_fork=old if point is not None else fork,
                fork_point=point,
                copy_only=draw(st.booleans()) and kind is Kind.FULL,
                bulk_logged=draw(st.booleans()) and kind is Kind.LOG,
                verdict=draw(st.sampled_from(sorted(backups.OUTCOMES))),
            )
        )
    return sets


def fits(log_set: BackupSet, state: BackupSet) -> bool:
    """Whether a log can be applied to the state a set leaves: the rule, said plainly."""
    if not log_set.first_lsn <= state.last_lsn <= log_set.last_lsn:
        return False
    if state.is_log and (state.last_lsn, state.first_lsn) >= (log_set.last_lsn, log_set.first_lsn):
        return False
    if state.fork == log_set.fork:
        return True
    point = log_set.fork_point
    return point is not None and state.fork == log_set.first_fork and state.last_lsn <= point


def slow_verdicts(sets: list[BackupSet]) -> dict[str, Verdict]:
    """Return the best verdict over all ways that begin with a full, by widening until it stops."""
    best: dict[str, Verdict] = {item.path: item.verdict for item in sets if item.is_full}
    for item in sets:
        bases = [
            base
            for base in sets
            if base.is_full and not base.copy_only and base.guid == item.base_guid
        ]
        if item.is_differential and bases:
            best[item.path] = max(item.verdict, min(base.verdict for base in bases))
    while True:
        changed = False
        for item in sets:
            for state in sets if item.is_log else ():
                if state.path in best and fits(item, state):
                    way = max(item.verdict, best[state.path])
                    if item.path not in best or way < best[item.path]:
                        best[item.path] = way
                        changed = True
        if not changed:
            return best


@given(chains())
@settings(deadline=None, max_examples=300)
def test_ways_are_those_of_a_search_that_tries_everything(sets: list[BackupSet]) -> None:
    slow = slow_verdicts(sets)
    found = known(*sets)
    usable = {path for path, verdict in slow.items() if verdict <= USABLE}
    assert {path for path, way in found.items() if way.usable} == usable
    for path, way in found.items():
        if path in usable:
            assert way.worst is slow[path]
        if path not in slow:
            assert not way.reached
        if way.after is not None and way.item.is_log:
            assert fits(way.item, way.after)


@given(chains(), st.randoms())
@settings(deadline=None, max_examples=50)
def test_order_of_discovery_changes_nothing(sets: list[BackupSet], random: object) -> None:
    shuffled = list(sets)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    # Keys are numbers of rows, given in the order of discovery.
    renumbered = [replace(item, key=number) for number, item in enumerate(shuffled)]
    assert after(*renumbered) == after(*sets)


@given(chains(), st.integers(0, 8), st.sampled_from(sorted(backups.OUTCOMES)))
@settings(deadline=None, max_examples=100)
def test_worse_evidence_never_improves_a_way(
    sets: list[BackupSet], number: int, verdict: Verdict
) -> None:
    chosen = number % len(sets)
    worsened = [
        worse(item, max(item.verdict, verdict)) if place == chosen else item
        for place, item in enumerate(sets)
    ]
    before, then = known(*sets), known(*worsened)
    for path, way in then.items():
        assert (way.usable, way.worst >= before[path].worst) in (
            (before[path].usable, True),
            (False, True),
        )


@given(chains())
@settings(deadline=None, max_examples=50)
def test_every_way_ends_somewhere(sets: list[BackupSet]) -> None:
    by_key = ways(sets)
    for way in by_key.values():
        steps = 1
        while way.after is not None:
            way = by_key[way.after.key]  # noqa: PLW2901 - walking back
            steps += 1
            assert steps <= len(sets)


def test_hundred_thousand_logs_are_no_trouble() -> None:
    """Goal: no search through all logs for each. Method: count how often LSNs are compared."""
    compared = 0

    class Counting(int):
        def __lt__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return int(self) < int(other)  # type: ignore[call-overload]

    count = 2_000
    one = log("L", 5, 20)
    sets = [full("F", 1, 10, last_lsn=Counting(10))]
    sets += [
        replace(one, key=number, path=f"L{number}", last_lsn=Counting(10 + number))
        for number in range(1, count)
    ]
    assert ways(sets)[count - 1].steps == 2
    assert count < compared < count * 60, "should grow with the logarithm of the count"


@pytest.mark.parametrize(
    "changes",
    [
        {"FirstLSN": None},
        {"LastLSN": ""},
        {"LastLSN": "-5"},
        {"LastLSN": "1" * 26},
        {"LastLSN": "²"},
        {"FirstLSN": ["1"]},
    ],
)
def test_set_without_a_sensible_lsn_is_no_set(changes: dict[str, object]) -> None:
    item = full("F", 1, 10)
    row = image_row(item, changes)
    assert backup_set(1, row, "F", Verdict.SOUND) is None


def test_facts_come_back_as_the_set_they_were_made_of() -> None:
    for item in (*week(), crossing("X", 5, 30, at=1, point=9, new="two")):
        assert backup_set(item.key, image_row(item), item.path, item.verdict) == item


def test_fork_a_database_only_remembers_is_not_crossed() -> None:
    """SQL Server writes the last fork into every later set; it lies before this log."""
    item = log("L", 50, 60, at=1)
    row = image_row(item, {"FirstRecoveryForkID": "old", "ForkPointLSN": "20"})
    assert backup_set(item.key, row, "L", Verdict.SOUND) == item


def test_date_that_is_none_is_unknown() -> None:
    row = image_row(full("F", 1, 10), {"BackupFinishDate": "soon", "BackupStartDate": None})
    found = backup_set(1, row, "F", Verdict.SOUND)
    assert found is not None
    assert (found.started, found.finished, found.end) == (None, None, 0.0)


def test_local_time_sorts_as_it_stands() -> None:
    assert instant(minute(3).replace(tzinfo=None)) == instant(minute(3))
