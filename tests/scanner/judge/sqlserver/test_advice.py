"""What is said of a database beyond verdicts, and above all when nothing is said."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from scanner.judge.advice import Advice, Severity
from scanner.judge.model import Verdict
from scanner.judge.sqlserver.advice import advise
from scanner.judge.sqlserver.lsn import BackupSet
from tests.scanner.judge.backups import (
    MORNING,
    differential,
    full,
    judged,
    log,
    stripe,
)

DAY = 24 * 60
NO_LOG = "in the full recovery model, and no log backup"
FULL_MODEL = {"RecoveryModel": "FULL"}
SIMPLE = {"RecoveryModel": "SIMPLE"}


def after_days(days: float) -> datetime:
    return MORNING + timedelta(days=days)


def advice(
    sets: Sequence[BackupSet],
    days: float,
    facts: Mapping[str, Mapping[str, object]] | None = None,
    **more: object,
) -> tuple[Advice, ...]:
    return advise(judged(sets, facts=facts, **more).images, after_days(days))  # type: ignore[arg-type]


def said(*arguments: object, **more: object) -> list[tuple[str, str, str]]:
    found = advice(*arguments, **more)  # type: ignore[arg-type]
    return [(item.rule, item.severity.value, item.text) for item in found]


def nightly(count: int) -> list[BackupSet]:
    """A full every night and a log every noon, for some days."""
    sets = []
    for day in range(count):
        base = 100 * (day + 1)
        sets.append(full(f"F{day}", base + 1, base + 10, at=day * DAY))
        sets.append(log(f"L{day}", base - 40, base + 60, at=day * DAY + DAY / 2))
    return sets


def test_well_kept_database_is_not_spoken_of() -> None:
    assert advice(nightly(5), 5.1) == ()


def test_log_backups_that_stopped_are_warned_of_though_fulls_are_fresh() -> None:
    sets = [item for item in nightly(5) if item.path not in ("L2", "L3", "L4")]
    assert said(sets, 4.25) == [
        (
            "sql.log-backups-missing",
            "warning",
            f"{NO_LOG} for 2 days: none since the last full ('F4')",
        )
    ]


def test_first_log_after_a_full_is_waited_for() -> None:
    sets = [item for item in nightly(5) if item.path != "L4"]
    assert said(sets, 4.25) == []


def test_full_recovery_model_without_any_log_backup_is_warned_of() -> None:
    sets = [item for item in nightly(4) if item.is_full]
    assert said(sets, 3.25, {item.path: FULL_MODEL for item in sets}) == [
        (
            "sql.log-backups-missing",
            "warning",
            f"{NO_LOG} in 3 days: none since the last full ('F3')",
        )
    ]


@pytest.mark.parametrize("facts", [{}, SIMPLE])
def test_unknown_or_simple_recovery_model_without_logs_is_fine(facts: dict[str, object]) -> None:
    sets = [item for item in nightly(4) if item.is_full]
    assert said(sets, 3.25, {item.path: facts for item in sets}) == []


def test_database_that_was_switched_to_simple_needs_no_logs() -> None:
    sets = [item for item in nightly(5) if item.path not in ("L2", "L3", "L4")]
    assert said(sets, 4.25, {"F4": SIMPLE}) == []


def test_copy_brought_in_once_is_not_told_how_long_no_log_came() -> None:
    _old, found = said([full("F", 1, 10)], 50, {"F": FULL_MODEL})
    text = "in the full recovery model, and no log backup since the last full ('F')"
    assert found == ("sql.log-backups-missing", "advice", text)


def test_differential_that_says_simple_outdates_what_the_full_said() -> None:
    sets = [full("F", 1, 10), differential("D", "F", 20, 30, at=2 * DAY)]
    assert said(sets, 3, {"F": FULL_MODEL, "D": SIMPLE}) == []
    (found,) = said(sets, 3, {"F": SIMPLE, "D": FULL_MODEL})
    assert found[0] == "sql.log-backups-missing"


def test_bulk_logged_recovery_model_needs_log_backups_and_is_called_by_its_name() -> None:
    sets = [item for item in nightly(4) if item.is_full]
    (found,) = said(sets, 3.25, {item.path: {"RecoveryModel": "BULK-LOGGED"} for item in sets})
    assert found[2].startswith("in the bulk-logged recovery model, and no log backup in 3 days")


@pytest.mark.parametrize("name", ["master", "model", "MASTER"])
def test_system_databases_without_log_backups_are_no_news(name: str) -> None:
    sets = [replace(item, database=name) for item in nightly(4) if item.is_full]
    assert said(sets, 3.25, {item.path: FULL_MODEL for item in sets}) == []


def test_msdb_that_somebody_put_into_full_recovery_is_held_to_it() -> None:
    sets = [replace(item, database="msdb") for item in nightly(4) if item.is_full]
    (found,) = said(sets, 3.25, {item.path: FULL_MODEL for item in sets})
    assert found[:2] == ("sql.log-backups-missing", "warning")


def test_read_only_database_needs_no_log_backups_and_its_old_full_is_only_mentioned() -> None:
    sets = [item for item in nightly(4) if item.is_full]
    facts = {item.path: FULL_MODEL | {"IsReadOnly": True} for item in sets}
    assert said(sets, 3.25, facts) == []
    (found,) = said(sets, 60, facts)
    assert found[:2] == ("sql.full-too-old", "advice")


def test_full_older_than_a_month_is_warned_of_while_others_are_made() -> None:
    sets = [full("F", 1, 10), *(log(f"L{day}", 10, 10, at=day * DAY) for day in range(1, 41))]
    assert said(sets, 40.5) == [
        (
            "sql.full-too-old",
            "warning",
            "the last full backup is 40 days old ('F'), the newest backup of any kind 0 days",
        )
    ]
    assert said(sets[:36], 35) == []


@pytest.mark.parametrize("verdict", [Verdict.UNPROVEN, Verdict.INCOMPLETE, Verdict.DAMAGED])
def test_a_newer_full_that_cannot_be_used_makes_the_last_one_no_younger(verdict: Verdict) -> None:
    sets = [full("F", 1, 10), full("G", 50, 60, at=30 * DAY, verdict=verdict)]
    text = (
        "the last usable full backup is 40 days old ('F'), "
        f"the newest backup of any kind 10 days; a newer one ('G') is {verdict.word}"
    )
    (found,) = [item for item in said(sets, 40.5) if item[0] == "sql.full-too-old"]
    assert found == ("sql.full-too-old", "warning", text)


def test_a_newer_weakened_full_is_the_last_one() -> None:
    sets = [full("F", 1, 10), full("G", 50, 60, at=30 * DAY, verdict=Verdict.WEAKENED)]
    assert said(sets, 40.5) == []


def test_no_usable_full_at_all_is_left_to_the_findings() -> None:
    sets = [full("F", 1, 10, verdict=Verdict.DAMAGED), log("L", 10, 20, at=39 * DAY)]
    assert [item for item in said(sets, 40.5) if item[0] == "sql.full-too-old"] == []


def test_backups_that_stopped_are_warned_of_and_after_long_only_mentioned() -> None:
    sets = nightly(3)
    (lately,) = [item for item in said(sets, 40) if item[0] == "sql.full-too-old"]
    assert lately[1:] == (
        "warning",
        "the last full backup is 38 days old ('F2'), the newest backup of any kind 37 days",
    )
    assert {severity for _rule, severity, _text in said(sets, 100)} == {"advice"}


def test_single_backup_of_a_database_is_no_habit_to_hold_it_to() -> None:
    assert said([full("F", 1, 10)], 50) == [
        (
            "sql.full-too-old",
            "advice",
            "the last full backup is 50 days old ('F'), and nothing was backed up since",
        )
    ]


def test_backup_that_replaced_another_in_its_file_is_a_habit() -> None:
    item = full("F", 1, 10, at=10 * DAY)
    found = advice([item], 60, files={"F": {"first_seen_at": MORNING}})
    assert [(one.rule, one.severity) for one in found] == [("sql.full-too-old", Severity.WARNING)]


def test_differentials_without_their_full_are_counted() -> None:
    sets = [
        full("F", 1, 10),
        differential("D1", "F", 20, 30, at=1),
        differential("D2", "G", 40, 50, at=2),
        differential("D3", "G", 60, 70, at=3),
    ]
    assert said(sets, 1) == [
        (
            "sql.base-missing",
            "advice",
            "2 of 3 differentials cannot be restored: 1 full backup they are based on is not there",
        )
    ]


def test_only_copy_only_fulls_matter_where_differentials_are_made() -> None:
    copy = full("C", 1, 10, copy_only=True)
    text = "1 full backup, all copy-only: no differential can be based on them"
    assert said([copy], 1) == [("sql.only-copy-only", "advice", text)]
    with_differential = said([copy, differential("D", "F", 20, 30, at=1)], 1)
    assert with_differential[0] == ("sql.only-copy-only", "warning", text)
    assert said([copy, full("F", 20, 30)], 1) == []


def file_list(*sizes: int) -> dict[str, object]:
    data = [{"Type": "D", "BackupSizeInBytes": size} for size in sizes]
    return {"FileList": [*data, {"Type": "L", "BackupSizeInBytes": 1 << 40}]}


def test_full_that_stores_less_than_half_of_its_file_list_is_warned_of() -> None:
    stored = 1 << 19
    text = f"'F' stores {stored} bytes, its file list counts {2 * stored + 1}"
    facts = {"F": file_list(2 * stored, 1)}
    assert said([full("F", 1, 10)], 1, facts) == [("sql.stored-too-little", "warning", text)]
    assert said([full("F", 1, 10)], 1, {"F": file_list(stored, stored)}) == []


def test_compressed_full_may_be_small() -> None:
    facts = {"F": file_list(1 << 30) | {"Compressed": 1}}
    assert said([full("F", 1, 10)], 1, facts) == []


def test_stripes_are_added_up() -> None:
    (image,) = judged([full("F", 1, 10)], facts={"F": file_list(1 << 20)}).images
    row = image.pieces[0]
    both = replace(
        image, pieces=(stripe(row, 1, 2, 1), stripe(row, 2, 2, 2)), files=image.files * 2
    )
    assert advise([both], after_days(1)) == ()
    half = replace(image, pieces=(stripe(row, 1, 2, 1),))
    assert advise([half], after_days(1)) == (), "that one is missing is a finding already"


def test_no_checksum_option_is_advice_and_only_where_the_last_full_lacks_it() -> None:
    sets = nightly(2)
    without = {"HasBackupChecksums": False}
    assert said(sets, 2.1, {"F0": without, "L0": without}) == []
    assert said(sets, 2.1, {"F1": without, "L0": without}) == [
        (
            "sql.no-checksum",
            "advice",
            "2 of 4 backups made without CHECKSUM, the last full ('F1') among them",
        )
    ]


def test_newer_database_version_is_mentioned() -> None:
    assert said([full("F", 1, 10)], 1, {"F": {"DatabaseVersion": 998}}) == []
    ((rule, severity, text),) = said([full("F", 1, 10)], 1, {"F": {"DatabaseVersion": 999}})
    assert (rule, severity) == ("sql.version-untested", "advice")
    assert text.startswith("database version 999, newer than 998")


def test_what_is_gone_is_not_counted() -> None:
    sets = [full("F", 1, 10), log("L", 5, 20, at=2 * DAY)]
    assert said(sets, 2.1, gone=("F",)) == []


def test_warnings_come_first_and_names_hold_from_run_to_run() -> None:
    sets = [
        *nightly(3),
        full("G", 1, 10, database="a", family="a", fork="a", copy_only=True),
    ]
    one, other = advice(sets, 40), advice(list(reversed(sets)), 41)
    assert [item.severity for item in one] == sorted(
        (item.severity for item in one), key=[Severity.WARNING, Severity.ADVICE].index
    )
    assert [(item.id, item.rule) for item in one] == [(item.id, item.rule) for item in other]
    assert len({item.id for item in one}) == len(one)
