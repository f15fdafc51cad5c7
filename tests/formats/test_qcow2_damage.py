"""qcow2: each way an image can be wrong, with the check and the place that must tell.

The sound image of each case must pass, so that nothing but the damage is found; the damaged one
must be told by the right check, at the right offset, with the right bearing.
"""

import struct

import pytest

from formats.core.errors import FormatError, Truncated
from formats.core.source import BytesSource, NoNeighbours
from formats.qcow2 import FORMAT
from tests.builders.qcow2 import COPIED, OFFSETS, Image, field_of, put
from tests.builders.qcow2_cases import (
    BITMAPS,
    CASES,
    DOUBTFUL,
    bitmapped,
    block,
    compressed,
    count_of,
    crowded,
    entry,
    host,
    l1,
    sample,
    snapshotted,
    to,
    word,
)
from tests.damage import cut, flip, zero
from tests.drive import drive, summary
from tests.samples import FIXTURES
from tests.sources import unpack


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_damage_is_told_at_its_place(case):
    sound = case.make()
    unusual = [
        item for item in drive(FORMAT, BytesSource(sound)).bad if item.check not in case.usual
    ]
    assert not unusual, summary(unusual)
    damaged = case.damage(sound)
    assert damaged != sound
    found = drive(FORMAT, BytesSource(damaged)).bad
    wanted = (case.check, case.place(sound), case.bearing, case.outcome)
    assert wanted in {(item.check, item.offset, item.bearing, item.outcome) for item in found}, (
        summary(found)
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_check_says_both_good_and_bad(case):
    source = BytesSource(case.damage(case.make()))
    (image,) = FORMAT.inspect(source, NoNeighbours())
    bad = {item.check for item in image.evidence if item.bad}
    assert not bad & {item.check for item in image.evidence if not item.bad}


def test_every_check_is_damaged_somewhere():
    elsewhere = {
        # Limits, members and cuts have tests of their own; payload says nothing bad.
        "qcow2.bitmaps.limit",
        "qcow2.refcount.limit",
        "qcow2.map.limit",
        "qcow2.data_file.present",
        "qcow2.data_file.size",
        "qcow2.file.needed",
        "qcow2.cluster.payload",
    }
    assert {case.check for case in CASES} | elsewhere == FORMAT.checks.keys()


def bad_of(content):
    return drive(FORMAT, BytesSource(content)).bad


def test_neighbours_with_the_same_fault_are_one_row():
    content = sample()
    first = count_of(content, 512)
    damaged = content[:first] + struct.pack(">HHH", 3, 3, 3) + content[first + 6 :]
    (row,) = [item for item in bad_of(damaged) if item.check == "qcow2.cluster.leaked"]
    assert (row.offset, row.length, row.count) == (512, 3 * 512, 3)
    assert (row.expected, row.actual) == ("refcount 1", "refcount 3")


def test_many_faults_end_in_one_row_with_a_count():
    image = Image(cluster_bits=12, size=1024 << 12)
    for guest in range(300):
        image.data(guest, b"x")
    content = image.finish()
    start = block(content)
    damaged = bytearray(content)
    for number in range(1, 301):
        # Counts of 2 and 3 by turns, so that no two neighbours are alike.
        struct.pack_into(">H", damaged, start + number * 2, 2 + number % 2)
    rows = [item for item in bad_of(bytes(damaged)) if item.check == "qcow2.cluster.leaked"]
    assert len(rows) == 101
    assert sum(item.count for item in rows) == 300
    assert rows[-1].offset is None
    copied = [item for item in bad_of(bytes(damaged)) if item.check == "qcow2.l2.copied"]
    assert sum(item.count for item in copied) == 300


def test_overlap_names_what_meets():
    content = sample()
    damaged = put(content, entry(content, 1), block(content) | COPIED)
    (row,) = [item for item in bad_of(damaged) if item.check == "qcow2.cluster.overlap"]
    assert row.actual == "2 uses as metadata and data"
    damaged = put(content, entry(content, 1), l1(content) | COPIED)
    (row,) = [item for item in bad_of(damaged) if item.check == "qcow2.cluster.overlap"]
    assert row.actual == "2 uses as metadata and data"


def test_shared_cluster_with_a_matching_count_is_no_damage():
    # The format allows it, though no program is known that writes it.
    content = sample()
    shared = put(content, entry(content, 1), word(content, entry(content, 0)) & ~COPIED)
    shared = put(shared, entry(content, 0), word(content, entry(content, 0)) & ~COPIED)
    shared = put(shared, count_of(content, host(content, 0)), 2, ">H")
    shared = put(shared, count_of(content, host(content, 1)), 0, ">H")
    assert not bad_of(shared)


def test_refcount_block_that_is_cut_off_leaves_its_clusters_unjudged():
    content = sample()
    found = bad_of(cut(content, block(content)))
    assert {item.check for item in found} == {"qcow2.file.needed"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: to("l1_table_offset", len(content))(content),
        lambda content: put(content, l1(content), len(content) | COPIED),
        to("l1_table_offset", 0),
        to("nb_snapshots", 65_537),
        to("snapshots_offset", 1 << 40),
    ],
    ids=["L1 behind the end", "L2 behind the end", "no L1", "too many snapshots", "no snapshots"],
)
def test_leaks_are_not_told_where_the_map_is_cut(damage):
    # With a part of the map unread its clusters look forgotten; that says nothing.
    content = snapshotted()
    damaged = damage(content)
    assert "qcow2.cluster.leaked" not in {item.check for item in bad_of(damaged)}
    (image,) = FORMAT.inspect(BytesSource(damaged), NoNeighbours())
    assert any(item.bad for item in image.evidence)
    assert image.payload_bytes is None


def test_clusters_of_a_lost_refcount_block_are_not_judged():
    content = crowded()
    table = field_of(content, "refcount_table_offset")
    told = {item.check for item in bad_of(flip(content, table + 15, 3))}
    # The block's own cluster has lost what referred to it.
    assert told == {"qcow2.refcount_table.entry", "qcow2.cluster.leaked"}


def test_pointers_far_behind_the_end_without_refcounts_are_no_work():
    content = put(sample(), entry(sample(), 0), 1 << 55 | COPIED)
    damaged = to("refcount_table_clusters", 0)(content)
    (image,) = FORMAT.inspect(BytesSource(damaged), NoNeighbours())
    assert image.needed_bytes == (1 << 55) + 512
    rows = sum(len(batch.offset) for batch in FORMAT.extents(BytesSource(damaged), (image,)))
    assert rows == 1


def test_stale_bitmaps_excuse_their_own_refcounts_only():
    stale = to("autoclear_features", 0)(bitmapped())
    assert {item.check for item in bad_of(stale)} == {"qcow2.bitmaps.consistent"}
    leaked = put(stale, count_of(stale, len(stale) - 512) + 2, 1, ">H")
    assert "qcow2.cluster.leaked" in {item.check for item in bad_of(leaked)}


def test_stale_bitmaps_may_have_lost_their_clusters():
    # A program that knows no bitmaps takes their clusters for leaks and gives them away.
    stale = to("autoclear_features", 0)(bitmapped())
    freed = bytearray(stale)
    for name in (b"\x81" + bytes(7), b"bm0"):
        struct.pack_into(">H", freed, count_of(stale, stale.index(name)), 0)
    assert {item.check for item in bad_of(bytes(freed))} == {"qcow2.bitmaps.consistent"}


def test_broken_stale_bitmaps_do_not_hide_a_lost_map_entry():
    stale = to("autoclear_features", 0)(bitmapped())
    broken = flip(stale, stale.index(b"bm0") - 17)
    lost = host(stale, 0)
    assert ("qcow2.cluster.leaked", lost) not in {
        (item.check, item.offset) for item in bad_of(broken)
    }
    found = bad_of(zero(broken, entry(stale, 0), 8))
    assert ("qcow2.cluster.leaked", lost) in {(item.check, item.offset) for item in found}


def test_stale_bitmaps_need_no_bytes():
    content = bitmapped()
    moved = put(content, content.index(struct.pack(">I", BITMAPS)) + 24, len(content))
    assert "qcow2.file.needed" in {item.check for item in bad_of(moved)}
    stale = to("autoclear_features", 0)(moved)
    assert "qcow2.file.needed" not in {item.check for item in bad_of(stale)}


def test_last_cluster_of_a_bitmap_is_needed_only_as_far_as_its_bits_go():
    content = bitmapped()
    table = word(content, content.index(b"bm0") - 24)
    (image,) = FORMAT.inspect(BytesSource(put(content, table, len(content))), NoNeighbours())
    # 64 clusters of the granularity are 64 bits.
    assert image.needed_bytes == len(content) + 8


def test_bitmap_in_use_may_have_another_length():
    # [spec] "Bitmap directory", in_use: the size may be out of date after a resize.
    content = bitmapped()
    in_use = put(content, content.index(b"bm0") - 9, 3, ">B")
    longer = put(in_use, content.index(b"bm0") - 16, 2, ">I")
    assert "qcow2.bitmaps.table" in {
        item.check for item in bad_of(put(content, content.index(b"bm0") - 16, 2, ">I"))
    }
    assert "qcow2.bitmaps.table" not in {item.check for item in bad_of(longer)}


def test_header_that_is_cut_is_truncated():
    content = sample()
    for size in (4, 71, 103):
        with pytest.raises(Truncated) as caught:
            FORMAT.inspect(BytesSource(cut(content, size)), NoNeighbours())
        assert caught.value.check == "qcow2.header.length"


def test_every_cut_of_a_small_image_is_told():
    for make in (sample, snapshotted, bitmapped, compressed):
        content = make()
        needed = FORMAT.inspect(BytesSource(content), NoNeighbours())[0].needed_bytes
        assert needed is not None
        assert not bad_of(cut(content, needed)) if needed < len(content) else True
        for size in range(4, needed, 29):
            try:
                found = bad_of(cut(content, size))
            except FormatError:
                continue
            assert found, f"{make.__name__} cut to {size} of {needed}"


def test_name_of_the_data_is_what_keeps_a_zeroed_image_unknown():
    assert not FORMAT.probe(BytesSource(bytes(4096)))
    assert not FORMAT.probe(BytesSource(b"QFI"))


def test_real_image_with_lost_and_bent_map_entries_is_told():
    source = unpack(FIXTURES / "qcow2" / "chain" / "full.qcow2.xz")
    content = source.read_at(0, source.size)
    first = word(content, l1(content)) & OFFSETS
    assert not bad_of(content)
    lost = bad_of(zero(content, first, 8))
    assert [(item.check, item.bearing) for item in lost] == [("qcow2.cluster.leaked", DOUBTFUL)]
    assert lost[0].offset == word(content, first) & OFFSETS
    for bit in range(8):
        for byte in range(8):
            if (byte, bit) == (7, 0):
                # The zero flag: nothing in the file tells.
                continue
            assert bad_of(flip(content, first + byte, bit)), f"bit {bit} of byte {byte}"
