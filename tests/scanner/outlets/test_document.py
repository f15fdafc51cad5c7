"""The JSON document: exact fields, a schema that is in step, and nothing that JSON cannot hold."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from formats.core.model import Bearing, Evidence, Outcome, Position
from scanner import outlets
from scanner.judge.model import Judgement
from scanner.outlets import json_schema
from scanner.outlets.document import build, encode, plain
from scanner.outlets.ndjson import lines
from scanner.outlets.report import Report
from tests.scanner.outlets import judgements

SCHEMA = json.loads((Path(outlets.__path__[0]) / json_schema.FILE_NAME).read_text("utf-8"))


def document(report: Report | None = None) -> Any:
    return json.loads(encode(build(report or judgements.report())))


def image(path: str) -> Any:
    return next(entry for entry in document()["images"] if entry["path"] == path)


def test_shipped_schema_is_the_one_the_types_make() -> None:
    shipped = (Path(outlets.__path__[0]) / json_schema.FILE_NAME).read_text("utf-8")
    assert shipped == json_schema.text(), "run python -m scanner.outlets.json_schema"


@pytest.mark.parametrize(
    "report",
    [
        judgements.report(),
        judgements.report(judgements.NOTHING, run=None, repositories=()),
        judgements.report(
            judgements.sound_judgement(), notes=("one", "two"), advice=judgements.ADVICE
        ),
    ],
    ids=["everything", "nothing", "sound"],
)
def test_documents_follow_the_schema(report: Report) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(document(report), SCHEMA)


def test_schema_refuses_a_document_without_its_run() -> None:
    broken = document()
    del broken["run"]
    with pytest.raises(jsonschema.ValidationError, match="'run' is a required property"):
        jsonschema.validate(broken, SCHEMA)


def test_document_has_every_field_the_users_were_promised() -> None:
    whole = document()
    assert whole["v"] == 1
    assert {"started", "finished", "bytes_read", "files"} <= whole["run"].keys()
    assert {"images", "chains", "others", "summary"} <= whole.keys()
    promised = (
        "path members format kind identities parents source created_at source_bytes used_bytes "
        "needed_bytes file_bytes bytes_read bytes_vouched verdict proof rule findings"
    )
    for entry in whole["images"]:
        assert set(promised.split()) <= entry.keys()
    (finding,) = image("vhd/mirror.vhd")["findings"]
    found = "id check outcome offset length expected actual redundant acknowledged"
    assert set(found.split()) <= finding.keys()


def test_finding_has_its_coordinates_and_what_was_said_of_it() -> None:
    (finding,) = image("vhd/mirror.vhd")["findings"]
    assert finding == {
        "id": "c0ffee",
        "check": "vhd.footer_copy.checksum",
        "outcome": "mismatched",
        "offset": 0,
        "length": 512,
        "expected": "0xffffe7c1",
        "actual": "0xffffe7c0",
        "redundant": True,
        "bearing": "redundant",
        "count": 1,
        "member": None,
        "path": "vhd/mirror.vhd",
        "found": "2026-03-14T10:00:00Z",
        "acknowledged": True,
        "acknowledged_until": "2026-12-31T23:59:59Z",
        "acknowledged_reason": "the copy is rewritten at the next full",
        "text": "vhd.footer_copy.checksum at 0x0+512: expected 0xffffe7c1, found 0xffffe7c0 "
        "(redundant)",
    }


def test_doubtful_finding_is_not_called_redundant() -> None:
    file = judgements.file_row(1, "x.vhd")
    doubt = Evidence("vhd.x", Outcome.MISMATCHED, 0, 1, "1", "2", Bearing.DOUBTFUL)
    judged = judgements.judged(
        judgements.image_row(1, file), file, evidence=[judgements.row(file, 1, doubt, "d")]
    )
    ((finding,),) = [
        entry["findings"]
        for entry in document(judgements.report(Judgement((judged,), (), ())))["images"]
    ]
    assert (finding["redundant"], finding["bearing"]) == (False, "doubtful")


def test_verdict_names_the_image_that_decided() -> None:
    entry = image("srv1/inc2.qcow2")
    assert (entry["verdict"], entry["own_verdict"]) == ("damaged", "sound")
    assert (entry["rule"], entry["deciding"]) == ("bytes-wrong", "srv1/inc1.qcow2")
    assert entry["parents"] == [
        {"wanted": "'srv1/inc1.qcow2'", "key": 2, "path": "srv1/inc1.qcow2", "by": "name"}
    ]


def test_unknown_is_null_and_a_missing_parent_has_no_path() -> None:
    entry = image("vhd/child.vhd")
    assert entry["used_bytes"] is None
    assert entry["created_at"] is None
    assert entry["parents"][0]["path"] is None


def test_time_without_zone_has_no_offset_and_an_aware_one_ends_in_z() -> None:
    assert image("sql/shop.bak")["created_at"] == "2026-03-10T22:30:00"
    assert image("srv1/full.qcow2")["created_at"] == "2026-03-11T02:00:00Z"


def test_proof_is_the_record_and_its_phrase() -> None:
    assert image("srv1/full.qcow2")["proof"] == {
        "structure": "2026-03-14T10:00:00Z",
        "read": "2026-03-14T10:00:00Z",
        "unchanged_since": None,
        "checksums": "2026-03-14T10:00:00Z",
        "bytes_vouched": 1073441824,
        "bytes_needed": 1073741824,
        "content": None,
        "restored": None,
        "text": "checksums 99.97 %, read 2 h ago",
    }


def test_chain_says_how_far_it_can_be_restored() -> None:
    (chain,) = document()["chains"]
    assert [entry["path"] for entry in chain["images"]] == [
        "srv1/full.qcow2",
        "srv1/inc1.qcow2",
        "srv1/inc2.qcow2",
    ]
    assert chain["restorable"] == {"key": 1, "path": "srv1/full.qcow2", "verdict": "sound"}


def test_file_that_nothing_calls_a_backup_has_no_verdict() -> None:
    verdicts = {entry["path"]: entry["verdict"] for entry in document()["others"]}
    assert verdicts == {
        "notes.txt": None,
        "spare.img": None,
        "sql/new.bak": "empty",
        "veeam/job.vbk": "unproven",
    }


def test_summary_counts_images_and_files_with_a_verdict() -> None:
    summary = document()["summary"]
    assert summary["verdicts"] == {
        "sound": 3,
        "weakened": 1,
        "unproven": 1,
        "empty": 1,
        "incomplete": 1,
        "damaged": 2,
    }
    assert (summary["verdict"], summary["exit_code"]) == ("damaged", 4)
    assert (summary["findings"], summary["acknowledged"]) == (9, 1)


def test_numbers_beyond_64_bits_are_decimal_text() -> None:
    assert plain(10**24) == "1" + "0" * 24
    assert plain(2**63 - 1) == 2**63 - 1
    assert plain([True]) == [True]
    positioned = replace(judgements.orphan().image, position=Position(10**24, 10**24 + 1))
    judged = replace(judgements.orphan(), pieces=(positioned,))
    entry = document(judgements.report(Judgement((judged,), (), ())))["images"][0]
    assert entry["position"] == {"first": "1" + "0" * 24, "last": "1" + "0" * 23 + "1"}


def test_facts_become_json_whatever_they_are() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert plain({"a": (1, None, b"\xff"), 2: at}) == {
        "a": [1, None, "ff"],
        "2": "2026-01-02T03:04:05Z",
    }


def test_names_that_are_no_utf8_do_not_break_the_document() -> None:
    file = judgements.file_row(1, "a\udcff.vhd")
    judged = judgements.judged(judgements.image_row(1, file, facts={"\ud800": "\udcff"}), file)
    entry = document(judgements.report(Judgement((judged,), (), ())))["images"][0]
    assert entry["path"] == "a\\udcff.vhd"
    assert entry["facts"] == {"\\ud800": "\\udcff"}


def test_each_line_of_ndjson_follows_the_definition_its_type_names() -> None:
    report = judgements.report(notes=("a note",), advice=judgements.ADVICE)
    written = [json.loads(line) for line in lines(report)]
    names = {name: shape.__name__ for name, shape in json_schema.LINES.items() if name != "file"}
    assert {entry["type"] for entry in written} == set(names)
    for entry in written:
        assert entry["v"] == 1
        definition = {"$ref": f"#/$defs/{names[entry['type']]}", "$defs": SCHEMA["$defs"]}
        jsonschema.validate(entry, definition)


def test_ndjson_says_what_the_document_says_and_ends_with_the_summary() -> None:
    written = [json.loads(line) for line in lines(judgements.report())]
    whole = document()
    kinds = [entry["type"] for entry in written]
    assert kinds.count("image") == len(whole["images"])
    assert kinds[-1] == "summary"
    assert {**whole["summary"], "type": "summary", "v": 1} == written[-1]


def test_warning_has_its_name_and_what_was_said_of_it() -> None:
    accepted = replace(judgements.report().acknowledgements[0], finding_id="a0")
    whole = document(judgements.report(advice=judgements.ADVICE, acknowledgements=(accepted,)))
    warning, advice = whole["warnings"]
    assert warning == {
        "id": "a0",
        "rule": "sql.full-too-old",
        "severity": "warning",
        "source": "SRV-SQL/shop",
        "acknowledged": True,
        "acknowledged_until": "2026-12-31T23:59:59Z",
        "acknowledged_reason": "the copy is rewritten at the next full",
        "text": "the last full backup is 40 days old",
    }
    assert (advice["severity"], advice["acknowledged"]) == ("advice", False)
