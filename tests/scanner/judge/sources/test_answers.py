"""One answer per source: up to when, what is wrong, what to do first."""

import pytest

from formats.core.model import Outcome
from scanner.judge.advice import Severity
from scanner.judge.expected import rules as expected
from scanner.judge.fit import advice as fit_advice
from scanner.judge.forecast import forecast
from scanner.judge.model import Verdict
from scanner.judge.rules import RULES
from scanner.judge.sources.answers import ADVICE_STEPS, MEANINGS, STEPS, Answer, State, answer
from scanner.judge.sources.saying import said
from scanner.judge.sqlserver import advice
from scanner.results import FileState
from tests.scanner.judge.outlooks import one
from tests.scanner.judge.rows import GOOD, OLD, SEEN, Rows, bad, named

ADVICE_ONLY = {
    "sql.base-missing",
    "sql.no-checksum",
    "sql.version-untested",
    "source.learning",
    "forecast.tight",
}
TABLES = (advice.RULES, expected.RULES, fit_advice.RULES, tuple(forecast.RULES.values()))
WARNS = {rule.name for table in TABLES for rule in table} - ADVICE_ONLY | {
    "machine.no-database",
    "source.stranger",
    "chain.swapped",
}


def answered(rows: Rows, *warnings: str) -> Answer:
    source = one(rows)
    images = {image.key: image for image in rows.judged().images}
    every = [said(source, rule, Severity.WARNING, "it is old") for rule in warnings]
    return answer(source, images, every)


def weeks(*evidence: object) -> Rows:
    """Return weekly fulls with this evidence each; none for a sound one."""
    rows = Rows()
    for number, row in enumerate(evidence):
        rows.backup(f"a-2026-01-{4 + 7 * number:02}.qcow2", (row or GOOD,))
    return rows


def test_a_sound_source_is_restorable_and_nothing_is_to_be_done():
    found = answered(weeks(None, None))
    assert (found.state, found.wrong, found.first) == (State.RESTORABLE, None, None)
    assert found.newest is not None
    assert found.newest.at.day == 11


def test_a_newest_backup_that_fails_leaves_the_one_before_it():
    found = answered(weeks(None, bad(), bad(Outcome.TRUNCATED)))
    assert found.state is State.BEHIND
    assert found.newest is not None
    assert found.newest.at.day == 4
    assert found.failed == 2
    assert found.wrong == (
        "newest backup 'a-2026-01-18.qcow2' is incomplete: needed bytes are missing"
    )
    assert found.first == "see why the backup job ended early, then start a new full backup"


def test_an_old_failure_is_the_past():
    assert answered(weeks(bad(), None)).state is State.RESTORABLE


@pytest.mark.parametrize("verdict", ["being-written", "failed"])
def test_a_backup_that_is_being_written_has_not_failed(verdict):
    rows = weeks(None)
    fresh = {"mtime": SEEN} if verdict == "being-written" else {"mtime": OLD}
    rows.backup("a-2026-01-18.qcow2", complete=False, file=fresh, created_at=SEEN)
    found = answered(rows)
    if verdict == "failed":
        assert (found.state, found.failed) == (State.BEHIND, 1)
    else:
        assert (found.state, found.failed, found.wrong) == (State.RESTORABLE, 0, None)
    assert found.writing is (verdict == "being-written")


def test_without_any_usable_backup_a_source_is_lost():
    found = answered(weeks(bad()))
    assert (found.state, found.newest, found.failed) == (State.LOST, None, 1)


def test_what_cannot_be_judged_is_unproven_and_not_lost():
    found = answered(weeks(bad(Outcome.UNSUPPORTED)))
    assert found.state is State.UNPROVEN
    assert found.first == "try a restore: 'a-2026-01-04.qcow2' cannot be judged from outside"


def test_the_fault_of_another_image_is_named():
    rows = Rows()
    rows.backup("base.qcow2", (bad(),))
    rows.backup("child.qcow2", parents=named("base.qcow2"), file={"mtime": SEEN})
    found = answered(rows)
    assert found.wrong == (
        "newest backup 'child.qcow2' is damaged: needed bytes are wrong in 'base.qcow2', "
        "which it needs"
    )
    assert found.first == "start a new full backup, and look for another copy of 'base.qcow2'"


def test_an_image_that_is_gone_is_named_by_whoever_needs_it():
    rows = Rows()
    rows.backup("a-2026-01-04.qcow2", file={"state": FileState.GONE})
    rows.backup("a-2026-01-11.qcow2", parents=named("a-2026-01-04.qcow2"), file={"mtime": SEEN})
    found = answered(rows)
    assert found.wrong == (
        "newest backup 'a-2026-01-11.qcow2' is incomplete: 'a-2026-01-04.qcow2', which it needs, "
        "is not there any more"
    )
    assert found.first == "look for 'a-2026-01-04.qcow2', else start a new full backup"


def test_a_missing_parent_is_to_be_looked_for():
    rows = Rows()
    rows.backup("child.qcow2", parents=named("base.qcow2"))
    assert answered(rows).first == "look for base.qcow2, else start a new full backup"


def test_warnings_call_for_attention_and_do_not_hide_that_it_restores():
    found = answered(weeks(None), "source.late")
    assert (found.state, found.wrong) == (State.ATTENTION, "it is old")
    assert found.first == "see why its backup job did not run"


def test_a_rule_nobody_has_a_step_for_is_named():
    assert answered(weeks(None), "new.rule").first == "look into new.rule"


def test_room_goes_first_as_without_it_no_new_backup_can_come():
    found = answered(weeks(bad(Outcome.TRUNCATED)), "source.late", "forecast.cannot-fit")
    assert found.first == "allot more room: the next full backup cannot fit"


@pytest.mark.parametrize("name", sorted(WARNS))
def test_there_is_something_to_do_about_every_warning(name):
    assert name in ADVICE_STEPS


def test_there_are_no_steps_for_rules_that_do_not_exist():
    assert set(ADVICE_STEPS) == WARNS


def test_nothing_left_is_said_so():
    rows = Rows()
    rows.backup("a.qcow2", file={"state": FileState.GONE})
    found = answered(rows)
    assert (found.state, found.wrong) == (State.LOST, "there is no backup of it")
    assert found.first == "find out why no backup of it arrives"


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.verdict is not Verdict.SOUND])
def test_there_is_something_to_do_about_every_rule(rule):
    assert rule.name in STEPS
    assert rule.name in MEANINGS
