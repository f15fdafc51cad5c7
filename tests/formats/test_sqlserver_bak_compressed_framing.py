"""The framing of a compressed backup: walked and verified as stored, on the one real file."""

from pathlib import Path

import numpy as np
import pytest

from formats.core.model import Bearing, Evidence, Outcome
from formats.core.source import BytesSource
from formats.sqlserver_bak import FORMAT
from formats.sqlserver_bak.records_packed import FIRST_RECORD, Kind, chunk_sum, records
from tests import damage
from tests.drive import coordinates, drive, summary

NAME = "67_TutorialDB.bak"


@pytest.fixture
def content(corpus: Path) -> bytes:
    return (corpus / "sqlserver" / NAME).read_bytes()


def bad(changed: bytes) -> list[Evidence]:
    """Return what speaks against a file, but for what is not looked into."""
    found = drive(FORMAT, BytesSource(changed)).bad
    return [row for row in found if row.outcome is not Outcome.UNSUPPORTED]


def chunks(content: bytes) -> list[tuple[int, int]]:
    found = records(BytesSource(content), FIRST_RECORD)
    return [(item.offset, item.end) for item in found if item.kind is Kind.CHUNK]


def test_records_reach_to_the_end_of_the_file(content):
    found = list(records(BytesSource(content), FIRST_RECORD))
    assert found[-1].end == len(content)
    assert len(chunks(content)) == 54
    assert sum(item.kind is Kind.FILEMARK for item in found) == 3


def test_undamaged_compressed_backup_is_clean_as_stored(content):
    result = drive(FORMAT, BytesSource(content))
    assert not bad(content), summary(bad(content))
    vouched = sum(row.vouched_bytes for row in result.evidence)
    assert 0.99 * len(content) < vouched <= len(content)
    assert result.inspections[0].needed_bytes == len(content)


@pytest.mark.parametrize("index", [0, 1, 20, 53])
def test_flip_in_a_chunk_is_damage_at_that_chunk(content, index):
    start, end = chunks(content)[index]
    for offset in (start + 24, start + 28, end - 1):
        found = bad(damage.flip(content, offset, 2))
        assert ("sqlserver_bak.compressed.chunk", start) in coordinates(found)
        assert any(row.bearing is Bearing.NEEDED for row in found)


@pytest.mark.parametrize("missing", [1, 511, 4096, 300_000])
def test_cut_compressed_backup_lacks_bytes(content, missing):
    found = bad(damage.cut(content, len(content) - missing))
    assert Outcome.TRUNCATED in {row.outcome for row in found}


def test_zeros_over_a_record_are_told_by_place(content):
    start, _ = chunks(content)[30]
    found = bad(damage.zero(content, start, 4096))
    assert ("sqlserver_bak.compressed.record", start) in coordinates(found)


def test_zeros_to_the_end_are_bytes_that_never_came(content):
    start, _ = chunks(content)[30]
    found = bad(damage.zero(content, start, len(content) - start))
    assert {row.outcome for row in found} == {Outcome.TRUNCATED}


def test_index_behind_a_set_is_compared(content):
    index = next(
        item.offset
        for item in records(BytesSource(content), FIRST_RECORD)
        if item.kind is Kind.TRAILER
    )
    found = bad(damage.flip(content, index + 45))
    assert [(row.check, row.offset, row.bearing) for row in found] == [
        ("sqlserver_bak.compressed.index", index, Bearing.REDUNDANT)
    ]


def test_checksum_of_a_chunk_turns_by_one_bit_for_each_word():
    stored = np.frombuffer(b"\x01\0\0\0\x02\0\0\0\x80", np.uint8)
    assert chunk_sum(stored) == (1 << 2) ^ (2 << 1) ^ 0x80
