"""Which sets are of one database, and why something in it cannot be restored."""

import pytest

from formats.core.model import Kind
from scanner.judge.model import Verdict
from scanner.judge.sqlserver.databases import Missing, Reason, causes, databases
from scanner.judge.sqlserver.lsn import BackupSet, ways
from tests.scanner.judge.backups import a_set, crossing, differential, full, log, names, week


def grouped(*sets: BackupSet) -> dict[str, list[str]]:
    return {item.full_name: names(item.sets) for item in databases(sets)}


def missing(*sets: BackupSet) -> list[Missing]:
    known = ways(sets)
    return [item for database in databases(sets) for item in causes(database, known)]


def test_one_database_is_sorted_along_its_log() -> None:
    assert grouped(*reversed(week())) == {"SRV/shop": ["F", "L1", "L2", "D", "L3", "L4"]}


def test_servers_and_databases_are_kept_apart() -> None:
    assert grouped(
        full("a", 1, 2),
        full("b", 1, 2, server="SRV2", family="x", fork="x"),
        full("c", 1, 2, database="stock", family="y", fork="y"),
    ) == {"SRV/shop": ["a"], "SRV2/shop": ["b"], "SRV/stock": ["c"]}


def test_replicas_of_one_database_are_one_and_named_after_the_newest() -> None:
    (found,) = databases([full("a", 1, 10, at=0), log("b", 5, 20, at=9, server="SRV2")])
    assert found.full_name == "SRV2/shop"
    assert found.servers == ("SRV", "SRV2")


def test_renamed_database_is_one_under_its_new_name() -> None:
    (found,) = databases([full("a", 1, 10, at=0), log("b", 5, 20, at=9, database="store")])
    assert (found.full_name, found.names) == ("SRV/store", ("shop", "store"))


def test_copy_restored_elsewhere_is_another_database_of_the_family() -> None:
    copy = full("c", 20, 30, at=5, server="TEST", database="copy", fork="two")
    first, second = databases([full("a", 1, 10), copy])
    assert (first.full_name, second.full_name) == ("SRV/shop", "TEST/copy")
    assert names(first.sets) == ["a"]
    assert names(first.family) == ["a", "c"]


def test_database_made_anew_under_an_old_name_is_another_one() -> None:
    again = full("b", 1, 10, family="second", fork="two")
    assert len(databases([full("a", 1, 10), again])) == 2


def test_sound_chain_lacks_nothing() -> None:
    assert missing(*week()) == []


@pytest.mark.parametrize(
    ("sets", "reason", "after", "said"),
    [
        ((log("L", 5, 20),), Reason.FULL, None, "no full backup of this database"),
        (
            (full("F", 30, 40), log("L", 5, 20)),
            Reason.OLDER,
            None,
            "every full backup of this database is newer",
        ),
        (
            (full("F", 1, 10), log("L", 11, 20)),
            Reason.GAP,
            "F",
            "no log from LSN 10 on, where 'F' ends",
        ),
        (
            (full("F", 1, 10), log("L", 5, 20, fork="two", first_fork="two")),
            Reason.FORK,
            None,
            "only backups on another recovery fork",
        ),
        (
            (full("F", 1, 10), differential("D", "G", 5, 20)),
            Reason.BASE,
            None,
            "the full backup it is based on is not there",
        ),
        (
            (full("F", 1, 10), log("L", 5, 20, verdict=Verdict.DAMAGED)),
            Reason.UNUSABLE,
            "F",
            "it is damaged itself",
        ),
        (
            (full("F", 1, 10), crossing("X", 12, 20, at=1, point=15, new="two")),
            Reason.GAP,
            "F",
            "no log from LSN 10 on, where 'F' ends",
        ),
    ],
)
def test_cause_is_named(
    sets: tuple[BackupSet, ...], reason: Reason, after: str | None, said: str
) -> None:
    (found,) = missing(*sets)
    assert (found.item, found.reason, found.text) == (sets[-1], reason, said)
    assert (found.after.path if found.after else None) == after


def test_what_only_follows_is_no_cause() -> None:
    without = [item for item in week() if item.path not in ("L1", "D")]
    assert [(item.item.path, item.reason) for item in missing(*without)] == [("L2", Reason.GAP)]


def test_file_backups_are_listed_with_their_database_and_lack_nothing() -> None:
    part = a_set("P", Kind.FULL, 1, 10, letter="F")
    assert grouped(part) == {"SRV/shop": ["P"]}
    assert missing(part) == []
