"""Compressed backups: the real one, and built ones with chunks at all angles to their pages.

Damage to a stored byte is found by a chunk's checksum. Damage from before the chunks were made is
built in, and must be found as in an uncompressed backup, at the chunk that holds it.
"""

import os
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.core import xpress
from formats.core.model import Bearing, Outcome
from formats.core.source import BytesSource
from formats.sqlserver_bak import FORMAT
from formats.sqlserver_bak.packed_map import PlainSource, new_decoder
from tests import damage
from tests.builders.sqlserver_bak import Medium, Recipe
from tests.builders.sqlserver_packed import PackedMedium, word_sum, write_packed
from tests.drive import Driven, drive, summary

PAGE, EXTENT = 8192, 65_536
CONTENT = "sqlserver_bak.compressed.content"
CHUNK = "sqlserver_bak.compressed.chunk"
needs_numba = pytest.mark.skipif(xpress.native() is None, reason="numba is not installed")


@cache
def real() -> bytes:
    corpus = os.environ.get("BAKPROOF_CORPUS")
    if not corpus:
        pytest.skip("BAKPROOF_CORPUS is not set")
    return (Path(corpus) / "sqlserver" / "67_TutorialDB.bak").read_bytes()


@cache
def built(**options) -> tuple[bytes, PackedMedium]:
    file = BytesIO()
    medium = write_packed(file, **{"database_bytes": 1 << 20, "mark_bytes": 512} | options)
    return file.getvalue(), medium


def driven(content: bytes) -> Driven:
    return drive(FORMAT, BytesSource(content))


def counts(found: Driven, check: str) -> int:
    rows = [item for item in found.evidence if item.check == f"sqlserver_bak.{check}"]
    return sum(item.count for item in rows if item.outcome is Outcome.MATCHED)


def without_numba(monkeypatch) -> None:
    monkeypatch.setattr(xpress, "native", lambda: None)


def spoiled(places: dict[int, int], **options) -> tuple[Driven, PackedMedium]:
    file = BytesIO()
    options = {"database_bytes": 1 << 20, "mark_bytes": 512} | options
    medium = write_packed(file, spoil=places, **options)
    return driven(file.getvalue()), medium


def chunk_offset(medium: PackedMedium, plain: int) -> int:
    """Return where in the file the chunk with a plain offset begins."""
    chunks = medium.packer.chunks
    return next(at for at, start, length in chunks if start <= plain < start + length)


@needs_numba
def test_the_real_backup_is_sound_inside():
    found = driven(real())
    assert not found.bad, summary(found.bad)
    assert counts(found, "compressed.decode") == 54
    assert counts(found, "page.checksum") == 283
    assert counts(found, "extent.present") == 48
    assert counts(found, "log.chain") == 1
    assert counts(found, "boot.version") == 1


@pytest.mark.parametrize("numba", [pytest.param(True, marks=needs_numba), False])
def test_the_real_backup_says_what_restore_headeronly_would(monkeypatch, numba):
    if not numba:
        without_numba(monkeypatch)
    (image,) = FORMAT.inspect(BytesSource(real()), None)
    expected = {
        "Compressed": 1,
        "DatabaseName": "TutorialDB",
        "ServerName": "UC-MSFT8",
        "BackupTypeDescription": "Database",
        "SoftwareVersionBuild": 1500,
        "BackupSize": 3_224_576,
        "CompressedBackupSize": 454_541,
        "FirstLSN": "34000000097500206",
        "LastLSN": "34000000106000001",
        "BackupSetGUID": "0F24E9EB-27DB-4D9D-AE0A-DC2CC2FDCD2B",
    }
    assert {name: image.facts[name] for name in expected} == expected
    assert [item.value for item in image.identities] == [expected["BackupSetGUID"]]
    assert image.complete
    assert image.needed_bytes == len(real())
    assert image.source_bytes == 2 * 8_388_608


def test_without_numba_the_content_is_unproven_and_every_chunk_verified(monkeypatch):
    without_numba(monkeypatch)
    found = driven(real())
    assert [item.check for item in found.bad] == [CONTENT]
    assert found.bad[0].outcome is Outcome.UNSUPPORTED
    assert counts(found, "compressed.chunk") == 54
    assert counts(found, "compressed.decode") == 0


@needs_numba
def test_the_plain_medium_is_clean_to_the_parser_of_plain_media():
    # Offsets of filemarks are given as in the plain medium; two places and a size cannot be.
    (image,) = FORMAT.inspect(BytesSource(real()), None)
    plain = PlainSource(BytesSource(real()), image.state.packed, new_decoder())
    assert plain.size == 3_232_256
    found = driven(plain.read_at(0, plain.size))
    assert {item.check for item in found.bad} == {
        "sqlserver_bak.set.repeats",
        "sqlserver_bak.set_map.entries",
    }
    assert counts(found, "page.checksum") == 283


RECIPES = [
    {},
    {"checksum": True},
    {"letter": "L"},
    {"letter": "I", "every_extent": 3, "checksum": True},
    {"again": (0, 1), "filler_extents": 3, "empty_pages": 2, "garbage": True},
    {"database_bytes": 4 << 20, "checksum": True},
]


@needs_numba
@pytest.mark.parametrize(("aligned", "mark_bytes"), [(True, 512), (False, 512), (False, 4096)])
@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_built_backups_are_sound_inside(recipe, mark_bytes, aligned):
    found = driven(built(aligned=aligned, mark_bytes=mark_bytes, **recipe)[0])
    assert not found.bad, summary(found.bad)
    assert counts(found, "log.chain") == 1
    if recipe.get("letter") != "L":
        assert counts(found, "extent.present") == len(
            Recipe(**{"database_bytes": 1 << 20} | recipe).extents()
        )
    if recipe.get("checksum"):
        assert counts(found, "csum.stream") == 2


@needs_numba
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("page", [7, 8, 126])
def test_a_page_that_was_wrong_before_it_was_compressed_is_found(page, aligned):
    medium = built(aligned=aligned)[1]
    ((start, _),) = medium.structures["pages"]
    place = start + page * PAGE + 5_000
    found, medium = spoiled({place: 4}, aligned=aligned)
    checks = {(item.check, item.offset, item.bearing) for item in found.bad}
    # A row stands at the chunk in which the page begins.
    at = chunk_offset(medium, start + page * PAGE)
    assert ("sqlserver_bak.page.checksum", at, Bearing.NEEDED) in checks
    assert CHUNK not in {item.check for item in found.bad}


@needs_numba
@pytest.mark.parametrize("aligned", [True, False])
def test_a_log_block_that_was_wrong_before_is_found(aligned):
    medium = built(aligned=aligned)[1]
    ((start, length),) = medium.structures["log"]
    found, medium = spoiled({start + length - 100: 1}, aligned=aligned)
    assert {item.check for item in found.bad} == {"sqlserver_bak.log.checksum"}


@needs_numba
def test_a_backup_checksum_that_was_wrong_before_is_found():
    medium = built(checksum=True)[1]
    ((start, length),) = medium.structures["pages"]
    # In a page's unallocated neighbour nothing else would show it.
    found, _ = spoiled({start + length - 3: 1}, checksum=True, filler_extents=0, empty_pages=1)
    assert "sqlserver_bak.csum.stream" in {item.check for item in found.bad}


@needs_numba
def test_padding_that_is_not_zeros_inside_is_found():
    medium = built()[1]
    ((start, _),) = medium.structures["pages"]
    found, medium = spoiled({start - 2: 1})
    rows = {(item.check, item.offset, item.bearing) for item in found.bad}
    assert rows == {("mtf.pad.zeros", chunk_offset(medium, start - 2), Bearing.REDUNDANT)}


@needs_numba
def test_an_extent_that_is_missing_inside_is_found():
    # The maps call three extents allocated that the set does not store.
    found = driven(built(every_extent=2, only_in_map=(3, 5, 9))[0])
    rows = [item for item in found.bad if item.check == "sqlserver_bak.extent.present"]
    assert sum(item.count for item in rows) == 3
    assert {item.bearing for item in rows} == {Bearing.NEEDED}


def flipped(at: int) -> Driven:
    return driven(damage.flip(real(), at))


@pytest.mark.parametrize("at", [0x1F8, 0x200, 0x600 + 28, 0x9FA + 300, 0x3F69B + 9_000, 0x6EA00])
def test_a_flipped_bit_in_a_real_chunk_is_found_at_its_chunk(at):
    rows = [item for item in flipped(at).bad if item.check == CHUNK]
    assert len(rows) == 1
    assert rows[0].offset <= at < rows[0].offset + rows[0].length
    assert rows[0].bearing is Bearing.NEEDED


def rewrite(content: bytearray, offset: int, stored: bytes) -> None:
    """Give a chunk another content of the same size, with a checksum that holds."""
    content[offset + 28 : offset + 28 + len(stored)] = stored
    content[offset + 24 : offset + 28] = word_sum(bytes(stored)).to_bytes(4, "little")


@needs_numba
@pytest.mark.parametrize("index", [3, 17])
def test_a_chunk_that_does_not_decode_under_a_checksum_that_holds_is_unproven(index):
    content, medium = built(log_blocks=20)
    offset, _, _ = medium.packer.chunks[index]
    stored_bytes = int.from_bytes(content[offset + 2 : offset + 4], "little")
    changed = bytearray(content)
    # The table of code lengths becomes all zeros, and the checksum is written anew.
    changed[offset + 28 : offset + 28 + 256] = bytes(256)
    rewrite(changed, offset, changed[offset + 28 : offset + 28 + stored_bytes])
    found = driven(bytes(changed))
    rows = [item for item in found.bad if item.check == "sqlserver_bak.compressed.decode"]
    assert [(item.offset, item.outcome) for item in rows] == [(offset, Outcome.UNSUPPORTED)]
    # What SQL Server wrote is there as it wrote it: nothing more is said.
    assert found.bad == rows


@needs_numba
def test_two_sets_on_one_compressed_medium_are_two_images():
    file = BytesIO()
    medium = PackedMedium(file, 512)
    recipe = Recipe(database_bytes=1 << 20, byte_values=16)
    medium.add_set(recipe)
    medium.add_set(replace(recipe, letter="L", guid=UUID(int=0x77)))
    found = driven(file.getvalue())
    assert not found.bad, summary(found.bad)
    assert [item.kind.value for item in found.inspections] == ["full", "log"]
    assert len({item.identities for item in found.inspections}) == 2
    assert [item.facts["Position"] for item in found.inspections] == [1, 2]


def stripes() -> tuple[list[bytes], Recipe]:
    """Return the two files of one striped, compressed set."""
    recipe = Recipe(database_bytes=2 << 20, byte_values=16)
    numbers = ((1, 2), (2, 2))
    trials = [Medium(BytesIO(), 512, number) for number in numbers]
    for trial in trials:
        trial.add_set(recipe)
    total = sum(trial.span for trial in trials)
    files = [BytesIO(), BytesIO()]
    for file, number in zip(files, numbers, strict=True):
        PackedMedium(file, 512, family=number, total_size=total).add_set(recipe)
    return [file.getvalue() for file in files], recipe


@needs_numba
def test_stripes_of_a_compressed_set_are_judged_together():
    contents, recipe = stripes()
    found = [driven(content) for content in contents]
    parts = tuple(
        replace(item.parts(0), member=name) for item, name in zip(found, "ab", strict=True)
    )
    together = FORMAT.conclude(parts)
    bad = [row for row in together if row.bad]
    assert not bad, summary(bad)
    held = {row.check: row.count for row in together}
    assert held["sqlserver_bak.extent.present"] == recipe.extent_count
    assert held["sqlserver_bak.set.members"] == 2
    assert "sqlserver_bak.set.backup_size" in held
    # One stripe alone cannot say which extents are missing.
    assert "sqlserver_bak.extent.present" not in {row.check for row in found[0].evidence}


@needs_numba
def test_a_compression_that_is_not_known_is_said_not_called_damage():
    # Another method in all chunks: under checksums that hold, nothing decodes.
    content, medium = built(letter="L")
    changed = bytearray(content)
    for offset, _, _ in medium.packer.chunks:
        size = int.from_bytes(content[offset + 2 : offset + 4], "little")
        rewrite(changed, offset, b"\x55" * size)
    found = driven(bytes(changed))
    assert {(item.check, item.outcome) for item in found.bad} == {(CONTENT, Outcome.UNSUPPORTED)}


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_damage_anywhere_is_found_and_never_raises(data):
    content = built(letter="I", every_extent=4, aligned=False)[0]
    kind = data.draw(st.sampled_from(["flip", "cut", "zero"]))
    at = data.draw(st.integers(FIRST, len(content) - 600))
    if kind == "flip":
        # The header of a chunk is uninitialised memory but for a few bytes: any bit may differ.
        driven(damage.flip(content, at, data.draw(st.integers(0, 7))))
        return
    changed = damage.cut(content, at) if kind == "cut" else damage.zero(content, at, 512)
    assert driven(changed).bad


FIRST = 0x1E0 + 28


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=3_000))
def test_random_records_never_raise(content):
    driven(b"MSSQLBAK\2\0\0\0\3\0\0\0".ljust(0x1E0, b"\0") + content)
    driven(b"MSSQLBAK\2\0\0\0\3\0\0\0".ljust(0x1E0, b"\0") + b"\x21\x80\x40\0" + content)
