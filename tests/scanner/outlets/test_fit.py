"""Source fit, for people and for JSON."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import jsonschema
import msgspec

from scanner.judge.sources.model import Source
from scanner.judge.sources.outlook import NOTHING, Outlook
from scanner.outlets.document import encode
from scanner.outlets.explain import Background, explain_text, explanation_out, find
from scanner.outlets.fit import FitOut, fit_lines, fit_of, fit_out
from scanner.outlets.report import Report
from tests.scanner.judge.backed_up import DISK, backup, past
from tests.scanner.judge.rows import REPOSITORIES, Rows
from tests.scanner.outlets import judgements

GB = 10**9
NOW = datetime(2026, 3, 9, 22, tzinfo=UTC)
NOTHING_ELSE = Background({}, {})


def rows() -> Rows:
    made = Rows()
    made.backup(
        DISK,
        payload_bytes=100 * GB,
        used_bytes=400 * GB,
        source_bytes=900 * GB,
        created_at=NOW,
        file={"size": 50 * GB, "allocated_bytes": 50 * GB},
    )
    return made


def report_on(source: Source | None) -> Report:
    report = judgements.report(rows().judged(), repositories=REPOSITORIES[:1])
    if source is None:
        return replace(report, outlook=NOTHING)
    # Of what is known of a source only the source itself is asked for.
    return replace(report, outlook=Outlook((SimpleNamespace(source=source),), ()))


def source_of(report: Report) -> Source:
    source = backup(100 * GB, history=past(*[100 * GB] * 6))
    return replace(source, images=report.judgement.images)


def whole_report() -> Report:
    return report_on(source_of(report_on(None)))


def test_explain_has_the_word_and_the_arithmetic():
    report = whole_report()
    subjects = find(report.judgement, report.repositories, DISK, ())
    lines = list(explain_text(report, subjects, NOTHING_ELSE))
    first = lines.index("Source fit")
    assert lines[first + 1 : first + 6] == [
        "  partial: it stores 25 % of the 400 GB that were in use",
        "  source 900 GB, of it in use 400 GB (the format's own maps)",
        "  stored 100 GB = 25 % of what was in use",
        "  file 50 GB = 50 % of what is stored",
        "  usual 100 GB (median of 6 earlier full backups)",
    ]


def test_json_has_every_size():
    report = whole_report()
    subjects = find(report.judgement, report.repositories, DISK, ())
    out = explanation_out(report, subjects, NOTHING_ELSE).images[0].fit
    assert out == FitOut(
        word="partial",
        reason="it stores 25 % of the 400 GB that were in use",
        source_bytes=900 * GB,
        used_bytes=400 * GB,
        stored_bytes=100 * GB,
        nonzero_bytes=None,
        file_bytes=50 * GB,
        expected_bytes=None,
        usual_bytes=100 * GB,
        compared="usual",
        learned_from=6,
        learned_needed=5,
    )
    jsonschema.validate(json.loads(encode(out)), msgspec.json.schema(FitOut))


def test_an_image_of_no_source_has_no_section():
    report = report_on(None)
    image = report.judgement.images[0]
    assert fit_of(report, image) is None
    assert fit_out(None) is None
    assert list(fit_lines(None)) == []
    subjects = find(report.judgement, report.repositories, DISK, ())
    assert "Source fit" not in list(explain_text(report, subjects, NOTHING_ELSE))
    assert explanation_out(report, subjects, NOTHING_ELSE).images[0].fit is None
