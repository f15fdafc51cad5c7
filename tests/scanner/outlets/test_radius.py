"""What dies with a file, in words: what is lost, what is left, and what is only counted."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import jsonschema
import msgspec

from scanner.judge.model import JudgedImage, Judgement, Verdict
from scanner.judge.sources.outlook import Outlook
from scanner.outlets.document import encode
from scanner.outlets.explain import Background, explain_text, explanation_out, find
from scanner.outlets.radius import LossOut, loss_lines, losses_out
from scanner.outlets.report import Report, index
from scanner.results import FileState
from tests.scanner.judge import backups
from tests.scanner.judge.dated import sources_in
from tests.scanner.judge.rows import REPOSITORIES, Rows, bad, wanted
from tests.scanner.outlets import judgements

NIGHT = datetime(2026, 3, 9, 22, tzinfo=UTC)


def chain(count: int, folder: str = "vm") -> Rows:
    rows = Rows()
    for number in range(count):
        rows.backup(
            f"{folder}/n{number}.qcow2",
            identity=f"{folder}{number}",
            parents=wanted(f"{folder}{number - 1}") if number else (),
            created_at=NIGHT + timedelta(number),
        )
    return rows


def report_on(judgement: Judgement) -> Report:
    found = sources_in(judgement.images, REPOSITORIES)
    # Of what is known of a source only the source itself is asked for.
    stand = tuple(SimpleNamespace(source=replace(one, name="srv")) for one in found)
    outlook = Outlook(stand, ())  # type: ignore[arg-type]
    return judgements.report(judgement, repositories=REPOSITORIES[:1], outlook=outlook)


def images_at(judgement: Judgement, path: str) -> list[JudgedImage]:
    return [image for image in judgement.images if image.path == path]


def said(judgement: Judgement, path: str) -> list[str]:
    return list(loss_lines(index(report_on(judgement)), images_at(judgement, path)))


def test_a_file_nothing_else_needs() -> None:
    assert said(chain(3).judged(), "vm/n2.qcow2") == [
        "nothing else needs it; its own restore point dies with it",
        (
            "'srv': the newest restorable point would be 2026-03-10 22:00:00 UTC "
            "instead of 2026-03-11 22:00:00 UTC"
        ),
    ]


def test_a_file_with_several_backups_that_nothing_else_needs() -> None:
    rows = Rows()
    file = rows.file("vm/all.qcow2")
    for number in range(2):
        rows.image(file, created_at=NIGHT + timedelta(number))
    assert said(rows.judged(), "vm/all.qcow2") == [
        "nothing else needs it; its own 2 restore points die with it",
        "'srv': nothing of it would restore any more",
    ]


def test_a_full_with_everything_that_needs_it() -> None:
    assert said(chain(3).judged(), "vm/n0.qcow2") == [
        "3 restore points die with it:",
        "  2026-03-09 22:00:00 UTC  full 'vm/n0.qcow2'",
        "  2026-03-10 22:00:00 UTC  full 'vm/n1.qcow2'",
        "  2026-03-11 22:00:00 UTC  full 'vm/n2.qcow2'",
        "'srv': nothing of it would restore any more",
    ]


def test_more_than_twenty_restore_points_are_counted() -> None:
    lines = said(chain(25).judged(), "vm/n1.qcow2")
    assert lines[0] == "24 restore points die with it:"
    assert lines[20] == "  2026-03-29 22:00:00 UTC  full 'vm/n20.qcow2'"
    assert lines[21] == "  and 4 more, in --json"
    assert len(lines) == 23


def test_a_file_that_is_broken_already() -> None:
    rows = chain(2)
    rows.add(rows.files[0], rows.images[0], [bad()])
    assert said(rows.judged(), "vm/n0.qcow2") == ["nothing that restores today dies with it"]


def test_what_is_not_proven_yet_is_said_apart() -> None:
    rows = chain(2)
    rows.files[1] = rows.file("vm/n1.qcow2", state=FileState.READING, id=2)
    rows.files.pop()
    assert said(rows.judged(), "vm/n0.qcow2")[-1] == (
        "'srv': 1 restore point that is not proven today would be lost as well"
    )


def test_an_old_file_leaves_the_newest_point_where_it_is() -> None:
    rows = Rows()
    rows.backup("vm/a-full.qcow2", identity="a", created_at=NIGHT)
    rows.backup("vm/b-full.qcow2", parents=wanted("a"), created_at=NIGHT - timedelta(1))
    assert said(rows.judged(), "vm/b-full.qcow2")[-1] == (
        "'srv': the newest restorable point stays 2026-03-09 22:00:00 UTC"
    )


def test_lost_stretches_of_time_and_what_another_way_saves() -> None:
    judgement = backups.judged(backups.week())
    assert said(judgement, "L1") == [
        "2 restore points die with it:",
        "  2026-03-14 06:10:00 UTC  log 'L1'",
        "  2026-03-14 06:20:00 UTC  log 'L2'",
        (
            "'srv': no moment from 2026-03-14 06:00:00 UTC to 2026-03-14 06:25:00 UTC "
            "could be restored any more"
        ),
        "'srv': the newest restorable point stays 2026-03-14 06:40:00 UTC",
    ]
    assert said(judgement, "D")[-1] == (
        "'srv': 2 restore points restored with it today would not die: another way reaches them"
    )


def test_json_follows_its_types_and_lists_every_point() -> None:
    judgement = chain(25).judged()
    known = index(report_on(judgement))
    (out,) = losses_out(known, images_at(judgement, "vm/n1.qcow2"))
    jsonschema.validate(json.loads(encode(out)), msgspec.json.schema(LossOut))
    assert len(out.points) == 24
    assert out.newest_left is not None
    assert (out.newest_left.path, out.newest_left.at) == ("vm/n0.qcow2", NIGHT)


def test_a_verdict_no_worse_than_weakened_restores() -> None:
    rows = chain(2)
    outcome, bearing = backups.OUTCOMES[Verdict.WEAKENED]
    rows.add(rows.files[1], rows.images[1], [bad(outcome, bearing)])
    assert said(rows.judged(), "vm/n0.qcow2")[0] == "2 restore points die with it:"


def test_an_image_that_keeps_a_part_in_the_file_dies_with_it() -> None:
    rows = Rows()
    rows.backup("vm/outside.qcow2", created_at=NIGHT)
    rows.backup("vm/disk.qcow2", created_at=NIGHT, members=("outside.qcow2",))
    assert said(rows.judged(), "vm/outside.qcow2")[0] == (
        "nothing else needs it; its own 2 restore points die with it"
    )


def test_a_file_of_which_no_source_is_known_says_nothing() -> None:
    rows = Rows()
    rows.backup(".store/chunk.qcow2", created_at=NIGHT)
    assert said(rows.judged(), ".store/chunk.qcow2") == []


def test_an_explanation_ends_with_what_dies() -> None:
    judgement = chain(2).judged()
    report = report_on(judgement)
    subjects = find(judgement, report.repositories, "vm/n0.qcow2", ())
    background = Background({}, {})
    *_, title, first, _, _, last = explain_text(report, subjects, background)
    assert (title, first) == ("If this file dies", "  2 restore points die with it:")
    assert last == "  'srv': nothing of it would restore any more"
    (loss,) = explanation_out(report, subjects, background).dies_with
    assert [point.path for point in loss.points] == ["vm/n0.qcow2", "vm/n1.qcow2"]
