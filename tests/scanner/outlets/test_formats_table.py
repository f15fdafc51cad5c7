"""The table of formats is the same wherever it is shown."""

import json

import jsonschema
import msgspec
import pytest

import formats
from formats.core.model import Format
from scanner.outlets import formats_table
from scanner.outlets.document import encode
from scanner.outlets.formats_table import FormatsOut, formats_out, markdown
from tests.scanner.outlets.formats import toy_format
from tests.scanner.outlets.golden import rendered

TOYS = (toy_format("alpha"), toy_format("beta"), toy_format("gamma", supported=False))


def test_markdown_has_a_row_for_each_format_that_is_read_and_names_the_others() -> None:
    assert markdown(TOYS).splitlines() == [
        "| name | format | what an undamaged file proves | tested with files of |",
        "| --- | --- | --- | --- |",
        "| alpha | Alpha (.alpha) | a sum \\| per block | Toy 1.0 |",
        "| beta | Beta (.beta) | a sum \\| per block | Toy 1.0 |",
        "",
        "Recognised, named and reported as *unproven: not supported yet*: Gamma (.gamma).",
    ]


def test_terminal_table_holds_the_same_words() -> None:
    shown = " ".join(rendered(formats_table.table(TOYS), 200).split())
    for row in formats_table.rows(TOYS):
        assert " ".join(row) in shown
    assert "Gamma (.gamma)" in shown


def test_checks_are_listed_by_id_with_their_sentence() -> None:
    assert list(formats_table.checks(TOYS)) == [
        "alpha.header.magic: the first bytes are right",
        "beta.header.magic: the first bytes are right",
        "",
        "Only recognised, not supported yet; whatever these find, each file stays unproven:",
        "gamma.header.magic: the first bytes are right",
    ]


def test_no_check_of_a_recognised_format_reads_like_support() -> None:
    whole = "\n".join(formats_table.checks(formats.FORMATS))
    read, named = whole.split("\n\n")
    assert "only recognised" not in read
    assert "vmdk.format.support: No file passes yet; it is only recognised" in named
    assert "This version reads" not in whole


def test_json_of_every_real_format_follows_its_types() -> None:
    out = json.loads(encode(formats_out(formats.FORMATS)))
    jsonschema.validate(out, msgspec.json.schema(FormatsOut))
    assert len(out["formats"]) == len(formats.FORMATS)


@pytest.mark.parametrize("record", formats.FORMATS, ids=lambda record: record.name)
def test_every_real_format_says_what_it_proves(record: Format) -> None:
    assert record.title
    if record.supported:
        assert record.integrity
        assert record.samples
