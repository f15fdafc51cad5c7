"""Files no format knows: which of them anything calls a backup, and what is said of those."""

from datetime import timedelta

import pytest

from formats.core.model import Bearing, Evidence, Outcome
from scanner.judge.judge import OTHER_RULES, ZERO_FILE_BYTES_MIN
from scanner.judge.model import Verdict
from scanner.judge.rules import rule_meanings
from scanner.results import BUG_CHECK, FileState
from tests.scanner.judge.rows import SEEN, Rows, other

DOUBTFUL, NEEDED = Bearing.DOUBTFUL, Bearing.NEEDED


def row(check: str, outcome: Outcome = Outcome.MISMATCHED, bearing: Bearing = DOUBTFUL) -> Evidence:
    return Evidence(check, outcome, 0, 10, bearing=bearing)


ZEROS, NO_BYTES = row("generic.content"), row("generic.size")
TAIL, SPARSE = row("generic.tail"), row("generic.allocation")
GAP = row("storage.unreadable", Outcome.UNREADABLE, NEEDED)
REFUSED = row("storage.refused", Outcome.UNREADABLE)
CHANGED = row("storage.changed")
ROT = row("baseline.block.xxh3", bearing=NEEDED)
EDITED = row("baseline.block.xxh3")
BUG = row(BUG_CHECK, Outcome.UNSUPPORTED)

TABLE = [
    # evidence, verdict and rule of notes.txt, of disk.qcow2
    ((), None, (Verdict.UNPROVEN, "named-like-a-backup")),
    ((TAIL,), None, (Verdict.UNPROVEN, "named-like-a-backup")),
    ((SPARSE,), None, (Verdict.UNPROVEN, "named-like-a-backup")),
    ((NO_BYTES,), None, (Verdict.EMPTY, "nothing-stored")),
    ((ZEROS,), (Verdict.EMPTY, "only-zeros"), (Verdict.EMPTY, "only-zeros")),
    ((GAP,), (Verdict.DAMAGED, "storage-fails"), (Verdict.DAMAGED, "storage-fails")),
    ((ROT,), (Verdict.DAMAGED, "bytes-wrong"), (Verdict.DAMAGED, "bytes-wrong")),
    ((EDITED,), (Verdict.UNPROVEN, "doubtful"), (Verdict.UNPROVEN, "doubtful")),
    ((REFUSED,), (Verdict.UNPROVEN, "refused"), (Verdict.UNPROVEN, "refused")),
    ((CHANGED,), (Verdict.UNPROVEN, "changing"), (Verdict.UNPROVEN, "changing")),
    ((BUG,), (Verdict.UNPROVEN, "bug"), (Verdict.UNPROVEN, "bug")),
    ((BUG, GAP), (Verdict.DAMAGED, "storage-fails"), (Verdict.DAMAGED, "storage-fails")),
    ((CHANGED, GAP), (Verdict.DAMAGED, "storage-fails"), (Verdict.DAMAGED, "storage-fails")),
    ((EDITED, ROT), (Verdict.DAMAGED, "bytes-wrong"), (Verdict.DAMAGED, "bytes-wrong")),
]


def ruling(path: str, rows: tuple[Evidence, ...], **more: object) -> tuple[Verdict, str] | None:
    made = Rows()
    made.file(path, rows, known_as=None, **more)
    found = other(made.judged(), path).ruling
    return None if found is None else (found.verdict, found.rule)


@pytest.mark.parametrize(("rows", "plain", "named"), TABLE)
def test_what_is_said_of_a_file_no_format_knows(rows, plain, named):
    assert ruling("notes.txt", rows) == plain
    assert ruling("disk.qcow2", rows) == named
    assert ruling("DISK.QCOW2", rows) == named


@pytest.mark.parametrize(
    ("size", "said"), [(ZERO_FILE_BYTES_MIN - 1, False), (ZERO_FILE_BYTES_MIN, True)]
)
def test_small_files_of_zeros_are_nothing_unusual(size, said):
    assert (ruling("pad", (ZEROS,), size=size) is not None) == said
    assert ruling("pad.vhdx", (ZEROS,), size=size) == (Verdict.EMPTY, "only-zeros")


def test_the_rules_stand_worst_first():
    verdicts = [item[0] for item in OTHER_RULES]
    assert verdicts == sorted(verdicts, reverse=True)
    assert {item[1] for item in OTHER_RULES} <= set(rule_meanings())


def test_the_evidence_that_decided_is_named():
    made = Rows()
    made.file("notes.txt", (CHANGED, GAP), known_as=None)
    found = other(made.judged(), "notes.txt")
    assert found.ruling.evidence.evidence == GAP
    assert [item.evidence for item in found.evidence] == [CHANGED, GAP]


def test_accepted_findings_do_not_decide():
    made = Rows()
    made.file("notes.txt", (ROT,), known_as=None)
    (finding,) = [item.finding_id for item in made.evidence]
    assert other(made.judged(acknowledged=[finding]), "notes.txt").ruling is None


def test_files_that_are_gone_are_not_listed():
    made = Rows()
    made.file("notes.txt", (ROT,), known_as=None, state=FileState.GONE)
    assert made.judged().others == ()


def test_files_with_an_image_are_not_listed():
    made = Rows()
    made.backup("disk.qcow2")
    made.file("notes.txt", known_as=None, seen_at=SEEN - timedelta(days=1))
    assert [item.file.path for item in made.judged().others] == ["notes.txt"]
