"""Verdicts on compressed SQL Server backups, from the file to the rule that decided."""

from io import BytesIO

import pytest

from formats.core import xpress
from scanner.judge.model import Verdict
from tests import damage
from tests.builders.sqlserver_bak import Medium, Recipe
from tests.builders.sqlserver_packed import PackedMedium, write_packed
from tests.scanner.scans import SOUND, Bench, ruled

OPTIONS = {"database_bytes": 512 << 10, "mark_bytes": 512}

pytestmark = pytest.mark.skipif(xpress.native() is None, reason="numba is not installed")


def built(**recipe) -> tuple[bytes, PackedMedium]:
    file = BytesIO()
    medium = write_packed(file, **OPTIONS, **recipe)
    return file.getvalue(), medium


def empty() -> bytes:
    """Return a backup of which every stored page is zeros, and that has no log."""
    file = BytesIO()
    plain = Medium(file, 512)
    plain.add_set(Recipe(database_bytes=512 << 10, byte_values=16, log_blocks=0))
    content, ((start, length),) = file.getvalue(), plain.structures["pages"]
    spoil = {place: content[place] for place in range(start, start + length) if content[place]}
    return built(spoil=spoil, log_blocks=0)[0]


def ruling(folder, content: bytes) -> tuple[Verdict, str]:
    bench = Bench(folder)
    bench.put("x.bak", content)
    return ruled(bench.scan(), "x.bak")


def test_a_compressed_backup_is_sound(tmp_path):
    assert ruling(tmp_path, built()[0]) == SOUND


def test_what_did_not_shrink_is_sound_where_its_pages_are(tmp_path):
    assert ruling(tmp_path, built(byte_values=256)[0]) == SOUND


def test_a_compressed_backup_of_nothing_but_zeros_is_empty(tmp_path):
    assert ruling(tmp_path, empty()) == (Verdict.EMPTY, "only-zeros")


def test_without_numba_zeros_are_not_known(tmp_path, monkeypatch):
    monkeypatch.setattr(xpress, "native", lambda: None)
    assert ruling(tmp_path, empty())[0] is Verdict.UNPROVEN


def test_a_broken_record_is_damage_and_another_version_is_not(tmp_path):
    content, medium = built()
    broken = damage.zero(content, medium.packer.chunks[5][0], 512)
    assert ruling(tmp_path / "1", broken) == (Verdict.DAMAGED, "bytes-wrong")
    locked = bytearray(content)
    locked[12] = 7
    for offset, _, _ in medium.packer.chunks:
        # What stands where chunks would is not known at all.
        locked[offset : offset + 256] = bytes(range(1, 256)) + b"\x99"
    found = ruling(tmp_path / "2", bytes(locked))
    assert found == (Verdict.UNPROVEN, "not-judgeable")
