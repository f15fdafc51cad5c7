"""VHDX by chance: disks as built are clean, damaged ones never crash and never pass when cut."""

import struct
import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from formats.core.source import BytesSource, NoNeighbours
from formats.vhdx import FORMAT
from tests import contract
from tests.builders import vhdx as build
from tests.builders.vhdx import BAT_AT, LOG_AT, METADATA_AT, MIB
from tests.drive import drive, summary
from tests.sources import Overlay, flipped

MEMORY_MAX = 48 << 20
CHILD = build.differencing()
UPDATES = [
    build.data_update(BAT_AT, (build.entry(6, 4) + build.entry(6, 5)).ljust(4096, b"\0")),
    build.zero_update(BAT_AT + 8192, 4096),
]
ENTRY = build.log_entry(7, UPDATES, tail=0, flushed=6 * MIB)
PENDING = build.disk(
    {0: build.entry(6, 4)},
    headers=(build.header(8, log_guid=build.LOG_GUID), build.header(7)),
    blocks={4: b"\x01" * MIB, 5: b"\x02" * MIB},
    log={0: ENTRY},
)
# Where structures stand; flips elsewhere are data's and free space's.
HOT = (
    st.integers(0, 20)
    | st.integers(0x10000, 0x10060)
    | st.integers(0x20000, 0x20060)
    | st.integers(0x30000, 0x30060)
    | st.integers(LOG_AT, LOG_AT + 8191)
    | st.integers(METADATA_AT, METADATA_AT + 300)
    | st.integers(METADATA_AT + 65536, METADATA_AT + 66100)
    | st.integers(BAT_AT, BAT_AT + 64)
    | st.integers(BAT_AT + 8 * 2048, BAT_AT + 8 * 2049)
)
samples = st.sampled_from([CHILD, PENDING])
numbers = st.integers(0, (1 << 64) - 1) | st.sampled_from([0, 1, MIB, 3 * MIB, 1 << 40, 1 << 63])


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


@st.composite
def disks(draw: st.DrawFn) -> bytes:
    """Disks of a few blocks of 1 or 2 MiB in any state a disk without a parent may have."""
    width = draw(st.sampled_from([1, 2]))
    states = draw(st.lists(st.sampled_from([0, 1, 2, 3, 5, 6]), min_size=1, max_size=4))
    table, blocks, place = {}, {}, 4
    for index in draw(st.permutations(range(len(states)))):
        stored = states[index] == 6
        table[index] = build.entry(states[index], place if stored else 0)
        if stored:
            blocks[place] = bytes([index + 1]) * width * MIB
            place += width
    return build.disk(
        table, disk_bytes=len(states) * width * MIB, block_bytes=width * MIB, blocks=blocks
    )


@settings(max_examples=30, deadline=None)
@given(disks())
def test_built_disks_are_clean_and_their_extents_keep_their_promises(content):
    driven = drive(FORMAT, BytesSource(content))
    assert not driven.bad, summary(driven.bad)
    contract.check_evidence(FORMAT, driven.evidence, len(content))
    contract.check_batches(FORMAT, driven, len(content))
    stored = sum(int(batch.stored_length.sum()) for batch in driven.batches)
    assert stored == driven.inspections[0].payload_bytes


@settings(max_examples=50, deadline=None)
@given(samples, st.data())
def test_cut_anywhere_is_never_silent(content, data):
    size = data.draw(st.integers(0, len(content) - 1))
    before = set(drive(FORMAT, BytesSource(content)).bad)
    assert set(drive(FORMAT, BytesSource(content[:size])).bad) - before


@settings(max_examples=150, deadline=None)
@given(samples, HOT, st.integers(0, 7))
def test_flips_never_crash(content, offset, bit):
    contract.check_survives(subject(content), flipped(BytesSource(content), offset, bit))


@settings(max_examples=100, deadline=None)
@given(
    samples, st.dictionaries(HOT, numbers.map(lambda value: struct.pack("<Q", value)), max_size=4)
)
def test_hostile_numbers_never_crash(content, patches):
    source = Overlay(BytesSource(content), patches)
    contract.check_survives(subject(content), source)


@settings(max_examples=100, deadline=None)
@given(numbers, numbers, numbers, numbers, st.booleans())
def test_hostile_numbers_under_right_checksums_never_crash(one, two, three, four, pending):
    guid = build.LOG_GUID if pending else build.NO_GUID
    small = 0xFFFFFFFF
    header = build.header(
        8, log_guid=guid, log_at=one, log_bytes=two & small, version=1, log_version=three & 1
    )
    table = build.region_table(
        [
            (build.BAT, one, two & small, 1),
            (build.METADATA, METADATA_AT, MIB, 1),
            (build.LOG_GUID, three, four & small, 0),
        ]
    )
    log = build.log_entry(
        9,
        [
            build.zero_update(one & ~4095, two & ~4095),
            build.data_update(three & ~4095, bytes(4096)),
        ],
        tail=0,
        flushed=four,
        last=one,
    )
    patches = {0x10000: header, 0x20000: header, 0x30000: table, LOG_AT: log}
    content = bytearray(PENDING)
    for offset, piece in patches.items():
        content[offset : offset + len(piece)] = piece
    for offset, number in ((0, two & small), (8, four), (32, three & small)):
        place = METADATA_AT + 65536 + offset
        stored = number.to_bytes(8, "little")
        content[place : place + 4] = stored[:4]
    contract.check_survives(subject(bytes(content)), BytesSource(bytes(content)))
    check_memory(bytes(content))


@settings(max_examples=100, deadline=None)
@given(st.lists(numbers, min_size=2, max_size=2), numbers, numbers)
def test_replayed_log_may_say_anything(places, length, flushed):
    updates = [
        build.data_update(places[0] & ~4095, b"\x06" * 4096),
        build.zero_update(places[1] & ~4095, length & ~4095),
    ]
    log = build.log_entry(9, updates, tail=0, flushed=flushed)
    content = PENDING[:LOG_AT] + log + PENDING[LOG_AT + len(log) :]
    driven = drive(FORMAT, BytesSource(content))
    assert "vhdx.log.pending" in {row.check for row in driven.bad}
