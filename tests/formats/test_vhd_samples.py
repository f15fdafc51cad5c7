"""VHD files by real programs: facts read off them, and independent tools asked the same."""

import gzip
import lzma
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from formats.core.model import Bearing, Identity, Kind, Outcome, Payload
from formats.core.source import BytesSource, NoNeighbours
from formats.vhd import FORMAT
from tests import damage
from tests.builders import vhd as build
from tests.drive import summary

FIXTURES = Path(__file__).parents[1] / "fixtures" / "vhd"
MIB = 1 << 20


def fixture(case: str) -> bytes:
    return lzma.decompress((FIXTURES / case / "disk.vhd.xz").read_bytes())


def corpus(name: str) -> bytes:
    root = os.environ.get("BAKPROOF_CORPUS")
    if not root:
        pytest.skip("BAKPROOF_CORPUS names no folder of real files")
    path = Path(root) / name
    if not path.exists():
        pytest.skip(f"no {name} in the corpus")
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def inspect(content: bytes) -> tuple:
    (inspection,) = FORMAT.inspect(BytesSource(content), NoNeighbours())
    return inspection, [row for row in inspection.evidence if row.bad]


def ranges(content: bytes) -> list:
    source = BytesSource(content)
    batches = FORMAT.extents(source, FORMAT.inspect(source, NoNeighbours()))
    return [
        (int(offset), int(length))
        for batch in batches
        if isinstance(batch.check, Payload)
        for offset, length in zip(batch.offset, batch.stored_length, strict=True)
    ]


def test_dynamic_disk_by_qemu_is_read():
    content = fixture("qemu_dynamic")
    inspection, bad = inspect(content)
    assert not bad, summary(bad)
    assert inspection.kind is Kind.FULL
    assert inspection.needed_bytes == len(content) - 512
    assert (inspection.source_bytes, inspection.payload_bytes) == (12 * MIB, 8 * MIB)
    # Each block holds two mebibytes of the pattern.
    firsts = [content[offset : offset + 2 * MIB : MIB] for offset, _ in ranges(content)]
    assert firsts == [b"\0\1", b"\2\0", b"\0\5", b"\x0a\x0b"]


def test_fixed_disk_by_qemu_is_read():
    content = fixture("qemu_fixed")
    inspection, bad = inspect(content)
    assert not bad, summary(bad)
    assert inspection.needed_bytes == len(content) == 12 * MIB + 512
    assert ranges(content) == [(0, 12 * MIB)]


NAMES = {
    "images/qemu/dynamic.vhd": (Kind.FULL, 9 * 2 * MIB),
    "images/qemu/empty.vpc": (Kind.FULL, 0),
    "images/qemu/fixed.vhd": (Kind.FULL, 48 * MIB),
    "images/vbox/base.vhd": (Kind.FULL, 9 * 2 * MIB),
    "images/vbox/inc1.vhd": (Kind.INCREMENTAL, 5 * 2 * MIB),
    "images/vbox/inc2.vhd": (Kind.INCREMENTAL, 3 * 2 * MIB),
    "vendor/hyperv/dynamic.vhd.gz": (Kind.FULL, 3 * 2 * MIB),
    "vendor/hyperv/fixed.vhd.gz": (Kind.FULL, 10 * MIB),
    "vendor/vhd/ext2.vhd": (Kind.FULL, 2 * MIB),
    "vendor/vhd/fat-differential.vhd": (Kind.INCREMENTAL, 2 * MIB),
}


@pytest.mark.parametrize("name", NAMES)
def test_real_disk_is_clean(name):
    content = corpus(name)
    inspection, bad = inspect(content)
    assert not bad, summary(bad)
    assert (inspection.kind, inspection.payload_bytes) == NAMES[name]
    assert inspection.needed_bytes <= len(content)


def test_virtualbox_chain_is_linked_by_ids():
    base, first, second = (
        inspect(corpus(f"images/vbox/{name}.vhd"))[0] for name in ("base", "inc1", "inc2")
    )
    assert base.parents == ()
    assert first.parents[0].identities == base.identities
    assert second.parents[0].identities == first.identities
    assert first.parents[0].names == ("base.vhd", "/w/fixtures/vbox/base.vhd")


def test_windows_child_names_its_parent():
    inspection, _ = inspect(corpus("vendor/vhd/fat-differential.vhd"))
    (parent,) = inspection.parents
    assert parent.identities == (Identity("vhd.uuid", "5fa21a55-f394-aa4d-9958-1951a67d5540"),)
    assert parent.names == (".\\fat-parent.vhd", "C:\\Projects\\dfvfs\\test_data\\fat-parent.vhd")
    assert inspection.facts["parent_time_stamp"] is None


def test_sums_edited_by_hand_are_found_at_both_ends():
    parent = corpus("vendor/vhd/image.vhd")
    end = len(parent) - 512
    _, bad = inspect(parent)
    assert [(row.check, row.offset, row.expected, row.actual) for row in bad] == [
        ("vhd.footer.checksum", end, "0xfffff683", "0xffffef25"),
        ("vhd.footer.checksum", 0, "0xfffff683", "0xffffef25"),
    ]
    inspection, bad = inspect(corpus("vendor/vhd/image-differential.vhd"))
    assert [(row.check, row.offset) for row in bad] == [
        ("vhd.footer.checksum", end),
        ("vhd.footer.checksum", 0),
        ("vhd.header.checksum", 512),
    ]
    assert {row.bearing for row in bad} == {Bearing.NEEDED}
    assert {row.outcome for row in bad} == {Outcome.MISMATCHED}
    # The two still say that they belong together.
    assert inspection.parents[0].identities == inspect(parent)[0].identities


def test_windows_disk_without_its_footer_has_lost_no_data():
    content = corpus("vendor/hyperv/dynamic.vhd.gz")
    _, bad = inspect(damage.cut(content, len(content) - 512))
    assert [(row.check, row.bearing) for row in bad] == [("vhd.footer.present", Bearing.REDUNDANT)]


# Independent tools

needs_qemu = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not here")
needs_vhdi = pytest.mark.skipif(shutil.which("vhdiinfo") is None, reason="vhdiinfo is not here")


def converted(path: Path) -> bytes:
    raw = path.with_suffix(".raw")
    subprocess.run(
        ["qemu-img", "convert", "-f", "vpc", "-O", "raw", path, raw],
        check=True,
        capture_output=True,
    )
    return raw.read_bytes()


@pytest.mark.realtool
@needs_qemu
def test_qemu_reads_the_builders_disks_as_they_were_meant(tmp_path):
    blocks = {3: b"\x04" * 2 * MIB, 0: b"\x01" * 2 * MIB}
    path = tmp_path / "disk.vhd"
    path.write_bytes(build.growing(8 * MIB, blocks, block_bytes=2 * MIB))
    assert converted(path) == b"\x01" * 2 * MIB + bytes(4 * MIB) + b"\x04" * 2 * MIB


@pytest.mark.realtool
@needs_qemu
def test_qemu_reads_the_same_without_the_last_footer(tmp_path):
    content = fixture("qemu_dynamic")
    path = tmp_path / "disk.vhd"
    path.write_bytes(content)
    whole = converted(path)
    path.write_bytes(damage.cut(content, len(content) - 512))
    assert converted(path) == whole


@pytest.mark.realtool
@needs_vhdi
@pytest.mark.parametrize("case", ["qemu_dynamic", "qemu_fixed"])
def test_libvhdi_agrees_on_id_and_size(tmp_path, case):
    content = fixture(case)
    path = tmp_path / "disk.vhd"
    path.write_bytes(content)
    told = subprocess.run(["vhdiinfo", path], check=True, capture_output=True, text=True).stdout
    inspection, _ = inspect(content)
    assert inspection.identities[0].value in told.lower()
    assert f"({inspection.source_bytes} bytes)" in told
    assert re.search(r"Disk type\s+: " + inspection.facts["disk_type"], told, re.IGNORECASE)


@pytest.mark.realtool
@needs_vhdi
def test_libvhdi_agrees_on_the_parent_of_a_builders_child(tmp_path):
    child = build.growing(
        2 * MIB,
        {0: b"\x01" * 2 * MIB},
        block_bytes=2 * MIB,
        parent=build.PARENT_UID,
        parent_name="base.vhd",
    )
    path = tmp_path / "child.vhd"
    path.write_bytes(child)
    told = subprocess.run(["vhdiinfo", path], check=True, capture_output=True, text=True).stdout
    (parent,) = inspect(child)[0].parents
    assert parent.identities[0].value in told.lower()
    assert parent.names[0] in told
