"""What damage to each structure of a VHDX shows, beside its undamaged twin; the log has its own."""

import struct
import uuid

import pytest

from formats.core.model import Bearing, Identity, Kind, Outcome
from formats.core.source import BytesSource, NoNeighbours
from formats.vhdx import FORMAT
from tests import damage
from tests.builders import vhdx as build
from tests.builders.vhdx import BAT_AT, DATA_AT, METADATA_AT, MIB
from tests.drive import Driven, coordinates, drive, summary
from tests.sources import Extended

DYNAMIC = build.dynamic()
CHILD = build.differencing()
RATIO = 4096 // 2  # of the child's 2 MiB blocks

TABLES = (0x30000, 0x40000)
ITEM_AT = METADATA_AT + 65536  # the first item: file parameters
STRANGER = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")


def run(content: bytes) -> Driven:
    return drive(FORMAT, BytesSource(content))


def one(content: bytes) -> tuple:
    driven = run(content)
    assert len(driven.inspections) == 1
    return driven.inspections[0], driven.bad


def bearings(bad: list) -> dict:
    return {(row.check, row.offset): row.bearing for row in bad}


def put(content: bytes, offset: int, piece: bytes) -> bytes:
    changed = content[:offset] + piece + content[offset + len(piece) :]
    assert changed != content
    return changed


def with_entry(content: bytes, index: int, stored: bytes) -> bytes:
    return put(content, BAT_AT + 8 * index, stored)


def with_tables(content: bytes, table: bytes) -> bytes:
    for at in TABLES:
        content = content[:at] + table + content[at + len(table) :]
    return content


@pytest.mark.parametrize("content", [DYNAMIC, CHILD], ids=["dynamic", "child"])
def test_undamaged_disks_have_no_bad_evidence(content):
    assert FORMAT.probe(BytesSource(content))
    driven = run(content)
    assert not driven.bad, summary(driven.bad)
    assert driven.payload_nonzero
    assert {row.check for row in driven.evidence} <= set(FORMAT.checks)


def test_dynamic_disk_says_who_it_is_and_what_it_holds():
    inspection, _ = one(DYNAMIC)
    assert inspection.kind is Kind.FULL
    assert inspection.identities == (Identity("vhdx.data_write_guid", str(build.DATA_GUID)),)
    assert inspection.parents == ()
    assert inspection.source_bytes == 8 * MIB
    assert inspection.payload_bytes == 3 * MIB
    assert inspection.needed_bytes == 7 * MIB == len(DYNAMIC)
    facts = inspection.facts
    assert facts["virtual_disk_id"] == str(build.DISK_ID)
    assert (facts["creator"], facts["disk_type"]) == ("independent hand", "dynamic")
    assert (facts["header_offset"], facts["sequence_number"]) == (0x20000, 7)
    assert facts["blocks_present"] == 3


def test_child_names_its_parent_by_data_write_guid_and_paths():
    inspection, _ = one(CHILD)
    assert inspection.kind is Kind.INCREMENTAL
    (parent,) = inspection.parents
    # The second linkage is zeros, as Hyper-V writes it, and names nothing.
    assert parent.identities == (Identity("vhdx.data_write_guid", str(build.PARENT_GUID)),)
    assert parent.names == (r".\base.vhdx", r"C:\vm\base.vhdx")
    assert inspection.payload_bytes == 4 * MIB
    assert inspection.facts["blocks_partially_present"] == 1
    assert inspection.facts["sector_bitmap_blocks"] == 1


def test_both_linkages_count():
    pairs = (("parent_linkage2", f"{{{STRANGER}}}"), *build.PARENT[:1], *build.PARENT[2:])
    content = build.disk({}, block_bytes=2 * MIB, parent=pairs)
    (parent,) = one(content)[0].parents
    wanted = [str(build.PARENT_GUID), str(STRANGER)]
    assert [item.value for item in parent.identities] == wanted


def test_payload_extents_are_joined_and_sorted():
    (batch,) = run(DYNAMIC).batches
    assert batch.offset.tolist() == [4 * MIB]
    assert batch.stored_length.tolist() == [3 * MIB]
    (batch,) = run(CHILD).batches
    assert (batch.offset.tolist(), batch.stored_length.tolist()) == ([4 * MIB], [4 * MIB])


def test_disk_without_blocks_stores_nothing():
    content = build.disk({0: build.entry(2), 1: build.entry(3), 2: build.entry(1)}, size=5 * MIB)
    inspection, bad = one(content)
    assert not bad
    assert inspection.payload_bytes == 0
    assert not run(content).batches


def test_disk_of_zeros_is_seen_as_zeros():
    content = build.disk({0: build.entry(6, 4)}, size=5 * MIB)
    assert not run(content).payload_nonzero


def test_fixed_disk_is_told_from_a_dynamic_one():
    content = build.disk({0: build.entry(6, 4)}, flags=1, blocks={4: b"\x01" * MIB})
    assert one(content)[0].facts["disk_type"] == "fixed"


# File identifier and headers


def test_damaged_identifier_is_found_and_the_file_still_known():
    content = damage.flip(DYNAMIC, 3)
    assert FORMAT.probe(BytesSource(content))
    assert bearings(one(content)[1]) == {("vhdx.file_identifier.signature", 0): Bearing.NEEDED}


@pytest.mark.parametrize("offset", [0x10000, 0x20000])
@pytest.mark.parametrize("at", [4, 8, 20, 40, 60, 66, 72, 80, 4095])
def test_any_flip_in_one_header_leaves_the_other(offset, at):
    inspection, bad = one(damage.flip(DYNAMIC, offset + at))
    assert bearings(bad) == {("vhdx.header.crc32c", offset): Bearing.REDUNDANT}
    assert inspection.facts["header_offset"] == 0x30000 - offset


def test_header_without_its_signature_is_no_header():
    _, bad = one(damage.zero(DYNAMIC, 0x10000, 4096))
    assert bearings(bad) == {("vhdx.header.signature", 0x10000): Bearing.REDUNDANT}


def test_both_headers_damaged_leave_none():
    content = damage.flip(damage.flip(DYNAMIC, 0x10010), 0x20010)
    inspection, bad = one(content)
    assert bearings(bad) == {
        ("vhdx.header.crc32c", 0x10000): Bearing.NEEDED,
        ("vhdx.header.crc32c", 0x20000): Bearing.NEEDED,
    }
    assert inspection.identities == ()
    assert inspection.source_bytes == 8 * MIB  # the rest is still read


def test_header_with_the_higher_sequence_number_counts():
    newer = build.header(9, data_guid=STRANGER)
    content = put(DYNAMIC, 0x10000, newer)
    inspection, bad = one(content)
    assert not bad
    assert inspection.facts["header_offset"] == 0x10000
    assert inspection.identities[0].value == str(STRANGER)


def test_equal_sequence_numbers_matter_only_in_headers_that_differ():
    twin = put(DYNAMIC, 0x10000, build.header(7))
    assert not one(twin)[1]
    other = put(DYNAMIC, 0x10000, build.header(7, data_guid=STRANGER))
    assert bearings(one(other)[1]) == {("vhdx.header.sequence", 0x10000): Bearing.DOUBTFUL}


def test_file_of_another_version_is_not_supported():
    content = put(DYNAMIC, 0x20000, build.header(8, version=2))
    _, bad = one(content)
    assert [(row.check, row.offset, row.outcome) for row in bad] == [
        ("vhdx.header.version", 0x20042, Outcome.UNSUPPORTED)
    ]


def test_empty_log_in_an_odd_place_is_redundant():
    content = put(DYNAMIC, 0x20000, build.header(8, log_at=MIB + 4096))
    assert bearings(one(content)[1]) == {("vhdx.log.range", 0x20044): Bearing.REDUNDANT}


# Region tables


@pytest.mark.parametrize("offset", TABLES)
@pytest.mark.parametrize("at", [4, 8, 20, 32, 65535])
def test_any_flip_in_one_region_table_leaves_the_other(offset, at):
    _, bad = one(damage.flip(DYNAMIC, offset + at))
    assert bearings(bad) == {("vhdx.region_table.crc32c", offset): Bearing.REDUNDANT}


def test_both_region_tables_damaged_leave_none():
    content = damage.flip(damage.flip(DYNAMIC, TABLES[0]), TABLES[1] + 9)
    inspection, bad = one(content)
    assert bearings(bad) == {
        ("vhdx.region_table.signature", TABLES[0]): Bearing.NEEDED,
        ("vhdx.region_table.crc32c", TABLES[1]): Bearing.NEEDED,
    }
    assert inspection.needed_bytes is None


def test_region_tables_that_differ_are_doubtful():
    other = build.region_table([*build.REGIONS, (STRANGER, 5 * MIB, MIB, 0)])
    _, bad = one(put(DYNAMIC, TABLES[1], other))
    assert bearings(bad) == {("vhdx.region_table.copies", TABLES[1]): Bearing.DOUBTFUL}


@pytest.mark.parametrize(
    ("entry", "check"),
    [
        ((STRANGER, 0, MIB, 0), "vhdx.region.range"),
        ((STRANGER, 9 * MIB + 512, MIB, 0), "vhdx.region.range"),
        ((STRANGER, 9 * MIB, 4096, 0), "vhdx.region.range"),
        ((STRANGER, 9 * MIB, 0, 0), "vhdx.region.range"),
        ((build.BAT, 9 * MIB, MIB, 1), "vhdx.region.unique"),
        ((STRANGER, 9 * MIB, MIB, 1), "vhdx.region.required"),
        ((STRANGER, 3 * MIB, MIB, 0), "vhdx.region.overlap"),
        ((STRANGER, MIB, MIB, 0), "vhdx.region.overlap"),
    ],
)
def test_region_that_cannot_be_is_found_at_its_entry(entry, check):
    content = with_tables(DYNAMIC, build.region_table([*build.REGIONS, entry])) + bytes(4 * MIB)
    found = coordinates(one(content)[1])
    at = {"vhdx.region.overlap": {0x20000, TABLES[0] + 16, TABLES[0] + 80}}
    assert {place for row, place in found if row == check} & at.get(check, {TABLES[0] + 80})


def test_required_region_nobody_knows_is_unsupported():
    table = build.region_table([*build.REGIONS, (STRANGER, 4 * MIB, MIB, 1)])
    _, bad = one(with_tables(build.disk({}, size=5 * MIB), table))
    assert [(row.check, row.outcome) for row in bad] == [
        ("vhdx.region.required", Outcome.UNSUPPORTED)
    ]


def test_region_nobody_knows_may_be_there_if_it_is_not_required():
    table = build.region_table([*build.REGIONS, (STRANGER, 4 * MIB, MIB, 0)])
    assert not one(with_tables(build.disk({}, size=5 * MIB), table))[1]


def test_required_flag_of_known_regions_may_be_missing():
    table = build.region_table([(guid, at, length, 0) for guid, at, length, _ in build.REGIONS])
    assert not one(with_tables(DYNAMIC, table))[1]


@pytest.mark.parametrize("missing", [0, 1])
def test_missing_region_is_needed(missing):
    table = build.region_table([build.REGIONS[1 - missing]])
    _, bad = one(with_tables(DYNAMIC, table))
    assert bearings(bad) == {("vhdx.region.present", TABLES[0]): Bearing.NEEDED}


def test_too_many_regions_are_not_believed():
    table = build.crc(
        build.region_table(build.REGIONS)[:8] + struct.pack("<I", 2048) + bytes(65524)
    )
    assert ("vhdx.region_table.entry_count", TABLES[0] + 8) in coordinates(
        one(with_tables(DYNAMIC, table))[1]
    )


def test_table_too_small_for_the_disk_is_found():
    content = build.disk({}, disk_bytes=1 << 40, size=5 * MIB)
    assert bearings(one(content)[1]) == {
        ("vhdx.bat.capacity", TABLES[0] + 16): Bearing.NEEDED,
    }


# Metadata


def with_metadata(region: bytes) -> bytes:
    return put(DYNAMIC, METADATA_AT, region.ljust(MIB, b"\0"))


def described(**changes: object) -> list:
    settings = {"disk_bytes": 8 * MIB, "block_bytes": MIB, **changes}
    return build.items(**settings)


def test_metadata_without_its_signature_is_lost():
    inspection, bad = one(damage.flip(DYNAMIC, METADATA_AT + 7))
    assert bearings(bad) == {("vhdx.metadata.signature", METADATA_AT): Bearing.NEEDED}
    assert (inspection.kind, inspection.source_bytes, inspection.needed_bytes) == (None, None, None)


def test_reserved_bytes_of_the_metadata_table_are_doubtful():
    for at in (8, 12, 31):
        _, bad = one(damage.flip(DYNAMIC, METADATA_AT + at))
        assert bearings(bad) == {("vhdx.metadata.reserved", METADATA_AT + 8): Bearing.DOUBTFUL}


def test_too_many_items_are_not_believed():
    content = put(DYNAMIC, METADATA_AT + 10, b"\xff\xff")
    assert coordinates(one(content)[1]) == {("vhdx.metadata.entry_count", METADATA_AT + 10)}


ENTRY = METADATA_AT + 32
ABSENT = ("vhdx.metadata.item_present", METADATA_AT)


@pytest.mark.parametrize(
    ("item", "bearing"),
    [(0, Bearing.NEEDED), (1, Bearing.NEEDED), (2, Bearing.DOUBTFUL), (3, Bearing.NEEDED)],
)
def test_missing_item_matters_as_much_as_what_it_says(item, bearing):
    entries = described()
    del entries[item]
    assert bearings(one(with_metadata(build.metadata(entries)))[1]) == {ABSENT: bearing}


def test_item_outside_its_region_is_found():
    for offset, length in ((65535, 8), (MIB - 4, 8), (65536, MIB + 1), (65536, 0), (0, 8)):
        content = put(DYNAMIC, ENTRY + 16, struct.pack("<II", offset, length))
        assert ("vhdx.metadata.item_range", ENTRY) in coordinates(one(content)[1])


def test_empty_item_is_allowed():
    assert not one(with_metadata(empty_item()))[1]


def empty_item() -> bytes:
    region = build.metadata([*described(), (STRANGER, b"", 0)])
    at = 32 + 5 * 32 + 16
    return region[:at] + bytes(8) + region[at + 8 :]


def test_items_that_overlap_are_found():
    # The id of the disk is moved over its size.
    content = put(DYNAMIC, ENTRY + 2 * 32 + 16, struct.pack("<I", 65544))
    assert ("vhdx.metadata.item_overlap", ENTRY + 2 * 32) in coordinates(one(content)[1])


def test_item_named_twice_is_doubtful():
    entries = [*described(), (build.ITEMS["size"], bytes(8), 6)]
    assert bearings(one(with_metadata(build.metadata(entries)))[1]) == {
        ("vhdx.metadata.item_unique", ENTRY + 5 * 32): Bearing.DOUBTFUL
    }


def test_same_id_for_a_user_item_is_another_item():
    entries = [*described(), (build.ITEMS["size"], bytes(8), 1)]
    assert not one(with_metadata(build.metadata(entries)))[1]


def test_required_item_nobody_knows_is_unsupported():
    entries = [*described(), (STRANGER, bytes(8), 4)]
    _, bad = one(with_metadata(build.metadata(entries)))
    assert [(row.check, row.offset, row.outcome) for row in bad] == [
        ("vhdx.metadata.required", ENTRY + 5 * 32, Outcome.UNSUPPORTED)
    ]
    assert not one(with_metadata(build.metadata([*described(), (STRANGER, bytes(8), 0)])))[1]


def test_reserved_bits_of_items_are_doubtful():
    content = put(DYNAMIC, ENTRY + 24, struct.pack("<I", 0x104))
    assert bearings(one(content)[1]) == {("vhdx.metadata.flags", ENTRY + 24): Bearing.DOUBTFUL}
    content = put(DYNAMIC, ENTRY + 28, b"\x01")
    assert bearings(one(content)[1]) == {("vhdx.metadata.flags", ENTRY + 24): Bearing.DOUBTFUL}


def test_wrong_flags_of_a_known_item_are_redundant():
    content = put(DYNAMIC, ENTRY + 32 + 24, struct.pack("<I", 4))
    assert bearings(one(content)[1]) == {
        ("vhdx.metadata.known_flags", ENTRY + 32 + 24): Bearing.REDUNDANT
    }


def test_too_many_user_items_are_doubtful():
    entries = [*described(), *((uuid.UUID(int=n + 1), b"", 1) for n in range(1025))]
    region = bytearray(build.metadata(entries))
    for index in range(5, len(entries)):
        region[32 + 32 * index + 16 : 32 + 32 * index + 24] = bytes(8)
    assert bearings(one(with_metadata(bytes(region)))[1]) == {
        ("vhdx.metadata.user_entries", METADATA_AT): Bearing.DOUBTFUL
    }


def test_known_item_of_odd_length_is_found():
    content = put(DYNAMIC, ENTRY + 20, struct.pack("<I", 4))
    found = coordinates(one(content)[1])
    assert found == {("vhdx.metadata.item_length", ENTRY + 20), ABSENT}


@pytest.mark.parametrize(
    ("changes", "check", "item"),
    [
        ({"block_bytes": MIB // 2}, "block_size", 0),
        ({"block_bytes": 3 * MIB}, "block_size", 0),
        ({"block_bytes": 512 * MIB}, "block_size", 0),
        ({"block_bytes": 0}, "block_size", 0),
        ({"flags": 4}, "block_size", 0),
        ({"disk_bytes": 0}, "virtual_disk_size", 8),
        ({"disk_bytes": 8 * MIB + 1}, "virtual_disk_size", 8),
        ({"disk_bytes": (64 << 40) + 512}, "virtual_disk_size", 8),
        ({"sector": 1024}, "logical_sector_size", 32),
    ],
)
def test_disk_that_cannot_be_is_found_at_its_item(changes, check, item):
    inspection, bad = one(with_metadata(build.metadata(described(**changes))))
    assert bearings(bad) == {(f"vhdx.metadata.{check}", ITEM_AT + item): Bearing.NEEDED}
    assert inspection.needed_bytes is None


def test_odd_physical_sector_is_doubtful():
    content = put(DYNAMIC, ITEM_AT + 36, struct.pack("<I", 1000))
    assert bearings(one(content)[1]) == {
        ("vhdx.metadata.physical_sector_size", ITEM_AT + 36): Bearing.DOUBTFUL
    }


# Parent locator

LOCATOR_AT = ITEM_AT + 40


def child_of(pairs: tuple, kind: str | None = None) -> bytes:
    entries = build.items(8 * MIB, 2 * MIB, flags=2, parent=pairs)
    entries[-1] = (build.ITEMS["locator"], build.locator(pairs, kind), 4)
    return put(build.disk({}, size=5 * MIB), METADATA_AT, build.metadata(entries))


def test_child_without_a_locator_has_an_unknown_parent():
    entries = build.items(8 * MIB, MIB, flags=2)
    inspection, bad = one(with_metadata(build.metadata(entries)))
    assert ("vhdx.parent_locator.present", ITEM_AT) in coordinates(bad)
    assert inspection.parents[0].weak


def test_locator_in_a_disk_that_claims_no_parent_is_doubtful():
    content = put(CHILD, ITEM_AT + 4, b"\0")
    _, bad = one(content)
    rows = bearings(bad)
    assert rows["vhdx.parent_locator.present", ITEM_AT] is Bearing.DOUBTFUL
    assert rows["vhdx.bat.state", BAT_AT + 8] is Bearing.NEEDED
    # The bitmap's entry is behind the last one of a disk without a parent.
    assert rows["vhdx.bat.beyond", BAT_AT + 8 * RATIO] is Bearing.DOUBTFUL


def test_locator_of_another_type_is_unsupported():
    _, bad = one(child_of(build.PARENT, kind=str(STRANGER)))
    assert [(row.check, row.offset, row.outcome) for row in bad] == [
        ("vhdx.parent_locator.type", LOCATOR_AT, Outcome.UNSUPPORTED)
    ]


def test_locator_without_a_linkage_names_nobody():
    inspection, bad = one(child_of(build.PARENT[1:]))
    assert bearings(bad) == {("vhdx.parent_locator.linkage", LOCATOR_AT): Bearing.NEEDED}
    assert inspection.parents[0].names == (r".\base.vhdx", r"C:\vm\base.vhdx")
    nonsense = (("parent_linkage", "{not a guid}"), *build.PARENT[2:])
    assert coordinates(one(child_of(nonsense))[1]) == {("vhdx.parent_locator.linkage", LOCATOR_AT)}


def test_key_given_twice_is_found():
    assert coordinates(one(child_of((build.PARENT[0], build.PARENT[0])))[1]) == {
        ("vhdx.parent_locator.unique", LOCATOR_AT + 20 + 12)
    }


@pytest.mark.parametrize(
    ("at", "piece", "place"),
    [(18, b"\xff\xff", 18), (20, b"\xff\xff", 20), (24, bytes(4), 20), (28, bytes(2), 20)],
)
def test_strings_outside_the_locator_are_found(at, piece, place):
    content = put(child_of(build.PARENT), LOCATOR_AT + at, piece)
    assert coordinates(one(content)[1]) == {("vhdx.parent_locator.range", LOCATOR_AT + place)}


def test_locator_shorter_than_its_header_is_found():
    entries = build.items(8 * MIB, 2 * MIB, flags=2, parent=build.PARENT)
    entries[-1] = (build.ITEMS["locator"], b"\x01\x02", 4)
    content = put(build.disk({}, size=5 * MIB), METADATA_AT, build.metadata(entries))
    assert coordinates(one(content)[1]) == {("vhdx.parent_locator.range", LOCATOR_AT)}


# Table of blocks


def test_reserved_state_is_found():
    content = with_entry(DYNAMIC, 4, build.entry(4))
    assert bearings(one(content)[1]) == {("vhdx.bat.state", BAT_AT + 32): Bearing.NEEDED}


def test_unmapped_state_of_the_draft_is_read():
    assert not one(with_entry(DYNAMIC, 4, build.entry(5)))[1]


def test_partial_block_needs_a_parent():
    content = with_entry(DYNAMIC, 0, build.entry(7, 4))
    assert bearings(one(content)[1]) == {("vhdx.bat.state", BAT_AT): Bearing.NEEDED}


def test_partial_block_needs_its_bitmap():
    content = with_entry(CHILD, RATIO, build.entry(0))
    assert bearings(one(content)[1]) == {
        ("vhdx.bat.bitmap_present", BAT_AT + 8 * RATIO): Bearing.NEEDED
    }


def test_bitmap_in_a_reserved_state_is_found():
    content = with_entry(CHILD, RATIO, build.entry(3, 8))
    assert ("vhdx.bat.bitmap_state", BAT_AT + 8 * RATIO) in coordinates(one(content)[1])


def large(table: dict, **settings: object) -> bytes:
    """A disk of three chunks: 2**23 sectors of 512 bytes in blocks of 256 MiB make 16 a chunk."""
    return build.disk(
        table, disk_bytes=40 * 256 * MIB, block_bytes=256 * MIB, size=5 * MIB, **settings
    )


def test_unused_bitmap_entries_of_a_dynamic_disk_are_not_read():
    assert not one(large({16: build.entry(2)}))[1]
    assert bearings(one(large({16: build.entry(6, 4)}))[1]) == {
        ("vhdx.bat.bitmap_state", BAT_AT + 8 * 16): Bearing.REDUNDANT
    }


def test_entries_between_bitmaps_are_payload():
    assert coordinates(one(large({17: build.entry(4)}))[1]) == {("vhdx.bat.state", BAT_AT + 8 * 17)}
    # The last block of 40 has index 39 + 2.
    assert coordinates(one(large({41: build.entry(4)}))[1]) == {("vhdx.bat.state", BAT_AT + 8 * 41)}
    assert not one(large({42: build.entry(4)}))[1]


def test_disk_of_whole_chunks_ends_before_its_last_bitmap():
    content = build.disk(
        {33: build.entry(6, 4)}, disk_bytes=32 * 256 * MIB, block_bytes=256 * MIB, size=5 * MIB
    )
    assert coordinates(one(content)[1]) == {("vhdx.bat.beyond", BAT_AT + 8 * 33)}


def test_bitmap_of_each_chunk_serves_its_own_blocks():
    table = {17: build.entry(7, 5), 16: build.entry(6, 4)}
    found = coordinates(one(large(table, parent=build.PARENT))[1])
    assert ("vhdx.bat.bitmap_present", BAT_AT + 8 * 33) in found
    assert ("vhdx.bat.bitmap_present", BAT_AT + 8 * 16) not in found


def test_sectors_of_4096_bytes_make_larger_chunks():
    settings = {"block_bytes": 256 * MIB, "sector": 4096, "size": 5 * MIB}
    content = build.disk({16: build.entry(4)}, disk_bytes=200 * 256 * MIB, **settings)
    assert coordinates(one(content)[1]) == {("vhdx.bat.state", BAT_AT + 8 * 16)}
    content = build.disk({128: build.entry(2)}, disk_bytes=200 * 256 * MIB, **settings)
    assert not one(content)[1]


def test_reserved_bits_of_an_entry_are_doubtful():
    for bit in (3, 19):
        content = with_entry(DYNAMIC, 1, struct.pack("<Q", 2 | 1 << bit))
        assert bearings(one(content)[1]) == {("vhdx.bat.reserved", BAT_AT + 8): Bearing.DOUBTFUL}


def test_block_of_zeros_with_a_place_is_doubtful():
    # One bit of state 6 makes it 2; Hyper-V does not read such a disk in any case.
    content = with_entry(DYNAMIC, 2, build.entry(2, 6))
    assert bearings(one(content)[1]) == {("vhdx.bat.zero_place", BAT_AT + 16): Bearing.DOUBTFUL}
    for state in (1, 3, 5):  # these may keep the place they had
        assert not one(with_entry(DYNAMIC, 2, build.entry(state, 6)))[1]


def test_two_entries_for_one_block_are_found_at_the_second():
    content = with_entry(DYNAMIC, 4, build.entry(6, 4))
    assert bearings(one(content)[1]) == {("vhdx.bat.overlap", BAT_AT + 32): Bearing.NEEDED}


def test_blocks_that_share_a_mebibyte_are_found():
    content = with_entry(CHILD, 2, build.entry(6, 5))
    assert coordinates(one(content)[1]) == {
        ("vhdx.bat.overlap", BAT_AT + 8),
        ("vhdx.bat.overlap", BAT_AT + 16),
    }


@pytest.mark.parametrize("mebibyte", [0, 1, 2, 3])
def test_block_over_headers_log_or_regions_is_found(mebibyte):
    content = with_entry(DYNAMIC, 4, build.entry(6, mebibyte))
    assert coordinates(one(content)[1]) == {("vhdx.bat.overlap", BAT_AT + 32)}


def test_block_over_a_bitmap_is_found():
    content = with_entry(CHILD, 2, build.entry(6, 8)) + bytes(MIB)
    assert ("vhdx.bat.overlap", BAT_AT + 8 * RATIO) in coordinates(one(content)[1])


def test_block_behind_the_disks_end_is_doubtful():
    content = put(CHILD, ITEM_AT + 8, struct.pack("<Q", 2 * MIB))
    assert bearings(one(content)[1])["vhdx.bat.beyond", BAT_AT + 8] is Bearing.DOUBTFUL


def test_disk_whose_size_shrank_leaves_blocks_behind_its_end():
    # One bit of the size: 8 MiB become 4 MiB, and block 7 is left over.
    content = put(DYNAMIC, ITEM_AT + 8, struct.pack("<Q", 4 * MIB))
    assert bearings(one(content)[1]) == {("vhdx.bat.beyond", BAT_AT + 56): Bearing.DOUBTFUL}


def test_entry_far_behind_the_end_needs_a_longer_file():
    place = (1 << 44) - 1
    content = with_entry(DYNAMIC, 4, build.entry(6, place))
    inspection, bad = one(content)
    assert inspection.needed_bytes == (1 << 44) * MIB
    assert coordinates(bad) == {("vhdx.file.needed", len(content))}


def test_bad_entries_are_listed_up_to_a_limit_and_then_counted():
    table = {index: build.entry(4) for index in range(400)}
    _, bad = one(build.disk(table, disk_bytes=400 * MIB, size=5 * MIB))
    assert len(bad) == 101
    assert sum(row.count for row in bad) == 400
    assert [row.offset for row in bad[:2]] == [BAT_AT, BAT_AT + 8]


def test_file_longer_than_can_be_mapped_is_said():
    source = Extended(BytesSource(DYNAMIC), (1 << 47) + 1)
    bad = [row for row in FORMAT.inspect(source, NoNeighbours())[0].evidence if row.bad]
    assert [(row.check, row.outcome) for row in bad] == [("vhdx.bat.limit", Outcome.UNSUPPORTED)]


def test_table_that_fills_its_region_has_nothing_behind_it():
    whole = MIB // 8
    # 131,072 entries: 131,041 blocks and 31 bitmaps between them, at 4,096 blocks a chunk.
    content = build.disk(
        {whole - 1: build.entry(6, 4)}, disk_bytes=131_041 * MIB, blocks={4: b"\x01" * MIB}
    )
    inspection, bad = one(content)
    assert not bad
    assert inspection.facts["blocks_present"] == 1


# Truncation


def test_cut_inside_a_block_is_truncation():
    size = 5 * MIB + 4096
    _, bad = one(damage.cut(DYNAMIC, size))
    assert [(row.check, row.offset, row.outcome, row.bearing, row.count) for row in bad] == [
        ("vhdx.file.needed", size, Outcome.TRUNCATED, Bearing.NEEDED, 2)
    ]


def test_cut_behind_the_disks_end_costs_no_data():
    # The second block of 4 MiB holds one mebibyte of the disk.
    content = build.disk(
        {0: build.entry(6, 4), 1: build.entry(6, 8)},
        disk_bytes=5 * MIB,
        block_bytes=4 * MIB,
        blocks={4: b"\x01" * 4 * MIB, 8: b"\x02" * MIB + bytes(3 * MIB)},
    )
    inspection, bad = one(content)
    assert not bad
    assert (inspection.needed_bytes, inspection.payload_bytes) == (9 * MIB, 5 * MIB)
    assert bearings(one(damage.cut(content, 9 * MIB))[1]) == {
        ("vhdx.file.allocated", 9 * MIB): Bearing.REDUNDANT
    }
    assert bearings(one(damage.cut(content, 9 * MIB - 1))[1]) == {
        ("vhdx.file.needed", 9 * MIB - 1): Bearing.NEEDED
    }


@pytest.mark.parametrize(
    ("size", "check"),
    [
        (4096, "vhdx.header.signature"),
        (0x20000, "vhdx.region_table.signature"),
        (0x30000, "vhdx.region_table.signature"),
        (2 * MIB, "vhdx.metadata.signature"),
        (3 * MIB, "vhdx.bat.present"),
    ],
)
def test_cut_through_the_structures_is_truncation(size, check):
    _, bad = one(damage.cut(DYNAMIC, size))
    rows = [row for row in bad if row.outcome is Outcome.TRUNCATED]
    assert check in {row.check for row in rows}
    assert ("vhdx.file.needed", size) in coordinates(rows)
    assert Bearing.NEEDED in {row.bearing for row in rows}


def test_right_length_with_zeros_is_not_mistaken_for_a_disk():
    inspection, bad = one(b"vhdxfile" + bytes(len(DYNAMIC) - 8))
    assert len(bad) == 4
    assert all(row.bearing is Bearing.NEEDED for row in bad)
    assert inspection.payload_bytes is None


def test_nothing_is_taken_for_a_vhdx():
    assert not FORMAT.probe(BytesSource(b""))
    assert not FORMAT.probe(BytesSource(bytes(MIB)))


def test_vouched_bytes_are_the_checksummed_and_the_fixed_ones():
    vouched = sum(row.vouched_bytes for row in run(DYNAMIC).evidence)
    assert vouched == 8 + 2 * 4096 + 2 * 65536 + 8 + 22


def test_first_mebibyte_of_data_follows_the_structures():
    assert DATA_AT == BAT_AT + MIB  # what the layouts above rely on
