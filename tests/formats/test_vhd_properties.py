"""VHD by chance: disks as built are clean, damaged ones never crash and never pass when cut."""

import struct
import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from formats.core.source import BytesSource, NoNeighbours
from formats.vhd import FORMAT
from tests import contract, damage
from tests.builders import vhd as build
from tests.drive import drive, summary

MEMORY_MAX = 48 << 20
KIB = 1024
BLOCK = 16 * KIB
PATHS = {b"W2ru": ".\\base.vhd", b"W2ku": "C:\\base.vhd"}


@st.composite
def disks(draw: st.DrawFn) -> bytes:
    """Disks of a few blocks, some stored, in any order."""
    count = draw(st.integers(1, 12))
    stored = draw(st.lists(st.integers(0, count - 1), unique=True))
    disk_bytes = (count - 1) * BLOCK + 512 * draw(st.integers(1, BLOCK // 512))
    return build.growing(
        disk_bytes,
        {index: bytes([index + 1]) * BLOCK for index in stored},
        block_bytes=BLOCK,
        parent=draw(st.sampled_from([None, build.PARENT_UID])),
        paths=draw(st.sampled_from([{}, PATHS])),
        alignment=draw(st.sampled_from([512, 4096])),
        gap=draw(st.sampled_from([0, 3584])),
    )


def check_memory(content: bytes) -> None:
    """An inspection and its extents need little memory, whatever the numbers say."""
    source = BytesSource(content)
    tracemalloc.start()
    try:
        inspections = FORMAT.inspect(source, NoNeighbours())
        for _ in FORMAT.extents(source, inspections):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= MEMORY_MAX


def subject(content: bytes) -> contract.Subject:
    return contract.Subject(FORMAT, BytesSource(content), NoNeighbours())


@settings(max_examples=50, deadline=None)
@given(disks())
def test_built_disks_are_clean_and_their_extents_keep_their_promises(content):
    driven = drive(FORMAT, BytesSource(content))
    assert not driven.bad, summary(driven.bad)
    contract.check_evidence(FORMAT, driven.evidence, len(content))
    contract.check_batches(FORMAT, driven, len(content))
    content_batches = [item for item in driven.batches if item.check_id == "vhd.block.content"]
    stored = sum(int(batch.stored_length.sum()) for batch in content_batches)
    assert stored == driven.inspections[0].payload_bytes


@settings(max_examples=50, deadline=None)
@given(disks(), st.data())
def test_cut_anywhere_is_never_silent(content, data):
    size = data.draw(st.integers(0, len(content) - 1))
    assert drive(FORMAT, BytesSource(damage.cut(content, size))).bad


@settings(max_examples=100, deadline=None)
@given(disks(), st.data())
def test_flips_never_crash(content, data):
    for _ in range(data.draw(st.integers(1, 4))):
        content = damage.flip(content, data.draw(st.integers(0, min(len(content), 4096) - 1)))
    contract.check_survives(subject(content), BytesSource(content))


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, (1 << 64) - 1) | st.integers(0, 1 << 24),
    st.integers(0, (1 << 64) - 1) | st.just(512),
    st.integers(0, (1 << 64) - 1) | st.just(1536),
    st.integers(0, (1 << 32) - 1),
    st.integers(0, (1 << 32) - 1) | st.sampled_from([1 << power for power in range(9, 32)]),
    st.lists(st.integers(0, (1 << 32) - 1) | st.integers(0, 20), max_size=200),
)
def test_hostile_numbers_under_right_checksums_never_crash(
    disk_bytes, header_at, table_at, count, block_bytes, entries
):
    footer = build.footer(disk_bytes, 4, header_at=header_at % 1024)
    header = build.header(
        table_at,
        count,
        block_bytes,
        parent=build.PARENT_UID,
        locators=((b"W2ku", count, header_at), (b"W2ru", 16, table_at)),
    )
    table = struct.pack(f">{len(entries)}I", *entries).ljust(1024, b"\xff")
    content = footer + header + table + bytes(8192) + footer
    contract.check_survives(subject(content), BytesSource(content))
    check_memory(content)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=2048))
def test_random_bytes_never_crash(content):
    drive(FORMAT, BytesSource(content))
    drive(FORMAT, BytesSource(build.footer(len(content), 3, header_at=512) + content))
    drive(FORMAT, BytesSource(content + build.footer(len(content), 2)))
