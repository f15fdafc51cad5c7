"""A reading that is cut short goes on: its units come back exactly, or not at all."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.core.model import Bearing, Evidence, Outcome
from scanner.ledger.store import Ledger
from scanner.results import FileState, PayloadSeen
from tests.scanner.ledger.stories import (
    EVENING,
    MATCHED,
    MIB,
    PAGES,
    Story,
    baseline,
    damaged,
    image,
    piece,
    result,
    stamps,
    unit,
)
from tests.scanner.ledger.test_packing import ANY_TEXT, ODD_TEXT

SIZES = st.integers(0, 2**64 - 1)
EVIDENCE = st.builds(
    Evidence,
    check=ANY_TEXT,
    outcome=st.sampled_from(Outcome),
    offset=st.none() | SIZES,
    length=st.none() | SIZES,
    expected=st.none() | ODD_TEXT,
    actual=st.none() | ANY_TEXT,
    bearing=st.sampled_from(Bearing),
    member=ODD_TEXT,
    count=SIZES,
    vouched_bytes=SIZES,
)
ROWS = st.lists(EVIDENCE, max_size=3).map(tuple)
IMAGES = st.integers(0, 300)
TABLES = st.lists(st.tuples(*[st.integers(0, 2**16 - 1)] * 3), max_size=5).map(
    lambda rows: np.array(rows, PAGES)
)
UNITS = st.builds(
    lambda blocks, **fields: unit(0, [1] * len(blocks), digests=b"".join(blocks), **fields),
    blocks=st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=4),
    read_at=st.datetimes(timezones=st.just(EVENING.tzinfo)),
    bytes_read=st.integers(0, 2**40),
    evidence=st.dictionaries(IMAGES, ROWS, max_size=3),
    tallies=st.dictionaries(
        IMAGES, st.dictionaries(ODD_TEXT, TABLES, min_size=1, max_size=3), max_size=3
    ),
    payload=st.dictionaries(
        IMAGES, st.builds(PayloadSeen, st.integers(0), st.integers(0), st.booleans()), max_size=3
    ),
    storage=ROWS,
    unreadable=st.lists(st.tuples(SIZES, SIZES), max_size=3).map(tuple),
)


def same(one, other):
    """Whether two units are equal, tables included."""
    assert replace(one, tallies={}) == replace(other, tallies={})
    assert one.tallies.keys() == other.tallies.keys()
    for image_index, tally in one.tallies.items():
        assert tally.keys() == other.tallies[image_index].keys()
        for name, table in tally.items():
            again = other.tallies[image_index][name]
            assert again.dtype == table.dtype
            assert np.array_equal(again, table)
    return True


@settings(max_examples=50, deadline=None)
@given(one=UNITS)
def test_any_unit_comes_back_exactly(one, lasting):
    lasting.start()
    lasting.record(one)
    (again,) = lasting.recorded()
    assert same(one, again)


def test_units_come_back_by_offset_whatever_their_order(story):
    story.start()
    for offset in (6 * MIB, 0, 3 * MIB):
        story.record(unit(offset))
    assert [one.offset for one in story.recorded()] == [0, 3 * MIB, 6 * MIB]


def test_unit_of_zeros_has_no_digests_and_keeps_having_none(story):
    story.start()
    story.record(unit(digests=b""))
    assert story.recorded()[0].digests == b""


def test_unit_recorded_again_replaces_the_first(story):
    table = np.array([(1, 1, 1)], PAGES)
    story.start()
    story.record(unit(tallies={0: {"pages": table, "map": table}}))
    story.record(unit(blocks=(4, 5, 6), tallies={0: {"pages": table}}))
    (again,) = story.recorded()
    assert again.digests == unit(blocks=(4, 5, 6)).digests
    assert list(again.tallies[0]) == ["pages"]


def test_units_of_nobody_are_none(story):
    assert story.recorded("never seen") == ()


def test_unit_with_a_digest_too_few_is_our_bug(story):
    story.start()
    with pytest.raises(AssertionError):
        story.record(unit(blocks=(1, 2, 3), length=4 * MIB))


def test_resumed_reading_finds_its_units(story):
    story.start()
    story.record(unit(evidence={0: (damaged(), MATCHED)}))
    story.next_run()
    story.start()
    (again,) = story.recorded()
    assert same(again, unit(evidence={0: (damaged(), MATCHED)}))
    assert story.file().state is FileState.READING


@pytest.mark.parametrize(
    "changes",
    [
        {"seen": stamps(3 * MIB + 1)},
        {"seen": stamps(mtime_ns=99)},
        {"seen": stamps(ctime_ns=99)},
        {"seen": stamps(inode=99)},
        {"revision": 3},
        {"name": "vhd"},
        {"name": None, "revision": None},
    ],
    ids=str,
)
def test_units_of_other_bytes_or_other_code_are_dropped(story, changes):
    story.start()
    story.record(unit(tallies={0: {"pages": np.array([(1, 1, 1)], PAGES)}}))
    story.start(**changes)
    assert story.recorded() == ()
    assert story.count("tallies") == 0


def test_space_the_file_takes_on_the_disk_may_change_between(story):
    story.start()
    story.record(unit())
    story.start(seen=stamps(allocated_bytes=4096))
    assert len(story.recorded()) == 1


def test_units_of_a_file_that_was_read_are_gone(story):
    story.read(units=[unit(tallies={0: {"pages": np.array([(1, 1, 1)], PAGES)}})])
    assert story.recorded() == ()
    assert [story.count(name) for name in ("readings", "units", "tallies")] == [0, 0, 0]
    story.start()
    assert story.recorded() == ()


def test_reading_the_storage_stopped_goes_on_where_it_stopped(story):
    story.read(state=FileState.REFUSED, images=(), read_at=None)
    assert len(story.recorded()) == 1
    story.start()
    assert len(story.recorded()) == 1


def test_units_of_a_file_that_changed_meanwhile_are_dropped(story):
    story.read(state=FileState.CHANGED)
    assert story.recorded() == ()


def test_changed_file_whose_reading_was_killed_keeps_the_stamps_of_the_last_whole_reading(story):
    story.read()
    story.start(seen=stamps(mtime_ns=99))
    assert story.known().stamps == stamps()
    assert story.known().state is FileState.READING


def test_piece_of_a_set_keeps_its_tallies_until_it_is_read_again(story):
    first, second = (np.array([(page, 1, 1)], PAGES) for page in (1, 2))
    read = {"path": "one.bak", "images": (image(piece(1)),), "stamps": stamps(6 * MIB)}
    units = [
        unit(0, tallies={0: {"pages": first}}, unreadable=((4096, 512),)),
        unit(3 * MIB, tallies={0: {"pages": second, "map": second}}),
    ]
    story.read(units=units, **read)
    (row,) = story.images()
    tally = story.ledger.tallies(row.id)
    assert tally["pages"].tolist() == [(1, 1, 1), (2, 1, 1)]
    assert tally["map"].tolist() == [(2, 1, 1)]
    assert story.ledger.unreadable(row.id) == ((4096, 512),)
    assert story.recorded("one.bak") == ()

    story.read(units=[unit(0, tallies={0: {"pages": second}})], **read)
    assert story.ledger.tallies(row.id)["pages"].tolist() == [(2, 1, 1)]
    assert story.ledger.unreadable(row.id) == ()


def test_image_that_is_no_piece_has_no_tallies_left(story):
    story.read(units=[unit(tallies={0: {"pages": np.array([(1, 1, 1)], PAGES)}})])
    assert story.ledger.tallies(story.images()[0].id) == {}


def test_tallies_of_two_images_of_one_piece_are_kept_apart(story):
    tables = {number: {"pages": np.array([(number, 1, 1)], PAGES)} for number in (0, 1)}
    story.read(images=(image(piece(1)), image(piece(1))), units=[unit(tallies=tables)])
    pages = [story.ledger.tallies(row.id)["pages"].tolist() for row in story.images()]
    assert pages == [[(0, 1, 1)], [(1, 1, 1)]]


def test_resumed_and_undisturbed_readings_leave_the_same_rows(tmp_path, clock):
    rows = []
    for killed in (False, True):
        with Ledger.open(tmp_path / str(killed) / "ledger.sqlite", clock) as ledger:
            story = Story(ledger, clock)
            story.start(seen=stamps(6 * MIB))
            story.record(unit(0))
            if killed:
                story.start(seen=stamps(6 * MIB))
            story.record(unit(3 * MIB))
            story.finish(result(stamps=stamps(6 * MIB), baseline=baseline()))
            rows.append((story.files(), story.images(), story.evidence(), story.baseline()))
    assert rows[0] == rows[1]
