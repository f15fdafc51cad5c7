"""Real backups of SQL Server 2005 to 2025: clean, and what they say of themselves is right."""

import csv
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from formats.core.model import Kind, Outcome, Part
from formats.core.source import BytesSource
from formats.sqlserver_bak import FORMAT
from tests.drive import Driven, drive, summary
from tests.samples import corpus_root

KINDS = {"D": Kind.FULL, "I": Kind.DIFFERENTIAL, "L": Kind.LOG}
COMPRESSED = "67_TutorialDB.bak"
NO_SET = "92_noset.bak"
WANTED_BAD = {NO_SET: {"sqlserver_bak.media.sets"}}


def listed() -> Iterator[dict[str, str]]:
    root = corpus_root()
    if root is not None:
        with (root / "sqlserver" / "corpus.tsv").open(encoding="utf-8") as file:
            yield from csv.DictReader(file, delimiter="\t")


LISTED = [row for row in listed() if row["file"] != COMPRESSED]
every_file = pytest.mark.parametrize("row", LISTED, ids=[row["file"] for row in LISTED])


def driven(corpus: Path, name: str, *, conclude: bool = True) -> Driven:
    content = (corpus / "sqlserver" / name).read_bytes()
    return drive(FORMAT, BytesSource(content), conclude=conclude)


@every_file
def test_real_backup_is_clean_and_says_what_it_is(row, corpus):
    result = driven(corpus, row["file"])
    bad = {item.check for item in result.bad}
    assert bad == WANTED_BAD.get(row["file"], set()), summary(result.bad)
    if row["file"] == NO_SET:
        return
    assert len(result.inspections) == int(row["sets"])
    assert result.inspections[-1].needed_bytes == int(row["size"])
    for image in result.inspections:
        facts = image.facts
        version = [facts[f"SoftwareVersion{part}"] for part in ("Major", "Minor", "Build")]
        assert ".".join(map(str, version)) == row["version"]
        assert image.kind is KINDS[row["type"]]
        # One medium holds sets of two databases, of which the list names one.
        assert str(facts["DatabaseName"]).startswith(row["database"])
        assert facts["FamilyCount"] == int(row["families"])
        assert facts["HasBackupChecksums"] is (row["checksum"] == "True")
        assert image.complete
        assert image.payload_bytes is not None


@every_file
def test_most_of_a_real_backup_is_vouched_for_and_nothing_twice(row, corpus):
    result = driven(corpus, row["file"])
    vouched = sum(item.vouched_bytes for item in result.evidence)
    assert 0 < vouched <= int(row["size"])
    if row["checksum"] == "True" and row["type"] != "L":
        assert vouched > 0.98 * int(row["size"])


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        (
            "84_SpsSecurity.bak",
            {
                "BackupName": "Full Backup of SpsSecurity",
                "MediaName": "SQLServerBackups",
                "ServerName": "DESKTOP-FCR3KJC",
                "UserName": "DESKTOP-FCR3KJC\\nikol",
                "FirstLSN": "48000000192000001",
                "LastLSN": "48000000194400001",
                "BackupFinishDate": "2022-04-27T11:19:48+03:00",
                "CompatibilityLevel": 150,
                "DatabaseVersion": 904,
                "BackupSize": 3_629_056,
            },
        ),
        (
            "01_NORTHWND.bak",
            {
                "BackupName": "NORTHWND-Full Database Backup",
                "ServerName": "TTLVM2",
                "BackupStartDate": "2011-08-10T19:46:56+05:30",
                "DatabaseCreationDate": "2009-07-09T17:34:36+05:30",
                "DatabaseVersion": 611,
                "RecoveryModel": "SIMPLE",
                "BeginsLogChain": False,
                "BackupSize": 3_496_448,
                "CompressedBackupSize": None,
            },
        ),
        (
            "36_db1.bak",
            {
                "BackupTypeDescription": "Database Differential",
                "DatabaseName": "db1",
                "HasBackupChecksums": True,
            },
        ),
        (
            "83_SpsSecurity.trn",
            {
                "BackupName": "backup-log",
                "Position": 1,
                "BackupTypeLetter": "L",
                "RecoveryModel": "FULL",
                "BeginsLogChain": False,
            },
        ),
        ("06_OlaMsFilterTest.trn", {"RecoveryModel": "FULL", "BeginsLogChain": True}),
        ("08_OlaMsFilterTest.trn", {"RecoveryModel": "FULL", "BeginsLogChain": False}),
        ("75_BLM4522.bak", {"RecoveryModel": "SIMPLE"}),
        ("77_BLM4522.bak", {"RecoveryModel": "FULL", "BeginsLogChain": False}),
        ("88_master.bak", {"RecoveryModel": "SIMPLE"}),
    ],
)
def test_facts_of_real_backups(name, wanted, corpus):
    facts = driven(corpus, name).inspections[0].facts
    assert {key: facts.get(key) for key in wanted} == wanted


def test_log_backups_of_one_file_follow_each_other(corpus):
    images = driven(corpus, "83_SpsSecurity.trn").inspections
    ranges = [image.position for image in images if image.position]
    assert len({image.lineage for image in images}) == 1
    # The second begins on another recovery fork, before the end of the first; none leaves a gap.
    assert all(left.last >= right.first for left, right in pairwise(ranges))


def test_differentials_name_the_full_they_are_against(corpus):
    (full,) = driven(corpus, "02_DBWithoutOwner.bak").inspections
    (differential,) = driven(corpus, "03_DBWithoutOwner.bak").inspections
    (parent,) = differential.parents
    assert parent.identities == full.identities
    assert differential.lineage == full.lineage


def test_files_of_several_filegroups_are_listed(corpus):
    (image,) = driven(corpus, "81_MyDB.bak").inspections
    files = [(item["FileId"], item["Type"]) for item in image.facts["FileList"]]
    assert files == [(1, "D"), (3, "D"), (4, "D"), (2, "L")]
    assert image.source_bytes == sum(item["Size"] for item in image.facts["FileList"])


def joined(corpus: Path, names: tuple[str, ...]) -> list[Part]:
    parts = [driven(corpus, name, conclude=False).parts(0) for name in names]
    return sorted(
        parts, key=lambda part: part.inspection.piece.number if part.inspection.piece else 0
    )


@pytest.mark.parametrize(
    "names",
    [
        ("27_RestoreTimeStripe.bak", "28_RestoreTimeStripe.bak"),
        ("31_RestoreTimeStripe.bak", "32_RestoreTimeStripe.bak"),
        ("29_RestoreTimeStripe.trn", "30_RestoreTimeStripe.trn"),
    ],
    ids=str,
)
def test_real_stripes_are_whole_together(names, corpus):
    evidence = FORMAT.conclude(joined(corpus, names))
    assert not any(row.bad for row in evidence)
    by_check = {row.check: row for row in evidence}
    assert by_check["sqlserver_bak.set.backup_size"].outcome is Outcome.MATCHED
    if names[0].endswith(".bak"):
        assert by_check["sqlserver_bak.extent.present"].count == 23


def test_stripes_of_two_backups_are_not_taken_for_one(corpus):
    names = ("27_RestoreTimeStripe.bak", "32_RestoreTimeStripe.bak")
    bad = {row.check for row in FORMAT.conclude(joined(corpus, names)) if row.bad}
    assert "sqlserver_bak.set.members" in bad


def test_every_allocated_page_of_the_corpus_is_accounted_for(corpus):
    counts: dict[tuple[str, Outcome], int] = {}
    for row in LISTED:
        for item in driven(corpus, row["file"]).evidence:
            key = (item.check, item.outcome)
            counts[key] = counts.get(key, 0) + item.count
    assert counts["sqlserver_bak.page.checksum", Outcome.MATCHED] > 13_000
    assert counts["sqlserver_bak.page.unprotected", Outcome.ABSENT] < 300
    assert counts["sqlserver_bak.boot.version", Outcome.MATCHED] == 66
    assert ("sqlserver_bak.extent.present", Outcome.MISMATCHED) not in counts
