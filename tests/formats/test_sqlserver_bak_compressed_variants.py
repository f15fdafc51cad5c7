"""What was never seen in a compressed backup is not called damage, and damage is not called new.

Variants are made from built backups, as somebody may have written them: other kinds of records,
other versions, chunks that did not shrink. Beside each stands what damage at that place looks like.
"""

import struct
from functools import cache
from io import BytesIO
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.core import xpress
from formats.core.checksums import rotate_xor_each
from formats.core.model import Bearing, Evidence, Outcome, Part
from formats.core.source import BytesSource
from formats.sqlserver_bak import FORMAT, packed_judge
from formats.sqlserver_bak.packed_groups import CHUNK_BAD, CHUNKS_PLAIN
from formats.sqlserver_bak.packed_strange import look_at
from tests import damage
from tests.builders.sqlserver_bak import Medium, Recipe
from tests.builders.sqlserver_packed import PackedMedium, word_sum, write_packed
from tests.drive import Driven, coordinates, drive, summary

RECORD = "sqlserver_bak.compressed.record"
CONTENT = "sqlserver_bak.compressed.content"
VERSION = "sqlserver_bak.compressed.version"
CHUNK = "sqlserver_bak.compressed.chunk"
FULL = 65_536
HEAD = 28
needs_numba = pytest.mark.skipif(xpress.native() is None, reason="numba is not installed")


@cache
def built(**options) -> tuple[bytes, PackedMedium]:
    file = BytesIO()
    medium = write_packed(file, **{"database_bytes": 1 << 20, "mark_bytes": 512} | options)
    return file.getvalue(), medium


def plain_chunks() -> tuple[bytes, list[int]]:
    """Return a backup of noise, and where its chunks are that did not shrink."""
    content, medium = built(byte_values=256)
    offsets = [at for at, _, _ in medium.packer.chunks if content[at + 2 : at + 4] == b"\0\0"]
    assert len(offsets) >= 15
    return content, offsets


def driven(content: bytes) -> Driven:
    return drive(FORMAT, BytesSource(content))


def at_record(found: Driven) -> list[tuple[Outcome, int | None, int | None]]:
    return [(row.outcome, row.offset, row.length) for row in found.bad if row.check == RECORD]


def outcomes(found: Driven) -> set[Outcome]:
    return {row.outcome for row in found.bad}


def size_at(content: bytes, offset: int) -> int:
    return int.from_bytes(content[offset + 2 : offset + 4], "little") or FULL


def rewritten(content: bytes, offset: int, kind: int, *, summed: bool) -> bytes:
    """Put noise into a chunk and give it another kind."""
    size = size_at(content, offset)
    noise = Random(offset).randbytes(size)  # noqa: S311 - content, not secrets
    changed = bytearray(content)
    changed[offset] = kind
    changed[offset + HEAD : offset + HEAD + size] = noise
    if summed:
        changed[offset + 24 : offset + HEAD] = struct.pack("<I", word_sum(noise))
    return bytes(changed)


@needs_numba
@pytest.mark.parametrize("aligned", [True, False])
def test_chunks_that_did_not_shrink_are_read_as_they_are(aligned):
    content, _medium = built(byte_values=256, aligned=aligned)
    found = driven(content)
    assert not found.bad, summary(found.bad)
    held = {row.check: row.count for row in found.evidence}
    assert held["sqlserver_bak.extent.present"] == 16
    assert held["sqlserver_bak.page.checksum"] > 100


@pytest.mark.parametrize("at", [24, HEAD, HEAD + 5000, HEAD + FULL - 1])
def test_a_flip_in_a_chunk_that_did_not_shrink_is_damage(at):
    content, offsets = plain_chunks()
    found = driven(damage.flip(content, offsets[3] + at))
    rows = [row for row in found.bad if row.check == CHUNK]
    assert [(row.outcome, row.offset) for row in rows] == [(Outcome.MISMATCHED, offsets[3])]


def test_another_sum_of_chunks_that_did_not_shrink_is_not_called_damage():
    content, offsets = plain_chunks()
    changed = bytearray(content)
    for number, offset in enumerate(offsets):
        changed[offset + 24 : offset + HEAD] = struct.pack("<I", 0x1234567 + number)
    rows = [row for row in driven(bytes(changed)).bad if row.check == CHUNK]
    assert [row.offset for row in rows] == offsets
    assert {row.outcome for row in rows} == {Outcome.UNSUPPORTED}


def test_a_record_of_unknown_kind_whose_checksum_holds_is_a_variant():
    content, medium = built()
    offset = medium.packer.chunks[9][0]
    found = driven(rewritten(content, offset, 0x71, summed=True))
    length = HEAD + size_at(content, offset)
    assert at_record(found) == [(Outcome.UNSUPPORTED, offset, length)]
    assert outcomes(found) == {Outcome.UNSUPPORTED}


def test_a_record_of_unknown_kind_that_ends_where_another_begins_is_a_variant():
    content, medium = built()
    offset = medium.packer.chunks[9][0]
    found = driven(rewritten(content, offset, 0x30, summed=False))
    assert [row[:2] for row in at_record(found)] == [(Outcome.UNSUPPORTED, offset)]
    assert outcomes(found) == {Outcome.UNSUPPORTED}


def test_several_records_of_unknown_kind_behind_each_other_are_a_variant():
    content, offsets = plain_chunks()
    changed = content
    for offset in offsets[2:6]:
        changed = rewritten(changed, offset, 0x20, summed=False)
    found = driven(changed)
    assert at_record(found) == [
        (Outcome.UNSUPPORTED, offset, HEAD + FULL) for offset in offsets[2:6]
    ]
    assert outcomes(found) == {Outcome.UNSUPPORTED}


def test_a_known_chunk_whose_first_byte_was_changed_is_damage():
    content, medium = built()
    offset = medium.packer.chunks[9][0]
    for bit in range(8):
        found = driven(damage.flip(content, offset, bit))
        assert [row[:2] for row in at_record(found)] == [(Outcome.MISMATCHED, offset)]


@pytest.mark.parametrize("fill", [b"\0", b"\xff", b"\xf6", b"\xde\xad\xbe\xef"])
@pytest.mark.parametrize("length", [64, 4096, 200_000])
def test_a_hole_over_a_record_is_damage_whatever_it_is_filled_with(fill, length):
    content, medium = built()
    offset = medium.packer.chunks[7][0]
    changed = bytearray(content)
    changed[offset : offset + length] = (fill * length)[:length]
    found = driven(bytes(changed))
    assert Outcome.MISMATCHED in outcomes(found)
    assert next(row[:2] for row in at_record(found)) == (Outcome.MISMATCHED, offset)


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=HEAD, max_size=300), st.integers(3, 15))
def test_garbage_over_a_record_is_damage(garbage, index):
    content, medium = built()
    offset = medium.packer.chunks[index][0]
    changed = bytearray(content)
    changed[offset : offset + len(garbage)] = garbage
    if garbage[0] != content[offset]:
        assert Outcome.MISMATCHED in outcomes(driven(bytes(changed)))


def test_behind_a_broken_record_the_next_chunk_is_found_and_the_rest_verified_as_stored():
    content, medium = built()
    chunks = [at for at, _, _ in medium.packer.chunks]
    changed = damage.flip(damage.zero(content, chunks[7], 512), chunks[12] + 400)
    found = driven(changed)
    assert at_record(found) == [(Outcome.MISMATCHED, chunks[7], chunks[8] - chunks[7])]
    assert (CHUNK, chunks[12]) in coordinates(found.bad)
    told = next(row for row in found.bad if row.check == CONTENT)
    assert told.actual == f"{len(chunks) - 1} chunks, verified as stored only"
    if xpress.native() is not None:
        assert told.expected.startswith(f"a known record at {chunks[7]:#x}")
    # The end of the set is there, and nothing says otherwise.
    assert found.inspections[0].complete
    assert Outcome.TRUNCATED not in outcomes(found)


@pytest.mark.parametrize("numbers", [(1, 3), (2, 7), (2, 0x2F), (3, 3)])
def test_another_version_is_unproven_and_nothing_else(numbers):
    content, medium = built()
    changed = bytearray(content)
    changed[8:16] = struct.pack("<II", *numbers)
    for offset, _, _ in medium.packer.chunks:
        size = HEAD + size_at(content, offset)
        changed[offset : offset + size] = Random(offset).randbytes(size)  # noqa: S311
    found = driven(bytes(changed))
    assert (VERSION, 8) in coordinates(found.bad)
    assert outcomes(found) == {Outcome.UNSUPPORTED}
    # It is not a medium without a set, nor one that somebody did not finish.
    (image,) = found.inspections
    assert image.payload_bytes is None
    assert image.complete
    assert image.needed_bytes <= len(content)


def test_a_medium_of_which_no_record_is_known_is_neither_empty_nor_unfinished():
    head = b"MSSQLBAK\2\0\0\0\3\0\0\0".ljust(0x1E0, b"\0")
    found = driven(head + b"\x7e" + Random(5).randbytes(100_000))  # noqa: S311 - content
    assert outcomes(found) == {Outcome.UNSUPPORTED}
    (image,) = found.inspections
    assert image.payload_bytes is None
    assert image.complete
    # The same as far as a record, and then nothing but zeros: that was never written.
    (image,) = driven(head + bytes(100_000)).inspections
    assert not image.complete


def test_an_encrypted_backup_is_told_so():
    content = bytearray(built()[0])
    content[12] = 7
    row = next(row for row in driven(bytes(content)).bad if row.check == VERSION)
    assert (row.outcome, row.actual) == (Outcome.UNSUPPORTED, "2 and 7, encrypted")


def test_other_checksums_in_another_version_are_not_called_damage():
    content, medium = built()
    changed = bytearray(content)
    changed[8] = 1
    for offset, _, _ in medium.packer.chunks:
        changed[offset + 24] ^= 0x55
    assert outcomes(driven(bytes(changed))) == {Outcome.UNSUPPORTED}
    # In the known version all of them are wrong.
    changed[8] = 2
    assert Outcome.MISMATCHED in outcomes(driven(bytes(changed)))


def test_records_of_unknown_kind_without_end_are_not_followed_for_ever():
    record = bytes([0x71, 0, 4, 0]).ljust(24, b"\0") + struct.pack("<I", 7) + struct.pack("<I", 7)
    head = b"MSSQLBAK\2\0\0\0\3\0\0\0".ljust(0x1E0, b"\0")
    found = driven(head + record * 3_000)
    rows = [row for row in found.bad if row.check == "sqlserver_bak.compressed.limit"]
    assert [(row.outcome, row.offset) for row in rows] == [
        (Outcome.UNSUPPORTED, 0x1E0 + 1_024 * len(record))
    ]
    assert found.inspections[0].complete


def test_the_first_byte_of_a_record_alone_says_nothing():
    content, medium = built()
    offset = medium.packer.chunks[5][0]
    inside = BytesSource(content[: offset + 20])
    assert look_at(inside, offset) is None
    assert look_at(BytesSource(bytes(4096)), 0) is None


def rows_of(*, plain: bool, known: bool, good_plain: int) -> list[Evidence]:
    size = FULL + HEAD if plain else 9_000
    tally = {
        "chunks_bad": np.array([(4096, size, 1, 2)], CHUNK_BAD),
        "chunks_plain": np.array([(good_plain,)] if good_plain else [], CHUNKS_PLAIN),
    }
    findings = packed_judge.Findings()
    packed_judge.judge_chunks(
        findings, Part(driven(b"MSSQLBAK").inspections[0], tally), known=known
    )
    return list(findings.rows)


@pytest.mark.parametrize(
    ("case", "outcome"),
    [
        ({"plain": False, "known": True, "good_plain": 0}, Outcome.MISMATCHED),
        ({"plain": False, "known": False, "good_plain": 0}, Outcome.UNSUPPORTED),
        ({"plain": True, "known": True, "good_plain": 0}, Outcome.UNSUPPORTED),
        ({"plain": True, "known": True, "good_plain": 1}, Outcome.MISMATCHED),
    ],
)
def test_a_checksum_is_wrong_only_where_others_of_its_kind_hold(case, outcome):
    assert [row.outcome for row in rows_of(**case)] == [outcome]


def zeroed(name: str, recipe: Recipe) -> dict[int, int]:
    """Return changes that make a stream of the plain medium all zeros."""
    file = BytesIO()
    plain = Medium(file, 512)
    plain.add_set(recipe)
    content = file.getvalue()
    (start, length), *_ = plain.structures[name]
    return {place: content[place] for place in range(start, start + length) if content[place]}


@needs_numba
def test_stored_pages_and_log_of_zeros_alone_are_weighed_as_zeros():
    recipe = Recipe(database_bytes=512 << 10, byte_values=16, log_blocks=1)
    options = {"database_bytes": 512 << 10, "mark_bytes": 512, "log_blocks": 1}
    weights = {}
    for names in (("pages", "log"), ("pages",), ("log",), ()):
        spoil: dict[int, int] = {}
        for name in names:
            spoil |= zeroed(name, recipe)
        file = BytesIO()
        write_packed(file, spoil=spoil, **options)
        found = driven(file.getvalue())
        table = np.concatenate(found.tallies[0]["payload"])
        assert table["bytes"].sum() == found.inspections[0].payload_bytes
        weights[names] = bool(table["nonzero_bytes"].any())
    assert weights == {("pages", "log"): False, ("pages",): True, ("log",): True, (): True}


@needs_numba
def test_zeros_are_not_said_of_what_could_not_be_decoded():
    recipe = Recipe(database_bytes=512 << 10, byte_values=16, log_blocks=1)
    file = BytesIO()
    spoil = zeroed("pages", recipe) | zeroed("log", recipe)
    options = {"database_bytes": 512 << 10, "mark_bytes": 512, "log_blocks": 1}
    medium = write_packed(file, spoil=spoil, **options)
    offset = medium.packer.chunks[5][0]
    changed = damage.flip(file.getvalue(), offset + HEAD + 2)
    assert np.concatenate(driven(changed).tallies[0]["payload"])["nonzero_bytes"].any()


def test_without_numba_nothing_is_weighed(monkeypatch):
    monkeypatch.setattr(xpress, "native", lambda: None)
    assert "payload" not in driven(built()[0]).tallies[0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 9_000), max_size=6), st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_sums_of_many_chunks_at_once_are_those_of_each(lengths, seed, shift):
    stored = np.frombuffer(Random(seed).randbytes(sum(lengths) + 3), np.uint8)  # noqa: S311
    ends = np.cumsum([shift, *lengths]).tolist()
    places = list(zip(ends, lengths, strict=False))
    expected = [word_sum(stored[start : start + length].tobytes()) for start, length in places]
    assert rotate_xor_each(stored, places).tolist() == expected


def known(found: Driven) -> list[Evidence]:
    """Return bad evidence, but for what is not looked into where numba is missing."""
    return [row for row in found.bad if row.outcome is not Outcome.UNSUPPORTED]


@pytest.mark.parametrize("length", [1, 512, FULL])
def test_zeros_behind_the_last_set_are_no_news(length):
    content, _ = built()
    found = driven(content + bytes(length))
    assert known(found) == [], summary(found.bad)
    assert [item.needed_bytes for item in found.inspections] == [len(content)]


@pytest.mark.parametrize("rest", [b"garbage", b"\x99" * 4096])
def test_other_bytes_behind_the_last_set_are_told_and_harm_nothing(rest):
    content, _ = built()
    found = driven(content + rest)
    (row,) = known(found)
    assert (row.check, row.offset, row.length) == ("mtf.media.end", len(content), len(rest))
    assert row.bearing is Bearing.REDUNDANT
    assert [item.complete for item in found.inspections] == [True]


def test_second_set_that_is_cut_leaves_the_first_one_alone():
    file = BytesIO()
    medium = PackedMedium(file, 512)
    for _ in range(2):
        medium.add_set(Recipe(database_bytes=1 << 20))
    appended = file.getvalue()
    second = medium.marks[2] + 512
    for size in (second + 10, second + 30, second + 200, len(appended) - 1):
        first, rest = driven(damage.cut(appended, size)).inspections
        assert not [row for row in first.evidence if row.bad and row.outcome is Outcome.TRUNCATED]
        assert first.complete
        assert {row.outcome for row in rest.evidence if row.bad} >= {Outcome.TRUNCATED}
        assert not rest.complete
