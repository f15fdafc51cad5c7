"""Damage to SQL Server backups: each kind is named by its check and its place, in built files."""

import io
import struct
from dataclasses import replace

import pytest

from formats.core.model import Bearing, Evidence, Outcome
from formats.core.source import BytesSource
from formats.sqlserver_bak import FORMAT
from formats.sqlserver_bak.set_map import lacks_last_byte
from tests import damage
from tests.builders.sqlserver_bak import EXTENT, FIRST_LSN, PAGE, Medium, Recipe, xor16
from tests.drive import Driven, coordinates, drive, summary

LATE_LSN = (FIRST_LSN[0] + 1, 16, 1)
SMALL = Recipe(database_bytes=16 * EXTENT, compressible=True)


def built(**recipe: object) -> tuple[bytes, Medium]:
    file = io.BytesIO()
    medium = Medium(file, 512)
    medium.add_set(replace(SMALL, **recipe))
    return file.getvalue(), medium


def driven(content: bytes) -> Driven:
    return drive(FORMAT, BytesSource(content))


def bad(content: bytes) -> list[Evidence]:
    return driven(content).bad


def only(content: bytes) -> Evidence:
    """Return the one bad row there is."""
    found = bad(content)
    assert len(found) == 1, summary(found)
    return found[0]


def place(medium: Medium, name: str, index: int = 0) -> int:
    return medium.structures[name][index][0]


def page_at(medium: Medium, page_index: int) -> int:
    return place(medium, "pages") + page_index * PAGE


@pytest.mark.parametrize("byte", [0, 4, 33, 36, 60, 95, 96, 5000, 8191])
def test_flip_in_an_allocated_page_is_damage_at_that_page(byte):
    content, medium = built()
    offset = page_at(medium, 27)
    row = only(damage.flip(content, offset + byte, 1))
    expected = (
        "sqlserver_bak.page.present" if byte in (0, 33, 36) else "sqlserver_bak.page.checksum"
    )
    assert (row.check, row.offset, row.length) == (expected, offset, PAGE)
    assert (row.outcome, row.bearing) == (Outcome.MISMATCHED, Bearing.NEEDED)


def test_flag_that_says_checksum_is_missed_when_it_is_flipped():
    content, medium = built()
    row = only(damage.flip(content, page_at(medium, 30) + 5, 1))
    assert (row.check, row.offset) == ("sqlserver_bak.page.checksum", page_at(medium, 30))


def test_flag_that_says_encrypted_is_seen_through():
    content, medium = built()
    row = only(damage.flip(content, page_at(medium, 30) + 5, 3))
    assert (row.check, row.offset) == ("sqlserver_bak.page.checksum", page_at(medium, 30))


def test_flip_in_an_unallocated_page_is_no_news():
    for garbage in (False, True):
        content, medium = built(empty_pages=2, garbage=garbage)
        assert not bad(damage.flip(content, page_at(medium, 8 * 3 + 7) + 300, 1))
        assert bad(damage.flip(content, page_at(medium, 8 * 3 + 5) + 300, 1))


def test_neighbouring_pages_become_one_row_with_a_count():
    content, medium = built()
    offset = page_at(medium, 33)
    row = only(damage.zero(content, offset, 5 * PAGE))
    assert (row.check, row.offset, row.length, row.count) == (
        "sqlserver_bak.page.present",
        offset,
        5 * PAGE,
        5,
    )


def test_zeroed_extent_is_missing_at_its_slot():
    content, medium = built()
    offset = page_at(medium, 8 * 5)
    row = only(damage.zero(content, offset, EXTENT))
    assert (row.check, row.offset, row.length) == (
        "sqlserver_bak.extent.present",
        offset,
        EXTENT,
    )
    assert row.bearing is Bearing.NEEDED


def test_extent_overwritten_by_a_copy_of_another_is_missing():
    content, medium = built()
    source, target = page_at(medium, 8 * 3), page_at(medium, 8 * 9)
    changed = content[:target] + content[source : source + EXTENT] + content[target + EXTENT :]
    row = only(changed)
    assert (row.check, row.offset, row.count) == ("sqlserver_bak.extent.present", None, 1)


def test_two_pages_exchanged_are_two_pages_missing():
    content, medium = built()
    one, two = page_at(medium, 20), page_at(medium, 45)
    found = bad(damage.swap(content, one, two, PAGE))
    assert coordinates(found) == {
        ("sqlserver_bak.page.present", one),
        ("sqlserver_bak.page.present", two),
    }


def test_zeroed_extent_that_no_page_was_allocated_in_is_no_loss():
    content, medium = built(empty_pages=8, garbage=True)
    assert not bad(content)
    assert not bad(damage.zero(content, page_at(medium, 8 * 5), EXTENT))


@pytest.mark.parametrize("page_index", [1, 2, 6, 9])
def test_damaged_map_is_itself_the_damage(page_index):
    content, medium = built()
    offset = page_at(medium, page_index)
    found = bad(damage.flip(content, offset + 400, 2))
    needed = [(row.check, row.offset) for row in found if row.bearing is Bearing.NEEDED]
    # Without its own map nothing says that the PFS page is allocated.
    doubtful = [(row.check, row.offset) for row in found if row.bearing is Bearing.DOUBTFUL]
    assert ("sqlserver_bak.page.checksum", offset) in (doubtful if page_index == 1 else needed)


def test_map_that_changed_while_the_backup_ran_only_raises_a_doubt():
    content, medium = built(map_lsn=LATE_LSN)
    assert not bad(content)
    lost = only(damage.zero(content, page_at(medium, 40), EXTENT))
    assert (lost.check, lost.offset, lost.bearing) == (
        "sqlserver_bak.extent.present",
        page_at(medium, 40),
        Bearing.DOUBTFUL,
    )
    zeroed = only(damage.zero(content, page_at(medium, 41), PAGE))
    assert (zeroed.check, zeroed.offset, zeroed.bearing) == (
        "sqlserver_bak.page.present",
        page_at(medium, 41),
        Bearing.DOUBTFUL,
    )
    # A checksum that fails is damage whatever the map says.
    flipped = only(damage.flip(content, page_at(medium, 41) + 999))
    assert flipped.bearing is Bearing.NEEDED


def test_extent_allocated_while_the_backup_ran_is_no_loss():
    assert not bad(built(map_lsn=LATE_LSN, every_extent=2, only_in_map=(5,))[0])
    row = only(built(every_extent=2, only_in_map=(5,))[0])
    assert (row.check, row.count) == ("sqlserver_bak.extent.present", 1)


def test_page_that_is_copied_again_counts_by_its_last_copy():
    content, medium = built(again=(0, 1, 7))
    first = page_at(medium, 8 * 7 + 2)
    again = place(medium, "pages", 1) + (8 * 2 + 2) * PAGE
    row = only(damage.flip(content, first + 700))
    assert (row.check, row.offset, row.bearing) == (
        "sqlserver_bak.page.checksum",
        first,
        Bearing.REDUNDANT,
    )
    row = only(damage.flip(content, again + 700))
    assert (row.offset, row.bearing) == (again, Bearing.NEEDED)


def test_zeroed_extent_of_a_second_copy_raises_a_doubt():
    content, medium = built(again=(0, 1, 7))
    offset = place(medium, "pages", 1) + 2 * EXTENT
    row = only(damage.zero(content, offset, EXTENT))
    assert (row.check, row.offset, row.bearing) == (
        "sqlserver_bak.extent.identified",
        offset,
        Bearing.DOUBTFUL,
    )


def test_damage_in_filler_is_no_news_unless_a_backup_checksum_covers_it():
    content, medium = built(filler_extents=2)
    filler = page_at(medium, 16 * 8) + 1000
    assert not bad(damage.flip(content, filler))
    content, medium = built(filler_extents=2, checksum=True)
    row = only(damage.flip(content, page_at(medium, 16 * 8) + 1000))
    assert (row.check, row.offset) == ("sqlserver_bak.csum.stream", place(medium, "pages"))


def test_torn_page_is_told_from_a_whole_one():
    content, medium = built(protection="torn")
    offset = page_at(medium, 25)
    row = only(damage.flip(content, offset + 1023, 0))
    assert (row.check, row.offset) == ("sqlserver_bak.page.torn_bits", offset)


def test_bitmap_of_a_torn_page_is_read_with_its_moved_bits_put_back():
    # The last byte of a sector of the GAM page speaks of extents from number 6632 on.
    first = (1023 - 194) * 8
    content, _ = built(protection="torn", database_bytes=(first + 8) * EXTENT, every_extent=4096)
    assert not bad(content)
    content, _ = built(
        protection="torn",
        database_bytes=(first + 8) * EXTENT,
        every_extent=4096,
        only_in_map=(first + 1,),
    )
    assert only(content).check == "sqlserver_bak.extent.present"


def test_differential_lacks_an_extent_that_its_map_calls_changed():
    content, medium = built(letter="I", every_extent=2)
    assert not bad(content)
    offset = page_at(medium, 8 * 4)
    row = only(damage.zero(content, offset, EXTENT))
    assert (row.check, row.offset, row.bearing) == (
        "sqlserver_bak.extent.present",
        offset,
        Bearing.NEEDED,
    )


@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("byte", [0, 6, 12, 16, 24, 300])
def test_flip_in_a_log_block_is_damage_there(byte, checksum):
    content, medium = built(checksum=checksum)
    block = place(medium, "log") + 512
    found = bad(damage.flip(content, block + byte, 0))
    expected = {
        6: ("sqlserver_bak.log.chain", block),
        12: ("sqlserver_bak.log.chain", block),
        16: ("sqlserver_bak.log.chain", block),
    }.get(byte, ("sqlserver_bak.log.checksum", block))
    assert expected in coordinates(found)
    assert all(row.bearing is Bearing.NEEDED for row in found)


@pytest.mark.parametrize("sectors", [0, 133])
def test_first_and_last_log_block_are_missed_too(sectors):
    content, medium = built()
    start, length = medium.structures["log"][0]
    block = start + 512 * sectors
    row = only(damage.flip(content, block + 16, 0))
    assert (row.check, row.offset) == ("sqlserver_bak.log.chain", block)
    assert length == 134 * 512


def test_log_block_of_another_place_breaks_the_chain():
    content, medium = built(log_blocks=12)
    log = place(medium, "log")
    # Blocks 2 and 7 are seven sectors each.
    second, seventh = log + 3 * 512, log + (3 + 7 + 120 + 3 + 3) * 512
    found = bad(damage.swap(content, second, seventh, 7 * 512))
    assert {
        ("sqlserver_bak.log.chain", second),
        ("sqlserver_bak.log.chain", seventh),
    } <= coordinates(found)


def test_bytes_behind_the_log_are_zeros():
    content, medium = built()
    start, length = medium.structures["log"][0]
    row = only(damage.flip(content, start + length + 9))
    assert (row.check, row.offset) == ("sqlserver_bak.log.slack", start + length + 9)
    assert row.bearing is Bearing.REDUNDANT


@pytest.mark.parametrize("copy", [0, 1])
@pytest.mark.parametrize("field", [28, 92, 104, 130, 230])
def test_configurations_that_differ_are_told_by_place(copy, field):
    content, medium = built()
    start = place(medium, "configuration", copy)
    found = bad(damage.flip(content, start + field, 0))
    assert (
        "sqlserver_bak.config.copies",
        place(medium, "configuration", 1) + field,
    ) in coordinates(found)
    assert all(row.bearing is not Bearing.NEEDED for row in found)


def test_configuration_without_its_records_is_told():
    content, medium = built()
    start = place(medium, "configuration", 1)
    found = bad(damage.flip(content, start + 5, 6))
    assert ("sqlserver_bak.config.records", start) in coordinates(found)


def test_log_range_that_ends_before_the_last_lsn_is_told():
    content, medium = built()
    start = place(medium, "configuration", 1)
    damaged = damage.flip(damage.flip(content, start + 46 + 2, 0), start + 144 + 4 + 2, 0)
    found = bad(damaged)
    assert "sqlserver_bak.log.span" in {row.check for row in found}


def test_size_that_is_not_the_distance_of_the_blocks_is_told():
    content, medium = built()
    offset = place(medium, "configuration", 1) + 96
    found = bad(damage.flip(content, offset + 1, 0))
    assert ("sqlserver_bak.set.backup_size", offset) in coordinates(found)


def test_set_that_was_damaged_when_it_was_written_says_so():
    content, medium = built(damaged=True)
    row = only(content)
    assert (row.check, row.offset) == (
        "sqlserver_bak.config.is_damaged",
        place(medium, "configuration", 1) + 8,
    )


@pytest.mark.parametrize(
    ("block", "field", "length"), [(1, 80, 8), (1, 88, 5), (2, 68, 5), (-2, 80, 5), (-1, 60, 8)]
)
def test_numbers_and_dates_that_blocks_repeat_are_compared(block, field, length):
    content, medium = built()
    offset = place(medium, "block header", block)
    found = bad(damage.flip(content, offset + field, 1))
    assert found
    assert all(row.bearing is Bearing.REDUNDANT for row in found)
    if field != 88:
        assert ("sqlserver_bak.set.repeats", offset + field) in coordinates(found)
    assert {row.length for row in found} >= {length}


def test_set_map_that_says_something_else_is_told():
    content, _ = built()
    entry = content.rindex(b"VOLB")
    row = only(damage.flip(content, entry - 2 + 56 + 3, 1))
    assert (row.check, row.offset, row.bearing) == (
        "sqlserver_bak.set_map.entries",
        entry - 2 + 56,
        Bearing.REDUNDANT,
    )


def test_name_of_a_machine_may_lack_its_last_byte_in_the_set_map():
    # The last letter is U+042F: where its upper byte is left out, a slash is stored.
    content, _ = built(machine="\u041c\u042f")
    name = content.rindex(b"\x1c\x04\x2f\x00")
    assert bad(content) == []
    whole = bytearray(content)
    whole[name + 3] = 4
    assert bad(bytes(whole)) == []
    for at in range(4):
        row = only(damage.flip(content, name + at, 1))
        assert (row.check, row.offset) == ("sqlserver_bak.set_map.entries", name - 18)


def test_only_a_text_that_ends_its_record_may_lack_its_last_byte():
    text = "\u042f".encode("utf-16-le")
    address, cut = struct.pack("<HH", 2, 4), bytes(4) + text[:1] + b"\0"
    assert lacks_last_byte(cut, address, "\u042f")
    assert not lacks_last_byte(cut + b"C", address, "\u042f")
    assert not lacks_last_byte(cut, address, "\u0430")
    assert not lacks_last_byte(bytes(4), struct.pack("<HH", 0, 4), "")
    assert not lacks_last_byte(bytes(4), struct.pack("<HH", 0, 4), None)


def test_media_set_that_makes_no_sense_raises_a_doubt():
    content, _ = built()
    offset = content.index(b"RAID") + 22
    row = only(damage.flip(content, offset + 24, 3))
    assert (row.check, row.offset, row.bearing) == (
        "sqlserver_bak.media.raid",
        offset,
        Bearing.DOUBTFUL,
    )


def test_aborted_set_says_so():
    content, medium = built()
    offset = place(medium, "block header", -2)
    head = bytearray(content[offset : offset + 52])
    struct.pack_into("<I", head, 4, 1 << 18)
    struct.pack_into("<H", head, 50, xor16(bytes(head[:50])))
    row = only(content[:offset] + bytes(head) + content[offset + 52 :])
    assert (row.check, row.offset) == ("sqlserver_bak.set.aborted", offset)


def test_corrupt_objects_raise_a_doubt():
    content, medium = built()
    offset = place(medium, "block header", -2) + 56
    row = only(damage.flip(content, offset, 0))
    assert (row.check, row.offset, row.bearing) == (
        "sqlserver_bak.set.corrupt_objects",
        offset,
        Bearing.DOUBTFUL,
    )


def test_block_taken_out_is_missed_by_number_and_place():
    content, medium = built()
    starts = [start for start, _ in medium.structures["block header"]]
    # The second, empty virtual log file.
    second = starts[6]
    shortened = content[:second] + content[starts[7] :]
    found = bad(shortened)
    assert {
        ("sqlserver_bak.block.logical_address", second),
        ("sqlserver_bak.block.control_id", second),
    } <= coordinates(found)


@pytest.mark.parametrize("name", ["pages", "log", "configuration"])
def test_cut_file_is_short_of_what_its_streams_declare(name):
    content, medium = built()
    start, length = medium.structures[name][0]
    cut = damage.cut(content, start + length // 2)
    result = driven(cut)
    (image,) = result.inspections
    assert not image.complete
    rows = [row for row in result.bad if row.check == "sqlserver_bak.file.needed"]
    assert [(row.outcome, row.offset) for row in rows] == [(Outcome.TRUNCATED, len(cut))]
    assert image.needed_bytes is not None
    assert start + length < image.needed_bytes <= len(content)


@pytest.mark.parametrize("mark_bytes", [512, 4096])
@pytest.mark.parametrize("kept", [1, 51, 52, 60, 71, 72, 88, 511])
def test_file_cut_in_its_last_filemark_is_incomplete(mark_bytes, kept):
    file = io.BytesIO()
    Medium(file, mark_bytes).add_set(SMALL)
    content = file.getvalue()
    assert bad(content) == []
    result = driven(damage.cut(content, len(content) - mark_bytes + kept))
    (image,) = result.inspections
    row = only(damage.cut(content, len(content) - mark_bytes + kept))
    size = len(content) - mark_bytes + kept
    assert (row.check, row.offset) == ("sqlserver_bak.file.needed", size)
    assert (row.outcome, row.bearing) == (Outcome.TRUNCATED, Bearing.NEEDED)
    assert not image.complete
    assert image.needed_bytes == (len(content) if kept >= 52 else size - kept + 52)


def test_file_cut_in_the_filemark_before_a_sets_end_is_incomplete():
    content, medium = built()
    row = only(damage.cut(content, medium.marks[1] + 100))
    assert (row.check, row.outcome) == ("sqlserver_bak.file.needed", Outcome.TRUNCATED)


def test_cut_file_is_incomplete_and_not_damaged_as_well():
    content, medium = built()
    cut = damage.cut(content, page_at(medium, 77) + 100)
    assert {row.outcome for row in bad(cut)} == {Outcome.TRUNCATED}


@pytest.mark.parametrize("copy", [0, 1])
def test_file_cut_in_its_configuration_is_incomplete_and_not_damaged_as_well(copy):
    content, medium = built()
    start, length = medium.structures["configuration"][copy]
    for size in (start - 30, start - 22, start - 1, start, start + 1, start + length - 1):
        found = bad(damage.cut(content, size))
        assert {row.outcome for row in found} == {Outcome.TRUNCATED}, summary(found)


def test_file_filled_up_with_zeros_is_incomplete_and_not_damaged_as_well():
    content, medium = built()
    for offset in (page_at(medium, 72), page_at(medium, 75), page_at(medium, 75) + 512):
        zeroed = damage.zero(content, offset, len(content) - offset)
        result = driven(zeroed)
        assert {row.outcome for row in result.bad} == {Outcome.TRUNCATED}, summary(result.bad)
        assert not result.inspections[0].complete


def test_damage_before_a_cut_is_still_damage():
    content, medium = built()
    cut = damage.cut(damage.flip(content, page_at(medium, 20) + 200), page_at(medium, 77) + 100)
    assert ("sqlserver_bak.page.checksum", page_at(medium, 20)) in coordinates(bad(cut))


def test_set_without_its_end_is_not_complete():
    content, medium = built()
    summary_block = place(medium, "block header", -3)
    for size in (summary_block, *medium.marks[1:]):
        cut = damage.cut(content, size)
        result = driven(cut)
        assert not result.inspections[0].complete
        assert ("sqlserver_bak.set.trailer", size) in coordinates(result.bad)


def test_hole_over_blocks_in_the_middle_is_damage_and_the_rest_is_still_read():
    content, medium = built()
    start = place(medium, "block header", 6)
    result = driven(damage.zero(content, start, 512))
    assert ("mtf.block.present", start) in coordinates(result.bad)
    (image,) = result.inspections
    assert image.facts["BackupFinishDate"] == "2026-11-21T20:40:03+01:00"


def test_longer_file_is_no_news_but_bytes_that_are_no_block_are():
    content, _ = built()
    assert not bad(content + bytes(100_000))
    row = only(content + b"rubbish" * 100)
    assert (row.check, row.offset, row.bearing) == (
        "mtf.media.end",
        len(content),
        Bearing.REDUNDANT,
    )


def test_bad_rows_are_kept_up_to_a_limit_and_then_counted():
    content, medium = built(database_bytes=64 * EXTENT)
    damaged = bytearray(content)
    for index in range(0, 64 * 8, 2):
        damaged[page_at(medium, index) + 4000] ^= 1
    found = [row for row in bad(bytes(damaged)) if row.check == "sqlserver_bak.page.checksum"]
    placed = [row for row in found if row.offset is not None]
    assert len(placed) <= 101
    assert sum(row.count for row in found) == 64 * 4
