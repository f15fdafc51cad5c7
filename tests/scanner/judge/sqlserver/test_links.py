"""Backups judged as a scan would: which way counts, who decides, and what a chain is called."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.core.model import Bearing, Evidence, Identity, Kind, Outcome, ParentRef
from scanner.judge.model import Verdict
from scanner.judge.sqlserver.lsn import BackupSet
from scanner.ledger.rows import EvidenceRow, FileRow, ImageRow
from tests.scanner.judge import backups
from tests.scanner.judge.backups import (
    a_set,
    by_path,
    crossing,
    differential,
    file_row,
    full,
    image_row,
    judged,
    log,
    parents,
    stripe,
    verdicts,
    week,
    worse,
)
from tests.scanner.judge.sqlserver.test_lsn import chains


def week_with(path: str, verdict: Verdict) -> list[BackupSet]:
    return [worse(item, verdict) if item.path == path else item for item in week()]


def week_without(*paths: str) -> list[BackupSet]:
    return [item for item in week() if item.path not in paths]


def test_sound_week_is_sound_and_its_logs_name_what_they_follow() -> None:
    judgement = judged(week())
    assert set(verdicts(judgement).values()) == {"sound"}
    assert parents(judgement) == {
        "F": None,
        "D": "F",
        "L1": "F",
        "L2": "L1",
        "L3": "D",
        "L4": "L3",
    }
    (link,) = by_path(judgement)["L1"].parents
    assert (link.wanted, link.by) == ("a backup of SRV/shop that reaches LSN 95", "lsn")
    (link,) = by_path(judgement)["D"].parents
    assert (link.wanted, link.by) == ("sqlserver.backup_set_guid:F", "identity")


def test_damaged_differential_condemns_itself_alone() -> None:
    judgement = judged(week_with("D", Verdict.DAMAGED))
    assert verdicts(judgement) == {
        "F": "sound",
        "D": "damaged",
        "L1": "sound",
        "L2": "sound",
        "L3": "sound",
        "L4": "sound",
    }
    assert parents(judgement)["L3"] == "L2"


def test_damaged_full_condemns_everything_and_is_named() -> None:
    judgement = judged(week_with("F", Verdict.DAMAGED))
    assert set(verdicts(judgement).values()) == {"damaged"}
    decider = by_path(judgement)["F"].key
    assert {image.deciding_key for image in judgement.images} == {decider}


def test_damaged_log_before_a_differential_condemns_only_what_lies_between() -> None:
    found = verdicts(judged(week_with("L1", Verdict.DAMAGED)))
    assert found == {
        "F": "sound",
        "D": "sound",
        "L1": "damaged",
        "L2": "damaged",
        "L3": "sound",
        "L4": "sound",
    }


def test_missing_log_makes_the_next_one_incomplete_and_the_rest_with_it() -> None:
    judgement = judged(week_without("L1", "D"))
    assert verdicts(judgement) == {
        "F": "sound",
        "L2": "incomplete",
        "L3": "incomplete",
        "L4": "incomplete",
    }
    orphan = by_path(judgement)["L2"]
    assert {image.deciding_key for image in judgement.images} == {
        by_path(judgement)["F"].key,
        orphan.key,
    }
    (finding,) = [row for row in orphan.evidence if row.evidence.bad]
    assert orphan.own.rule == "member-missing"
    assert finding.finding_id is not None
    assert finding.evidence == Evidence(
        "chain.log.base",
        Outcome.TRUNCATED,
        expected="a backup that ends at LSN 200 or behind it",
        actual="no log from LSN 110 on, where 'F' ends",
        bearing=Bearing.NEEDED,
    )


def test_single_log_is_incomplete_and_says_that_there_is_no_full() -> None:
    judgement = judged([log("L", 5, 20)])
    (image,) = judgement.images
    assert image.ruling.verdict is Verdict.INCOMPLETE
    (finding,) = [row.evidence for row in image.evidence if row.evidence.bad]
    assert finding.actual == "no full backup of this database"


def test_full_in_another_repository_of_the_ledger_serves() -> None:
    found = verdicts(judged(week(), elsewhere=("F", "D")))
    assert set(found.values()) == {"sound"}


def test_full_that_is_gone_is_missed_by_the_logs_that_need_it() -> None:
    judgement = judged(week_without("D"), gone=("F",))
    assert set(verdicts(judgement).values()) == {"incomplete"}
    assert by_path(judgement)["F"].own.rule == "gone"


def test_full_that_is_gone_is_not_missed_where_another_one_serves() -> None:
    sets = [full("F", 1, 10, at=0), full("G", 12, 15, at=5), log("L", 5, 20, at=10)]
    judgement = judged(sets, gone=("F",))
    assert verdicts(judgement) == {"G": "sound", "L": "sound"}


def test_acknowledged_gap_condemns_nothing_behind_it() -> None:
    sets = week_without("L1", "D")
    orphan = by_path(judged(sets))["L2"]
    (name,) = [row.finding_id for row in orphan.evidence if row.evidence.bad]
    found = verdicts(judged(sets, acknowledged=frozenset({name or ""})))
    assert set(found.values()) == {"sound"}


def test_soundest_copy_of_a_full_serves_its_differential() -> None:
    copies = [full("a", 1, 10, guid="F", verdict=Verdict.DAMAGED), full("b", 1, 10, guid="F")]
    judgement = judged([*copies, differential("D", "F", 20, 30)])
    assert verdicts(judgement) == {"a": "damaged", "b": "sound", "D": "sound"}


def test_differential_without_its_base_keeps_its_own_finding() -> None:
    judgement = judged([full("F", 1, 10), differential("D", "G", 20, 30), log("L", 25, 40)])
    assert verdicts(judgement) == {"F": "sound", "D": "incomplete", "L": "incomplete"}
    checks = [row.evidence.check for row in by_path(judgement)["D"].evidence if row.evidence.bad]
    assert checks == ["chain.parent.present"]
    assert by_path(judgement)["L"].deciding_key == by_path(judgement)["D"].key


def test_copy_only_full_is_no_base() -> None:
    found = verdicts(judged([full("F", 1, 10, copy_only=True), log("L", 5, 20)]))
    assert found == {"F": "sound", "L": "sound"}


def test_fork_is_followed() -> None:
    sets = [
        full("F", 1, 10),
        log("L", 10, 40, at=5),
        crossing("X", 8, 30, at=20, point=10, new="two"),
    ]
    assert parents(judged(sets)) == {"F": None, "L": "F", "X": "F"}


def unreadable_backup(name: str) -> tuple[FileRow, ImageRow, list[EvidenceRow]]:
    """Return an encrypted backup: of which database is not said."""
    item = full(name, 1, 10)
    row = replace(image_row(item), facts={}, kind=None, identities=(), source=None)
    locked = Evidence("sqlserver_bak.encrypted", Outcome.UNSUPPORTED)
    return file_row(item), row, [EvidenceRow(item.key, item.key, locked, 1, backups.SEEN, "e")]


def test_log_without_any_full_is_doubtful_beside_a_backup_that_cannot_be_read() -> None:
    judgement = judged([log("L", 5, 20)], more=[unreadable_backup("E")])
    image = by_path(judgement)["L"]
    assert image.own.rule == "doubtful"
    (finding,) = [row.evidence for row in image.evidence if row.evidence.bad]
    assert finding.actual == (
        "no full backup of this database; 1 backup that does not tell of which database"
    )


def test_gap_is_a_gap_also_beside_a_backup_that_cannot_be_read() -> None:
    judgement = judged([full("F", 1, 10), log("L", 15, 20)], more=[unreadable_backup("E")])
    assert verdicts(judgement)["L"] == "incomplete"


def test_log_beside_file_backups_of_its_database_is_doubtful() -> None:
    sets = [a_set("P", Kind.FULL, 1, 10, letter="F"), log("L", 5, 20)]
    assert verdicts(judged(sets)) == {"P": "sound", "L": "unproven"}


def test_stripes_count_as_one() -> None:
    whole = full("s1", 1, 10)
    pieces = []
    for number in (1, 2):
        item = replace(whole, path=f"s{number}", key=number)
        row = stripe(image_row(item), number, 2, number)
        good = Evidence("toy.header", Outcome.MATCHED)
        pieces.append(
            (file_row(item), row, [EvidenceRow(number, number, good, 1, backups.SEEN, None)])
        )
    both = judged([log("L", 5, 20)], more=pieces)
    assert verdicts(both) == {"s1": "sound", "L": "sound"}
    alone = judged([log("L", 5, 20)], more=pieces[:1])
    assert verdicts(alone) == {"s1": "incomplete", "L": "incomplete"}
    assert by_path(alone)["L"].deciding_key == by_path(alone)["s1"].key


def test_images_of_other_formats_are_linked_as_before() -> None:
    """Their facts may have any names, those of SQL Server among them."""
    item, child = full("d0", 1, 10), log("d1", 50, 60)
    rows = []
    for one, parent in ((item, None), (child, "d0")):
        row = replace(
            image_row(one),
            kind=Kind.FULL if parent is None else Kind.INCREMENTAL,
            identities=(Identity("qcow2.name", one.path),),
            parents=() if parent is None else (ParentRef((Identity("qcow2.name", parent),)),),
            facts={},
        )
        good = Evidence("toy.header", Outcome.MATCHED)
        evidence = [EvidenceRow(one.key, one.key, good, 1, backups.SEEN, None)]
        rows.append((file_row(one, format="qcow2"), row, evidence))
    judgement = judged([], more=rows)
    assert verdicts(judgement) == {"d0": "sound", "d1": "sound"}
    assert by_path(judgement)["d1"].parents[0].by == "identity"
    (chain,) = judgement.chains
    assert chain.image_keys == (item.key, child.key)


def test_each_database_is_one_chain_along_its_log() -> None:
    other = full("G", 1, 10, database="stock", family="other", fork="other")
    judgement = judged([*reversed(week()), other])
    paths = {image.key: image.path for image in judgement.images}
    found = {chain.name: [paths[key] for key in chain.image_keys] for chain in judgement.chains}
    assert found == {"SRV/shop": ["F", "L1", "L2", "D", "L3", "L4"], "SRV/stock": ["G"]}
    newest = {chain.name: paths[chain.restorable_key or 0] for chain in judgement.chains}
    assert newest == {"SRV/shop": "L4", "SRV/stock": "G"}


def test_chain_says_how_far_it_can_be_restored() -> None:
    judgement = judged(week_with("L3", Verdict.DAMAGED))
    (chain,) = judgement.chains
    assert chain.verdict is Verdict.DAMAGED
    assert chain.restorable_key == by_path(judgement)["D"].key


@given(chains(), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=50)
def test_order_of_rows_changes_no_verdict(sets: list[BackupSet], random: object) -> None:
    shuffled = list(sets)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    renumbered = [replace(item, key=number) for number, item in enumerate(shuffled, 1)]
    assert verdicts(judged(renumbered)) == verdicts(judged(sets))
    assert parents(judged(renumbered)) == parents(judged(sets))


@given(chains(), st.integers(0, 8), st.sampled_from(sorted(backups.OUTCOMES)))
@settings(deadline=None, max_examples=50)
def test_worse_evidence_never_improves_a_verdict(
    sets: list[BackupSet], number: int, verdict: Verdict
) -> None:
    chosen = number % len(sets)
    worsened = [
        worse(item, max(item.verdict, verdict)) if place == chosen else item
        for place, item in enumerate(sets)
    ]
    before, then = by_path(judged(sets)), by_path(judged(worsened))
    for path, image in then.items():
        assert image.ruling.verdict >= before[path].ruling.verdict


@pytest.mark.parametrize("name", ["F", "L1", "L2", "D", "L3", "L4"])
def test_each_missing_backup_takes_what_cannot_do_without_it(name: str) -> None:
    victims = {
        "F": {"D", "L1", "L2", "L3", "L4"},
        "L1": {"L2"},
        "L2": set(),
        "D": set(),
        "L3": {"L4"},
        "L4": set(),
    }
    found = verdicts(judged(week_without(name)))
    assert {path for path, verdict in found.items() if verdict != "sound"} == victims[name]
