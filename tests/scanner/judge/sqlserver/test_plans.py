"""In which order backups are restored, and to which times."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given, settings

from scanner.judge.model import Verdict
from scanner.judge.sqlserver.databases import Database, databases
from scanner.judge.sqlserver.lsn import BackupSet, ways
from scanner.judge.sqlserver.plans import newest_plan, plan_at, time_ranges
from tests.scanner.judge.backups import (
    MORNING,
    crossing,
    differential,
    full,
    log,
    minute,
    names,
    week,
    worse,
)
from tests.scanner.judge.sqlserver.test_lsn import chains


def only(*sets: BackupSet) -> Database:
    (found,) = databases(sets)
    return found


def newest(*sets: BackupSet) -> list[str] | None:
    plan = newest_plan(only(*sets), ways(sets))
    return None if plan is None else names(plan.steps)


def at(when: datetime, *sets: BackupSet) -> list[str] | None:
    plan = plan_at(only(*sets), when)
    return None if plan is None else names(plan.steps)


def ranges(*sets: BackupSet) -> list[tuple[int, int]]:
    return [
        (minutes(item.begin), minutes(item.end)) for item in time_ranges(only(*sets), ways(sets))
    ]


def minutes(when: datetime) -> int:
    return int((when - MORNING).total_seconds() // 60)


def without(*paths: str) -> list[BackupSet]:
    return [item for item in week() if item.path not in paths]


def test_newest_plan_takes_the_differential_and_the_logs_behind_it() -> None:
    assert newest(*week()) == ["F", "D", "L3", "L4"]


def test_newest_plan_without_the_differential_takes_every_log() -> None:
    assert newest(*without("D")) == ["F", "L1", "L2", "L3", "L4"]


def test_newest_plan_stops_before_a_gap() -> None:
    assert newest(*without("L3")) == ["F", "D"]


def test_newest_plan_leaves_out_what_is_damaged() -> None:
    sets = [worse(item, Verdict.DAMAGED) if item.path == "L4" else item for item in week()]
    assert newest(*sets) == ["F", "D", "L3"]


def test_weakened_backups_restore_and_unproven_ones_are_not_counted_on() -> None:
    for verdict, expected in ((Verdict.WEAKENED, ["F"]), (Verdict.UNPROVEN, None)):
        assert newest(full("F", 1, 10, verdict=verdict)) == expected


def test_newest_of_empty_logs_is_reached_without_the_others() -> None:
    sets = (full("F", 1, 10), log("L", 10, 20, at=1), *(log(f"E{n}", 20, 20, n) for n in (2, 3, 4)))
    assert newest(*sets) == ["F", "L", "E4"]


def test_newest_time_counts_not_the_highest_lsn() -> None:
    """After a restore to an earlier time LSNs begin anew from there, on another fork."""
    sets = (
        full("F", 1, 10, at=0),
        log("L", 10, 900, at=10),
        crossing("X", 5, 30, at=20, point=10, new="two"),
    )
    assert newest(*sets) == ["F", "X"]


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (-1, None),
        (0, ["F", "L1"]),
        (5, ["F", "L1"]),
        (10, ["F", "L1"]),
        (11, ["F", "L1", "L2"]),
        (24, ["F", "L1", "L2", "L3"]),
        (25, ["F", "D", "L3"]),
        (30, ["F", "D", "L3"]),
        (40, ["F", "D", "L3", "L4"]),
        (41, None),
    ],
)
def test_plan_to_a_time_ends_with_the_log_that_holds_it(
    time: int, expected: list[str] | None
) -> None:
    assert at(minute(time), *week()) == expected


def test_full_finished_after_the_time_is_not_restored_first() -> None:
    """The log spans the full's end, so it could be applied to it: but that is too late already."""
    sets = (full("F", 1, 10, at=0), full("G", 20, 30, at=10), log("L", 5, 40, at=20))
    assert at(minute(5), *sets) == ["F", "L"]
    assert at(minute(15), *sets) == ["G", "L"]


def test_end_of_a_full_is_a_time_without_any_log() -> None:
    assert at(minute(3), full("F", 1, 10, at=3)) == ["F"]
    assert at(minute(4), full("F", 1, 10, at=3)) is None


def test_log_with_bulk_logged_operations_is_not_stopped_within() -> None:
    sets = (full("F", 1, 10, at=0), log("B", 5, 20, at=10, bulk_logged=True), log("L", 20, 30, 20))
    assert at(minute(5), *sets) is None
    assert at(minute(15), *sets) == ["F", "B", "L"]
    assert ranges(*sets) == [(0, 0), (10, 20)]


def test_end_of_a_log_with_bulk_logged_operations_is_reached_without_stopping() -> None:
    sets = (full("F", 1, 10, at=0), log("B", 5, 20, at=10, bulk_logged=True))
    plan = plan_at(only(*sets), minute(10))
    assert plan is not None
    assert names(plan.steps) == ["F", "B"]
    assert (plan.at, plan.reached) == (None, minute(10))
    assert at(minute(11), *sets) is None


def test_time_in_a_gap_is_not_reached() -> None:
    sets = (*without("L3", "D"), full("G", 490, 510, at=45), log("L5", 500, 600, at=50))
    assert at(minute(25), *sets) is None
    assert at(minute(47), *sets) == ["G", "L5"]


def test_of_two_forks_the_one_that_was_there_at_the_time_is_restored() -> None:
    sets = (
        full("F", 1, 10, at=0),
        log("L", 5, 20, at=10),
        crossing("X", 5, 30, at=60, point=12, new="two"),
    )
    assert at(minute(8), *sets) == ["F", "L"]
    assert at(minute(30), *sets) == ["F", "X"]


def test_log_written_for_long_is_counted_on_up_to_its_start() -> None:
    slow = log("L", 5, 20, started=minute(10), finished=minute(18))
    assert at(minute(10), full("F", 1, 10), slow) == ["F", "L"]
    assert at(minute(11), full("F", 1, 10), slow) is None


def test_time_without_a_zone_is_the_servers() -> None:
    zone = timezone(timedelta(hours=5))
    sets = (
        full("F", 1, 10, finished=minute(0).astimezone(zone)),
        log("L", 5, 20, started=minute(60).astimezone(zone)),
    )
    local = minute(30).astimezone(zone).replace(tzinfo=None)
    assert at(local, *sets) == ["F", "L"]
    assert at(minute(30), *sets) == ["F", "L"]
    assert at(minute(30).replace(tzinfo=None), *sets) is None


def test_time_with_a_zone_is_compared_by_the_clock_where_the_backup_has_none() -> None:
    sets = [
        full("F", 1, 10, finished=minute(0).replace(tzinfo=None)),
        log("L", 5, 20, started=minute(60).replace(tzinfo=None)),
    ]
    assert at(minute(30), *sets) == ["F", "L"]


def test_logs_without_a_gap_are_one_stretch_across_fulls() -> None:
    assert ranges(*week(), full("G", 450, 460, at=38)) == [(0, 40)]


def test_stretch_is_whole_though_a_shorter_way_begins_in_its_middle() -> None:
    """The log behind the full is best applied to it, and still holds the time before it."""
    sets = (full("F", 1, 10, 0), log("L1", 5, 20, 10), full("G", 22, 25, 15), log("L2", 20, 30, 20))
    assert ranges(*sets) == [(0, 20)]


def test_gap_splits_the_stretch_and_damage_ends_it() -> None:
    assert ranges(*without("L3")) == [(0, 20), (25, 25)]
    sets = [worse(item, Verdict.DAMAGED) if item.path == "L2" else item for item in week()]
    assert ranges(*sets) == [(0, 10), (25, 40)]


def test_no_time_is_promised_before_the_full_was_finished() -> None:
    """The first log was begun while the full was being made, and outlasts it."""
    sets = (
        full("F", 1, 50, started=minute(0), finished=minute(30)),
        log("L1", 1, 60, started=minute(20), finished=minute(32)),
        log("L2", 60, 70, at=40),
    )
    assert ranges(*sets) == [(30, 40)]


def test_no_full_means_no_plan_and_no_time() -> None:
    sets = (log("L", 5, 20), differential("D", "F", 5, 20))
    assert newest(*sets) is None
    assert ranges(*sets) == []


@given(chains())
@settings(deadline=None, max_examples=150)
def test_every_plan_can_be_carried_out_and_its_time_is_in_a_stretch(sets: list[BackupSet]) -> None:
    known = ways(sets)
    for database in databases(sets):
        plan = newest_plan(database, known)
        stretches = time_ranges(database, known)
        if plan is None:
            assert stretches == ()
            continue
        assert plan.steps[0].is_full
        assert all(item.verdict <= Verdict.WEAKENED for item in plan.steps)
        for before, item in pairwise(plan.steps):
            if item.is_differential:
                assert item.base_guid == before.guid
            else:
                assert item.first_lsn <= before.last_lsn <= item.last_lsn
        for stretch in stretches:
            assert stretch.begin <= stretch.end
        for one, other in pairwise(stretches):
            assert one.end < other.begin


@given(chains())
@settings(deadline=None, max_examples=300)
def test_every_time_of_a_stretch_has_a_plan_and_no_other_time_has(sets: list[BackupSet]) -> None:
    """On one fork time goes with the log, so that each set can be dated by where it ends.

    No differential is older than its base.
    """
    dated = [
        replace(
            item,
            fork="one",
            first_fork="one",
            fork_point=None,
            started=minute(item.last_lsn),
            finished=minute(item.last_lsn),
        )
        for item in sets
    ]
    ends = {item.guid: item.last_lsn for item in dated}
    dated = [item for item in dated if ends.get(item.base_guid or item.guid, 0) <= item.last_lsn]
    known = ways(dated)
    for database in databases(dated):
        stretches = time_ranges(database, known)
        for half in range(-1, 40):
            when = minute(half / 2)
            inside = any(item.begin <= when <= item.end for item in stretches)
            plan = plan_at(database, when)
            assert (plan is not None) == inside, (half / 2, stretches)
