"""Why this verdict: golden files for the whole, and one test for each way to ask."""

import json
from dataclasses import replace

import jsonschema
import msgspec
import pytest
from rich.console import Group
from rich.text import Text

from formats.core.model import Evidence, Outcome
from scanner.judge.model import Judgement
from scanner.ledger.rows import KnownFile
from scanner.outlets import explain
from scanner.outlets.document import encode
from scanner.outlets.explain import (
    Background,
    Subjects,
    explain_text,
    explanation_out,
    find,
    other_names,
)
from scanner.outlets.report import Report, index
from scanner.results import FileState, Stamps
from tests.scanner.outlets import judgements
from tests.scanner.outlets.formats import toy_format
from tests.scanner.outlets.golden import assert_golden, rendered

NOTHING_ELSE = Background({}, {})
QCOW2 = toy_format(
    "qcow2",
    checks={"qcow2.l2.entry": "Each cluster is where a cluster can be."},
    limitations="A parent is known by name only.",
)


def explained(path: str, report: Report | None = None) -> str:
    report = replace(report or judgements.report(), formats=(QCOW2,))
    subjects = find(report.judgement, report.repositories, path, ())
    assert subjects != Subjects((), ())
    return rendered(Group(*map(Text, explain_text(report, subjects, NOTHING_ELSE))), None)


def found(wanted: str, *places: str) -> list[str]:
    subjects = find(judgements.judgement(), (judgements.REPOSITORY,), wanted, places)
    return [image.path for image in subjects.images] + [
        other.file.path for other in subjects.others
    ]


def test_explanation_of_a_damaged_image() -> None:
    assert_golden("explain-damaged.txt", explained("srv1/inc1.qcow2"))


def test_explanation_of_an_image_that_falls_with_its_parent() -> None:
    assert_golden("explain-dependent.txt", explained("srv1/inc2.qcow2"))


def test_explanation_of_a_file_with_two_images() -> None:
    assert_golden("explain-two-images.txt", explained("sql/shop.bak"))


def test_explanation_of_an_acknowledged_finding() -> None:
    assert_golden("explain-acknowledged.txt", explained("vhd/mirror.vhd"))


def test_explanation_of_a_file_that_is_no_image() -> None:
    assert_golden("explain-empty.txt", explained("sql/new.bak"))


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ("vhd/child.vhd", ()),
        ("./vhd/../vhd/child.vhd", ()),
        ("child.vhd", ("/srv/backups/vhd/child.vhd",)),
        ("/mnt/link/child.vhd", ("/mnt/link/child.vhd", "/srv/backups/vhd/child.vhd")),
    ],
)
def test_file_is_found_by_relative_and_absolute_paths(wanted: str, places: tuple[str, ...]) -> None:
    assert found(wanted, *places) == ["vhd/child.vhd"]


def test_file_that_is_no_image_is_found_too() -> None:
    assert found("notes.txt") == ["notes.txt"]


def test_file_nobody_knows_is_not_found() -> None:
    assert found("child.vhd", "/srv/other/child.vhd") == []


def test_absolute_place_wins_over_the_same_name_in_a_repository() -> None:
    near = judgements.file_row(20, "sql/new.bak")
    image = judgements.judged(judgements.image_row(20, near), near)
    far = replace(judgements.others()[0], file=replace(near, id=21, repository_id=2))
    subjects = find(
        Judgement((image,), (far,), ()),
        (judgements.REPOSITORY, judgements.SECOND_REPOSITORY),
        "sql/new.bak",
        ("/mnt/usb/sql/new.bak",),
    )
    assert subjects == Subjects((), (far,))


def test_what_was_not_proven_names_absent_and_unsupported_checks() -> None:
    file = judgements.file_row(1, "x.bak", kind=None)
    rows = [
        judgements.row(file, 1, Evidence("sqlserver_bak.page.checksum", Outcome.ABSENT), None),
        judgements.row(file, 1, Evidence("sqlserver_bak.crypt", Outcome.UNSUPPORTED), "u"),
    ]
    image = judgements.judged(
        judgements.image_row(1, file),
        file,
        evidence=rows,
        shown=judgements.proof(100, 300, read=None),
    )
    said = list(explain.not_proven(index(judgements.report()), image))
    assert "that every byte can be read: not every byte was" in said
    assert "sqlserver_bak.page.checksum: nothing declared" in said
    assert "sqlserver_bak.crypt: not supported" in said
    assert said[1].startswith("the content of 200 B: under no checksum that matched")


def test_missing_bytes_are_said_in_the_arithmetic_of_sizes() -> None:
    file = judgements.file_row(1, "x.vhd", size=1000)
    image = judgements.judged(judgements.image_row(1, file, needed_bytes=1512), file)
    lines = list(explain.size_lines(image))
    assert lines[-1].strip() == "512 B missing"


def test_offsets_beyond_the_limit_are_counted() -> None:
    file = judgements.file_row(1, "x.vhd")
    rows = [
        judgements.row(
            file, 1, Evidence("vhd.bat.entry", Outcome.MISMATCHED, n, 4, "1", "2"), f"n{n}"
        )
        for n in range(explain.OFFSETS_SHOWN_MAX + 7)
    ]
    image = judgements.judged(judgements.image_row(1, file), file, evidence=rows)
    said = explained("x.vhd", judgements.report(Judgement((image,), (), ())))
    assert "  and 7 more, in --json\n" in said
    assert f"vhd.bat.entry: mismatched, {explain.OFFSETS_SHOWN_MAX + 7} entries\n" in said


def test_hostile_facts_are_shown_as_escapes_and_cut() -> None:
    file = judgements.file_row(1, "x.vhd")
    facts = {"comment": "\x1b[2J" + "x" * 5000, "flags": [1, {"a": None}]}
    image = judgements.judged(judgements.image_row(1, file, facts=facts), file)
    comment, flags = explain.fact_lines(image)
    assert comment.startswith("comment = \\x1b[2Jxxx")
    assert len(comment) < explain.TEXT_LENGTH_MAX + 60
    assert comment.endswith("x and 908 more characters, in --json")
    assert flags == 'flags = [1,{"a":null}]'


def test_a_path_among_the_facts_is_never_cut() -> None:
    path = "/".join(["folder" * 40] * 16) + "/" + "x" * 230
    assert 4000 < len(path) <= explain.TEXT_LENGTH_MAX
    file = judgements.file_row(1, "x.qcow2")
    facts = {"backing_file": path, "pages": list(range(300))}
    image = judgements.judged(judgements.image_row(1, file, facts=facts), file)
    backing, pages = explain.fact_lines(image)
    assert backing == f"backing_file = {path}"
    assert pages.endswith(" more characters, in --json")


def known_file(path: str, inode: int, **changes: object) -> KnownFile:
    stamps = Stamps(9, 8, 7, inode)
    row = KnownFile(path, stamps, FileState.READ, None, 1, None, None, storage_bad=False)
    return row._replace(**changes)


def test_other_names_of_one_inode_are_told_and_names_that_are_gone_are_not() -> None:
    rows = (
        known_file("sql/new.bak", 5),
        known_file("b/again.bak", 5),
        known_file("a/again.bak", 5),
        known_file("sql/other.bak", 6),
        known_file("gone.bak", 5, state=FileState.GONE),
        known_file("reused.bak", 5, stamps=Stamps(9, 8, 6, 5)),
    )
    asked: list[int] = []

    def known_files(repository_id: int) -> dict[str, KnownFile]:
        asked.append(repository_id)
        return {row.path: row for row in rows}

    report = judgements.report()
    subjects = find(report.judgement, report.repositories, "sql/new.bak", ())
    names = other_names(subjects, known_files)
    assert names == {7: ("a/again.bak", "b/again.bak")}
    assert asked == [1]
    said = list(explain_text(report, subjects, Background({}, names)))
    assert said[-3:] == [
        "Hard links: the same bytes under other names, read once for all",
        "  also            'a/again.bak'",
        "  also            'b/again.bak'",
    ]
    (linked,) = explanation_out(report, subjects, Background({}, names)).hard_links
    assert (linked.path, linked.other_names) == ("sql/new.bak", ("a/again.bak", "b/again.bak"))


def test_a_file_with_one_name_has_no_other() -> None:
    report = judgements.report()
    subjects = find(report.judgement, report.repositories, "sql/new.bak", ())
    alone = {"sql/new.bak": known_file("sql/new.bak", 5), "x": known_file("x", 6)}
    assert other_names(subjects, lambda _number: alone) == {}
    assert explanation_out(report, subjects, NOTHING_ELSE).hard_links == ()


def test_bug_of_ours_is_shown_with_its_traceback() -> None:
    report = judgements.report()
    subjects = find(report.judgement, report.repositories, "notes.txt", ())
    said = list(explain_text(report, subjects, Background({9: "Traceback:\n  x\x1b[31m"}, {})))
    assert said[-3:] == ["A bug of bakproof, met here", "  Traceback:", "    x\\x1b[31m"]


def test_json_explanation_follows_its_types_and_counts_every_check() -> None:
    report = judgements.report(formats=(QCOW2,))
    subjects = find(report.judgement, report.repositories, "srv1/inc1.qcow2", ())
    out = explanation_out(report, subjects, Background({1: None, 2: "Traceback: x"}, {}))
    jsonschema.validate(json.loads(encode(out)), msgspec.json.schema(explain.ExplanationOut))
    (explained_image,) = out.images
    assert out.bugs == ("Traceback: x",)
    counted = [(check.check, check.outcome, check.count) for check in explained_image.checks]
    assert counted == [("qcow2.header.magic", "matched", 1), ("qcow2.l2.entry", "mismatched", 5)]
    assert explained_image.checks[1].proves == "Each cluster is where a cluster can be."
    assert "limits of this format: A parent is known by name only." in explained_image.not_proven
