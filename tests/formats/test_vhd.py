"""What damage to each structure of a VHD shows, beside its undamaged twin."""

from datetime import UTC, datetime

import pytest

from formats.core.model import Bearing, Identity, Kind, Outcome
from formats.core.source import BytesSource, NoNeighbours
from formats.vhd import FORMAT
from tests import damage
from tests.builders import vhd as build
from tests.drive import Driven, coordinates, drive, summary

KIB = 1024
BLOCK = 64 * KIB
DISK = 5 * BLOCK + 8 * KIB  # the last of six blocks is 8 KiB of disk

DYNAMIC = build.growing(DISK, {2: b"\x03" * BLOCK, 0: b"\x01" * BLOCK, 5: b"\x06" * (8 * KIB)})
CHILD = build.growing(
    DISK,
    {1: b"\x02" * BLOCK},
    parent=build.PARENT_UID,
    parent_name="base.vhd",
    paths={b"W2ru": ".\\base.vhd", b"W2ku": "C:\\vm\\base.vhd"},
)
FIXED = build.fixed(bytes([1, 0] * (32 * KIB)))

FIRST_BLOCK = 2048  # behind footer, header and one sector of table
STORED = BLOCK + 512  # a block and its bitmap


def run(content: bytes) -> Driven:
    return drive(FORMAT, BytesSource(content))


def one(content: bytes) -> tuple:
    driven = run(content)
    assert len(driven.inspections) == 1
    return driven.inspections[0], driven.bad


def bearings(bad: list) -> dict:
    return {(row.check, row.offset): row.bearing for row in bad}


@pytest.mark.parametrize("content", [DYNAMIC, CHILD, FIXED], ids=["dynamic", "child", "fixed"])
def test_undamaged_disks_have_no_bad_evidence(content):
    assert FORMAT.probe(BytesSource(content))
    driven = run(content)
    assert not driven.bad, summary(driven.bad)
    assert driven.payload_nonzero


def test_every_check_id_is_described():
    seen = {row.check for content in (DYNAMIC, CHILD, FIXED) for row in run(content).evidence}
    assert seen <= set(FORMAT.checks)
    assert all(check.startswith("vhd.") for check in FORMAT.checks)


def test_dynamic_disk_says_who_it_is_and_what_it_holds():
    inspection, _ = one(DYNAMIC)
    assert inspection.kind is Kind.FULL
    assert inspection.identities == (Identity("vhd.uuid", "10111213-1415-1617-1819-1a1b1c1d1e1f"),)
    assert inspection.parents == ()
    assert inspection.source_bytes == DISK
    assert inspection.payload_bytes == 2 * BLOCK + 8 * KIB
    assert inspection.created_at == datetime(2020, 3, 24, 16, 36, 31, tzinfo=UTC)
    assert inspection.facts["disk_type"] == "dynamic"
    assert inspection.facts["blocks_allocated"] == 3
    assert inspection.facts["saved_state"] is False


def test_needed_bytes_end_with_the_disk_and_not_with_the_last_block():
    inspection, _ = one(DYNAMIC)
    assert inspection.needed_bytes == FIRST_BLOCK + 2 * STORED + 512 + 8 * KIB


def test_child_names_its_parent_by_id_and_by_every_path():
    inspection, _ = one(CHILD)
    assert inspection.kind is Kind.INCREMENTAL
    (parent,) = inspection.parents
    assert parent.identities == (Identity("vhd.uuid", "40414243-4445-4647-4849-4a4b4c4d4e4f"),)
    assert parent.names == (".\\base.vhd", "C:\\vm\\base.vhd", "base.vhd")
    assert not parent.weak


def test_child_without_a_parent_id_is_doubtful():
    header = build.header(1536, 6, BLOCK, parent_name="base.vhd")
    inspection, bad = one(build.with_header(CHILD, header))
    assert bearings(bad) == {("vhd.header.parent_unique_id", 512 + 40): Bearing.DOUBTFUL}
    assert inspection.parents[0].weak


def test_saved_state_and_unknown_time_are_facts():
    changed = build.footer(len(FIXED) - 512, 2, saved=1, time_stamp=0)
    inspection, bad = one(FIXED[:-512] + changed)
    assert not bad
    assert inspection.facts["saved_state"] is True
    assert inspection.created_at is None


def test_payload_extents_are_the_data_without_bitmaps():
    _, batch = run(DYNAMIC).batches
    data = [FIRST_BLOCK + 512, FIRST_BLOCK + STORED + 512, FIRST_BLOCK + 2 * STORED + 512]
    assert batch.offset.tolist() == data
    assert batch.stored_length.tolist() == [BLOCK, BLOCK, 8 * KIB]


def test_block_of_which_no_sector_counts_is_doubtful():
    content = damage.zero(DYNAMIC, FIRST_BLOCK + STORED, 512)
    assert bearings(one(content)[1]) == {
        ("vhd.block.bitmap", FIRST_BLOCK + STORED): Bearing.DOUBTFUL
    }


def test_entry_that_points_beside_its_block_is_doubtful():
    blocks = {index: bytes([index + 1]) * BLOCK for index in range(3)}
    content = build.growing(DISK, blocks, alignment=4096)
    sector = int.from_bytes(content[entry_at(1) : entry_at(1) + 4], "big")
    moved = build.with_entry(content, 1, sector - 1)
    assert bearings(one(moved)[1]) == {("vhd.block.bitmap", 512 * (sector - 1)): Bearing.DOUBTFUL}


def test_disk_without_blocks_stores_nothing():
    inspection, bad = one(build.growing(DISK, {}))
    assert not bad
    assert inspection.payload_bytes == 0
    assert not run(build.growing(DISK, {})).batches


def test_disk_of_zeros_is_seen_as_zeros():
    assert not run(build.growing(DISK, {0: bytes(BLOCK)})).payload_nonzero
    assert not run(build.fixed(bytes(BLOCK))).payload_nonzero


# Footers


@pytest.mark.parametrize("at", [0, 7, 30, 64, 84, 511])
def test_flip_in_one_of_two_footers_leaves_a_copy(at):
    end = len(DYNAMIC) - 512
    for start in (0, end):
        _, bad = one(damage.flip(DYNAMIC, start + at))
        assert bearings(bad) == {("vhd.footer.checksum", start): Bearing.REDUNDANT}


@pytest.mark.parametrize("at", [0, 7, 30, 511])
def test_flip_in_the_only_footer_is_needed_and_the_file_still_known(at):
    end = len(FIXED) - 512
    content = damage.flip(FIXED, end + at)
    assert FORMAT.probe(BytesSource(content))
    assert bearings(one(content)[1]) == {("vhd.footer.checksum", end): Bearing.NEEDED}


def test_footer_without_a_trace_of_its_cookie_is_known_by_its_checksum():
    end = len(FIXED) - 512
    assert FORMAT.probe(BytesSource(damage.zero(FIXED, end, 8)))
    assert not FORMAT.probe(BytesSource(damage.flip(damage.zero(FIXED, end, 8), end + 50)))


def test_flip_in_both_footers_is_needed():
    end = len(DYNAMIC) - 512
    _, bad = one(damage.flip(damage.flip(DYNAMIC, 30), end + 31))
    assert bearings(bad) == {
        ("vhd.footer.checksum", 0): Bearing.NEEDED,
        ("vhd.footer.checksum", end): Bearing.NEEDED,
    }


def test_good_footer_is_the_one_believed():
    for at in (53, len(DYNAMIC) - 512 + 53):
        inspection, _ = one(damage.flip(DYNAMIC, at, 4))
        assert inspection.source_bytes == DISK


def test_missing_footer_at_the_end_is_redundant_when_all_blocks_are_there():
    size = len(DYNAMIC) - 512
    inspection, bad = one(damage.cut(DYNAMIC, size))
    assert bearings(bad) == {("vhd.footer.present", size): Bearing.REDUNDANT}
    assert bad[0].outcome is Outcome.TRUNCATED
    assert inspection.source_bytes == DISK


def test_bytes_behind_the_footer_hide_it():
    content = DYNAMIC + bytes(4096)
    _, bad = one(content)
    assert bearings(bad) == {("vhd.footer.present", len(content) - 512): Bearing.REDUNDANT}
    assert bad[0].outcome is Outcome.MISMATCHED


def test_missing_copy_at_the_start_is_redundant():
    _, bad = one(damage.zero(DYNAMIC, 0, 512))
    assert bearings(bad) == {("vhd.footer.present", 0): Bearing.REDUNDANT}


def test_stale_copy_of_the_footer_is_found():
    older = build.footer(DISK, 3, header_at=512, time_stamp=5)
    assert bearings(one(older + DYNAMIC[512:])[1]) == {("vhd.footer.copies", 0): Bearing.REDUNDANT}
    smaller = build.footer(DISK - 512, 3, header_at=512)
    assert bearings(one(smaller + DYNAMIC[512:])[1]) == {("vhd.footer.copies", 0): Bearing.DOUBTFUL}


def test_footer_of_511_bytes_by_virtual_pc_is_read():
    content = b"\x01" * BLOCK + build.footer(BLOCK, 2, creator=b"vpc ")[:511]
    assert FORMAT.probe(BytesSource(content))
    inspection, bad = one(content)
    assert not bad
    assert inspection.needed_bytes == BLOCK + 511
    grown = build.with_footers(DYNAMIC, build.footer(DISK, 3, header_at=512, creator=b"vpc "))[:-1]
    assert not one(grown)[1]
    _, bad = one(damage.flip(grown, len(grown) - 400))
    assert coordinates(bad) == {("vhd.footer.checksum", len(grown) - 511)}


@pytest.mark.parametrize("content", [DYNAMIC, FIXED], ids=["dynamic", "fixed"])
def test_footer_of_511_bytes_by_others_lost_one(content):
    size = len(content) - 1
    _, bad = one(damage.cut(content, size))
    assert [(row.check, row.offset, row.outcome, row.bearing) for row in bad] == [
        ("vhd.footer.present", size, Outcome.TRUNCATED, Bearing.REDUNDANT)
    ]


def test_unknown_versions_and_types_are_not_supported():
    end = len(FIXED) - 512
    newer = FIXED[:end] + build.footer(end, 2, version=0x20000)
    _, bad = one(newer)
    assert [(row.check, row.offset, row.outcome) for row in bad] == [
        ("vhd.footer.version", end + 12, Outcome.UNSUPPORTED)
    ]
    old = FIXED[:end] + build.footer(end, 5)
    _, bad = one(old)
    assert [(row.check, row.offset, row.outcome) for row in bad] == [
        ("vhd.footer.disk_type", end + 60, Outcome.UNSUPPORTED)
    ]


def test_fixed_disk_that_begins_like_a_footer_is_still_fixed():
    inner = build.footer(BLOCK, 3, header_at=512)
    content = build.fixed(inner + b"\x01" * (BLOCK - 512))
    inspection, bad = one(content)
    assert not bad
    assert inspection.facts["disk_type"] == "fixed"


def test_disk_cut_behind_its_first_sector_has_no_header():
    inspection, bad = one(damage.cut(DYNAMIC, 512))
    assert ("vhd.header.present", 512) in coordinates(bad)
    assert ("vhd.footer.present", 0) in coordinates(bad)
    assert inspection.needed_bytes is None


# Fixed disks


def test_fixed_disk_shorter_than_it_says_lost_sectors():
    content = FIXED[1024:]
    _, bad = one(content)
    assert coordinates(bad) == {("vhd.file.needed", len(content))}
    assert (bad[0].outcome, bad[0].bearing, bad[0].length) == (
        Outcome.TRUNCATED,
        Bearing.NEEDED,
        1024,
    )


def test_fixed_disk_longer_than_it_says_is_doubtful():
    _, bad = one(build.fixed(b"\x01" * BLOCK, filling=bytes(512)))
    assert bearings(bad) == {("vhd.file.size", BLOCK): Bearing.DOUBTFUL}


# Header


@pytest.mark.parametrize("at", [8, 20, 30, 38, 45, 100, 600, 1023])
def test_any_flip_in_the_header_is_found(at):
    _, bad = one(damage.flip(CHILD, 512 + at))
    assert ("vhd.header.checksum", 512) in coordinates(bad)
    assert bearings(bad)["vhd.header.checksum", 512] is Bearing.NEEDED


def test_header_without_its_cookie_ends_the_search():
    inspection, bad = one(damage.flip(DYNAMIC, 515))
    assert bearings(bad) == {("vhd.header.cookie", 512): Bearing.NEEDED}
    assert inspection.needed_bytes is None


def test_header_of_another_version_is_not_supported():
    _, bad = one(build.with_header(DYNAMIC, build.header(1536, 6, BLOCK, version=0x20000)))
    assert [(row.check, row.offset, row.outcome) for row in bad] == [
        ("vhd.header.version", 512 + 24, Outcome.UNSUPPORTED)
    ]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (build.header(1536, 6, BLOCK + 512), ("vhd.header.block_size", 512 + 32)),
        (build.header(1536, 6, 0), ("vhd.header.block_size", 512 + 32)),
        (build.header(1536, 5, BLOCK), ("vhd.header.capacity", 512 + 28)),
        (build.header(1537, 6, BLOCK), ("vhd.header.table_offset", 512 + 16)),
        (build.header(1024, 6, BLOCK), ("vhd.header.table_offset", 512 + 16)),
        (build.header(0, 6, BLOCK), ("vhd.header.table_offset", 512 + 16)),
    ],
)
def test_header_that_cannot_be_true_is_found_though_its_checksum_is_right(header, expected):
    _, bad = one(build.with_header(DYNAMIC, header))
    assert coordinates(bad) == {expected}


def test_footer_that_points_nowhere_is_found():
    for at in (0, 513):
        footer = build.footer(DISK, 3, header_at=at)
        assert coordinates(one(build.with_footers(DYNAMIC, footer))[1]) == {
            ("vhd.footer.data_offset", 0)
        }
    footer = build.footer(DISK, 3, header_at=1 << 40)
    assert coordinates(one(build.with_footers(DYNAMIC, footer))[1]) == {
        ("vhd.header.present", 1 << 40)
    }


def test_locator_outside_the_file_is_only_a_hint_lost():
    header = build.header(
        1536, 6, BLOCK, parent=build.PARENT_UID, locators=((b"W2ku", 100, 1 << 40),)
    )
    inspection, bad = one(build.with_header(CHILD, header))
    assert bearings(bad) == {("vhd.locator.range", 512 + 576): Bearing.REDUNDANT}
    assert inspection.parents[0].names == ()


# Table


def entry_at(index: int) -> int:
    return 1536 + 4 * index


def test_entry_lost_leaves_a_block_without_one():
    content = build.with_entry(DYNAMIC, 0, 0xFFFFFFFF)
    _, bad = one(content)
    place = FIRST_BLOCK + STORED
    assert bearings(bad) == {("vhd.bat.lost_block", place): Bearing.DOUBTFUL}
    assert bad[0].length == STORED


def test_last_block_lost_is_found_before_the_footer():
    content = build.with_entry(DYNAMIC, 5, 0xFFFFFFFF)
    assert coordinates(one(content)[1]) == {("vhd.bat.lost_block", FIRST_BLOCK + 2 * STORED)}


def test_lost_block_is_found_behind_alignment_too():
    blocks = {index: bytes([index + 1]) * BLOCK for index in range(3)}
    content = build.growing(DISK, blocks, alignment=4096)
    assert not one(content)[1]
    _, bad = one(build.with_entry(content, 1, 0xFFFFFFFF))
    assert [row.check for row in bad] == ["vhd.bat.lost_block"]


def test_room_that_was_never_written_is_no_lost_block():
    assert not one(build.growing(DISK, {0: b"\x01" * BLOCK}, gap=4 * STORED))[1]


def test_more_holes_than_are_looked_into_are_said():
    blocks = {index: bytes([index + 1]) * 4096 for index in range(140)}
    content = build.growing(140 * 4096, blocks, block_bytes=4096)
    assert not one(content)[1]
    for index in range(0, 140, 2):
        content = build.with_entry(content, index, 0xFFFFFFFF)
    _, bad = one(content)
    assert {row.check for row in bad} == {"vhd.bat.lost_block"}
    assert bad[-1].outcome is Outcome.UNSUPPORTED
    assert bad[-1].bearing is Bearing.DOUBTFUL
    assert len(bad) == 64 + 1


def test_two_entries_for_one_block_are_found_at_the_second():
    content = build.with_entry(DYNAMIC, 3, FIRST_BLOCK // 512)
    assert coordinates(one(content)[1]) == {("vhd.bat.overlap", entry_at(3))}


def test_blocks_that_share_a_sector_are_found():
    for shift in (512, STORED - 512):
        content = build.with_entry(DYNAMIC, 3, (FIRST_BLOCK + shift) // 512)
        assert ("vhd.bat.overlap", entry_at(3)) in coordinates(one(content)[1])


def test_blocks_that_share_only_one_sector_are_found():
    gap = build.growing(DISK, {0: b"\x01" * BLOCK, 1: b"\x02" * BLOCK}, gap=STORED)
    touching = build.with_entry(gap, 1, (FIRST_BLOCK + STORED) // 512)
    assert "vhd.bat.overlap" not in {row.check for row in one(touching)[1]}
    shared = build.with_entry(gap, 1, (FIRST_BLOCK + STORED) // 512 - 1)
    assert ("vhd.bat.overlap", entry_at(1)) in coordinates(one(shared)[1])


@pytest.mark.parametrize("sector", [0, 1, 3])
def test_block_over_footer_header_or_table_is_found(sector):
    content = build.with_entry(DYNAMIC, 4, sector)
    assert ("vhd.bat.range", entry_at(4)) in coordinates(one(content)[1])


def test_block_over_the_footer_at_the_end_is_found():
    sector = (FIRST_BLOCK + 2 * STORED + 1024) // 512
    assert ("vhd.bat.range", entry_at(4)) in coordinates(
        one(build.with_entry(DYNAMIC, 4, sector))[1]
    )


def test_entry_far_behind_the_end_needs_a_longer_file():
    content = build.with_entry(DYNAMIC, 4, 0x40000000)
    inspection, bad = one(content)
    assert inspection.needed_bytes == 0x40000000 * 512 + 512 + BLOCK
    assert ("vhd.file.needed", len(content)) in coordinates(bad)


# Truncation


def test_cut_inside_a_block_is_truncation():
    size = FIRST_BLOCK + STORED + 4096
    _, bad = one(damage.cut(DYNAMIC, size))
    needed = [row for row in bad if row.check == "vhd.file.needed"]
    assert [(row.offset, row.outcome, row.bearing, row.count) for row in needed] == [
        (size, Outcome.TRUNCATED, Bearing.NEEDED, 2)
    ]


def test_cut_behind_the_disks_end_costs_no_data():
    inspection, _ = one(DYNAMIC)
    needed = inspection.needed_bytes
    _, bad = one(damage.cut(DYNAMIC, needed))
    assert bearings(bad) == {
        ("vhd.file.allocated", needed): Bearing.REDUNDANT,
        ("vhd.footer.present", needed): Bearing.REDUNDANT,
    }
    _, bad = one(damage.cut(DYNAMIC, needed - 1))
    assert bearings(bad)["vhd.file.needed", needed - 1] is Bearing.NEEDED


def test_cut_inside_the_table_is_truncation():
    _, bad = one(damage.cut(DYNAMIC, 1536 + 7))
    assert ("vhd.file.needed", 1543) in coordinates(bad)


def test_file_that_lost_its_middle_is_found():
    content = DYNAMIC[: FIRST_BLOCK + STORED] + DYNAMIC[FIRST_BLOCK + 2 * STORED :]
    assert ("vhd.bat.range", entry_at(5)) in coordinates(one(content)[1])


# Limits


def test_largest_counts_allocate_nothing_large():
    huge = (1 << 64) - 512
    header = build.header(1536, 0xFFFFFFFF, 512)
    content = build.with_header(
        build.with_footers(DYNAMIC, build.footer(huge, 3, header_at=512)), header
    )
    assert coordinates(one(content)[1]) == {("vhd.header.capacity", 512 + 28)}
    most = 0xFFFFFFFF * 512
    content = build.with_footers(content, build.footer(most, 3, header_at=512))
    _, bad = one(content)
    assert ("vhd.bat.limit", 1536) in coordinates(bad)
    assert ("vhd.file.needed", len(content)) in coordinates(bad)


def test_disk_of_no_size_is_refused():
    content = build.with_footers(DYNAMIC, build.footer(0, 3, header_at=512))
    assert coordinates(one(content)[1]) == {("vhd.header.capacity", 512 + 28)}


def test_bad_entries_are_listed_up_to_a_limit_and_then_counted():
    count = 400
    content = build.growing(count * 4096, {}, block_bytes=4096, entry_count=count)
    for index in range(count):
        content = build.with_entry(content, index, 1)
    _, bad = one(content)
    rows = [row for row in bad if row.check == "vhd.bat.range"]
    assert len(rows) == 101
    assert sum(row.count for row in rows) == count
    assert [row.offset for row in rows[:2]] == [1536, 1540]


def test_file_without_any_footer_is_refused():
    content = bytes(4096)
    assert not FORMAT.probe(BytesSource(content))
    assert not FORMAT.probe(BytesSource(b""))
    assert coordinates(run(content).bad) == {("vhd.footer.present", 4096 - 512)}


def test_vouched_bytes_are_the_checksummed_ones():
    assert sum(row.vouched_bytes for row in run(DYNAMIC).evidence) == 512 + 512 + 1024
    assert sum(row.vouched_bytes for row in run(FIXED).evidence) == 512


def test_state_is_small_and_plain():
    (inspection,) = FORMAT.inspect(BytesSource(DYNAMIC), NoNeighbours())
    assert len(repr(inspection.state)) < 200
