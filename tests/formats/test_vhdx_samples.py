"""VHDX files by real programs: facts read off them, and independent tools asked the same."""

import bz2
import gzip
import lzma
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from formats.core.model import Bearing, Identity, Kind
from formats.core.source import BytesSource, NoNeighbours
from formats.vhdx import FORMAT
from tests import damage
from tests.builders import vhdx as build
from tests.drive import summary

FIXTURES = Path(__file__).parents[1] / "fixtures" / "vhdx"
MIB = 1 << 20


def fixture(case: str) -> bytes:
    return lzma.decompress((FIXTURES / case / "disk.vhdx.xz").read_bytes())


def corpus(name: str) -> bytes:
    root = os.environ.get("BAKPROOF_CORPUS")
    if not root:
        pytest.skip("BAKPROOF_CORPUS names no folder of real files")
    path = Path(root) / name
    if not path.exists():
        pytest.skip(f"no {name} in the corpus")
    stored = path.read_bytes()
    match path.suffix:
        case ".gz":
            return gzip.decompress(stored)
        case ".bz2":
            return bz2.decompress(stored)
        case _:
            return stored


def inspect(content: bytes) -> tuple:
    (inspection,) = FORMAT.inspect(BytesSource(content), NoNeighbours())
    return inspection, [row for row in inspection.evidence if row.bad]


def ranges(content: bytes) -> list:
    source = BytesSource(content)
    batches = FORMAT.extents(source, FORMAT.inspect(source, NoNeighbours()))
    return [
        (int(offset), int(length))
        for batch in batches
        for offset, length in zip(batch.offset, batch.stored_length, strict=True)
    ]


def test_dynamic_disk_by_qemu_is_read():
    content = fixture("qemu_dynamic")
    inspection, bad = inspect(content)
    assert not bad, summary(bad)
    assert inspection.needed_bytes == len(content)
    assert (inspection.source_bytes, inspection.payload_bytes) == (12 * MIB, 5 * MIB)
    ((offset, length),) = ranges(content)
    assert content[offset : offset + length : MIB] == b"\1\2\5\x0a\x0b"


def test_log_left_by_a_killed_writer_is_replayed():
    content = fixture("qemu_pending_log")
    inspection, bad = inspect(content)
    assert [(row.check, row.bearing) for row in bad] == [("vhdx.log.pending", Bearing.REDUNDANT)]
    assert inspection.payload_bytes == 3 * MIB
    ((offset, length),) = ranges(content)
    assert content[offset : offset + length : MIB] == b"\1\2\5"


def test_table_of_a_killed_writer_is_stale_on_disk():
    """Without its log the file would look whole and lack a block: what replaying is for."""
    content = fixture("qemu_pending_log")
    cleared = bytearray(content)
    for offset, sequence in ((0x10000, 8), (0x20000, 9)):
        cleared[offset : offset + 4096] = build.header(sequence)
    inspection, _ = inspect(bytes(cleared))
    assert inspection.payload_bytes == 2 * MIB


NAMES = {
    "images/qemu/dynamic.vhdx": (Kind.FULL, 14 * MIB, 23068672),
    "images/qemu/empty.vhdx": (Kind.FULL, 0, 4 * MIB),
    "images/qemu/fixed.vhdx": (Kind.FULL, 14 * MIB, 73400320),
    "images/vhdx_chain_synth/base.vhdx": (Kind.FULL, 14 * MIB, 23068672),
    "images/vhdx_chain_synth/inc1.avhdx": (Kind.INCREMENTAL, 5 * 2 * MIB, 15728640),
    "images/vhdx_chain_synth/inc2.avhdx": (Kind.INCREMENTAL, 3 * 2 * MIB, 11534336),
    "vendor/hyperv/differencing.avhdx.gz": (Kind.INCREMENTAL, 32 * 2 * MIB, 73400320),
    # One block of 32 MiB for a disk of 10 MiB.
    "vendor/hyperv/dynamic.vhdx.gz": (Kind.FULL, 10 * MIB, 14 * MIB),
    "vendor/hyperv/fixed.vhdx.gz": (Kind.FULL, 10 * MIB, 14 * MIB),
    "vendor/qemu_iotests/iotest-dynamic-1G.vhdx.bz2": (Kind.FULL, 96 * MIB, 100 * MIB),
    # Two headers that are the same in every byte.
    "vendor/qemu_iotests/test-disk2vhd.vhdx.bz2": (Kind.FULL, 256 * MIB, 272629760),
}


@pytest.mark.parametrize("name", NAMES)
def test_real_disk_is_clean(name):
    inspection, bad = inspect(corpus(name))
    assert not bad, summary(bad)
    facts = (inspection.kind, inspection.payload_bytes, inspection.needed_bytes)
    assert facts == NAMES[name]


def test_dirty_log_of_the_iotests_is_replayed():
    inspection, bad = inspect(corpus("vendor/qemu_iotests/iotest-dirtylog-10G-4M.vhdx.bz2"))
    assert [(row.check, row.bearing) for row in bad] == [("vhdx.log.pending", Bearing.REDUNDANT)]
    assert inspection.facts["blocks_present"] == 18


def test_chain_is_linked_by_data_write_guids():
    base, first, second = (
        inspect(corpus(f"images/vhdx_chain_synth/{name}"))[0]
        for name in ("base.vhdx", "inc1.avhdx", "inc2.avhdx")
    )
    assert base.parents == ()
    assert first.parents[0].identities == base.identities
    assert second.parents[0].identities == first.identities


def test_hyper_v_child_names_its_parent():
    inspection, _ = inspect(corpus("vendor/hyperv/differencing.avhdx.gz"))
    (parent,) = inspection.parents
    assert parent.identities == (
        Identity("vhdx.data_write_guid", "ff34003b-11ed-4cf8-a166-b2be05e20b80"),
    )
    name = "Generation 1_49C4BAF3-4B25-4406-8C4B-D39E65C32385.avhdx"
    assert parent.names[0] == f".\\{name}"
    assert parent.names[1].startswith("\\\\?\\Volume{0eba351e-5634-46d6-a8cf-4ddc2d6ac0b9}\\")
    assert inspection.facts["virtual_disk_id"] == "89ca62b5-b00d-4b8e-b79a-87e20cad5a40"


@pytest.mark.parametrize("name", ["differencing.avhdx.gz", "dynamic.vhdx.gz", "fixed.vhdx.gz"])
def test_log_of_windows_remembers_the_table(name):
    inspection, _ = inspect(corpus(f"vendor/hyperv/{name}"))
    (row,) = [row for row in inspection.evidence if row.check == "vhdx.log.history"]
    assert row.vouched_bytes >= 8


def test_windows_disk_cut_behind_its_end_has_lost_no_data():
    content = corpus("vendor/hyperv/dynamic.vhdx.gz")
    _, bad = inspect(damage.cut(content, 14 * MIB))
    assert [(row.check, row.bearing) for row in bad] == [("vhdx.file.allocated", Bearing.REDUNDANT)]
    _, bad = inspect(damage.cut(content, 14 * MIB - 1))
    assert [(row.check, row.bearing) for row in bad] == [("vhdx.file.needed", Bearing.NEEDED)]


# Independent tools

needs_qemu = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not here")
needs_vhdi = pytest.mark.skipif(shutil.which("vhdiinfo") is None, reason="vhdiinfo is not here")


def converted(path: Path) -> bytes:
    raw = path.with_suffix(".raw")
    subprocess.run(
        ["qemu-img", "convert", "-f", "vhdx", "-O", "raw", path, raw],
        check=True,
        capture_output=True,
    )
    return raw.read_bytes()


@pytest.mark.realtool
@needs_qemu
def test_qemu_reads_the_builders_disk_as_it_was_meant(tmp_path):
    path = tmp_path / "disk.vhdx"
    path.write_bytes(build.dynamic())
    wanted = b"\x01" * MIB + bytes(MIB) + b"\x03" * MIB + bytes(4 * MIB) + b"\x08" * MIB
    assert converted(path) == wanted


@pytest.mark.realtool
@needs_qemu
def test_qemu_replays_the_builders_log_to_the_blocks_we_see(tmp_path):
    update = bytearray(4096)
    for index, mebibyte in ((0, 4), (1, 5), (3, 6)):
        update[8 * index : 8 * index + 8] = build.entry(6, mebibyte)
    entry = build.log_entry(
        100, [build.data_update(build.BAT_AT, bytes(update))], tail=0, flushed=7 * MIB
    )
    content = build.disk(
        {0: build.entry(6, 4)},
        headers=(build.header(8, log_guid=build.LOG_GUID), build.header(7)),
        blocks={4: b"\x01" * MIB, 5: b"\x02" * MIB, 6: b"\x03" * MIB},
        log={0: entry},
    )
    path = tmp_path / "disk.vhdx"
    path.write_bytes(content)
    subprocess.run(["qemu-img", "check", "-r", "all", path], check=True, capture_output=True)
    before, after = inspect(content)[0], inspect(path.read_bytes())[0]
    assert before.facts["blocks_present"] == after.facts["blocks_present"] == 3
    assert ranges(content) == ranges(path.read_bytes())
    wanted = b"\x01" * MIB + b"\x02" * MIB + bytes(MIB) + b"\x03" * MIB + bytes(4 * MIB)
    assert converted(path) == wanted


@pytest.mark.realtool
@needs_vhdi
@pytest.mark.parametrize(
    "content", [fixture("qemu_dynamic"), build.differencing()], ids=["qemu", "child"]
)
def test_libvhdi_agrees_on_id_size_and_parent(tmp_path, content):
    path = tmp_path / "disk.vhdx"
    path.write_bytes(content)
    told = subprocess.run(
        ["vhdiinfo", path], check=True, capture_output=True, text=True
    ).stdout.lower()
    inspection, _ = inspect(content)
    assert inspection.identities[0].value in told
    assert f"({inspection.source_bytes} bytes)" in told
    for parent in inspection.parents:
        assert parent.identities[0].value in told
