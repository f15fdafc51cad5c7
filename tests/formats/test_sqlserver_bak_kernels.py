"""The kernels over pages and log blocks, held against slow and obvious versions of themselves."""

import io
import itertools
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.core.model import Examined, Part
from formats.core.source import BytesSource
from formats.sqlserver_bak import FORMAT
from formats.sqlserver_bak import pages as kernel
from formats.sqlserver_bak.pages import (
    ALIEN,
    BAD_SUM,
    BEYOND,
    CIPHERED_GOOD,
    CIPHERED_SUM,
    GOOD,
    PLAIN,
    ZERO,
    examine_pages,
    restored,
)
from tests import damage
from tests.builders.sqlserver_bak import EXTENT, PAGE, Medium, Recipe, fold_of, pages, sector_sums
from tests.drive import Driven, drive

RECIPE = Recipe(database_bytes=32 * EXTENT, compressible=True, empty_pages=1)
ORIGIN = 16_384


def stream(recipe: Recipe = RECIPE) -> np.ndarray:
    return np.concatenate([window.copy() for window in pages(recipe, recipe.extents())])


def states_of(rows: np.ndarray) -> list[int]:
    """Return the state of every page, in order."""
    found = []
    for row in np.sort(rows, order="offset"):
        states = [int(row["states"]) >> 4 * place & 15 for place in range(8)]
        found += states * int(row["count"])
    return found


def examined(data: np.ndarray, stripes: int = 1) -> dict[str, np.ndarray]:
    return dict(examine_pages(stripes, data, ORIGIN, ORIGIN).tally)


def slow_checksum(page: bytes) -> int:
    """Return a page's checksum as the format has it, word by word."""
    total = 0
    for sector in range(16):
        value = 0
        for word in range(128):
            at = sector * 512 + word * 4
            value ^= 0 if at == 60 else int.from_bytes(page[at : at + 4], "little")
        by = 15 - sector
        total ^= (value << by | value >> (32 - by)) & 0xFFFFFFFF
    return total


def test_page_checksum_is_that_of_the_slow_version():
    data = stream()
    for index in (0, 1, 9, 40, 255):
        page = data[index * PAGE : (index + 1) * PAGE].tobytes()
        if any(page):
            assert slow_checksum(page) == int.from_bytes(page[60:64], "little")


def test_undamaged_extents_become_few_rows():
    data = stream(replace(RECIPE, empty_pages=0))
    rows = examined(data)["runs"]
    assert rows["count"].tolist() == [32]
    assert (rows["file"][0], rows["extent"][0], rows["states"][0]) == (1, 0, 0)


def test_extents_of_a_stripe_become_few_rows_too():
    recipe = replace(RECIPE, empty_pages=0)
    chosen = np.concatenate([item.copy() for item in pages(recipe, recipe.extents()[1::3])])
    rows = examined(chosen, stripes=3)["runs"]
    assert rows["count"].tolist() == [11]
    assert (rows["extent"][0], rows["step"][0]) == (1, 3)


def changed(data: np.ndarray, page_index: int, **fields: int) -> np.ndarray:
    """Return the pages with header bytes of one replaced."""
    copy = data.copy()
    for name, value in fields.items():
        copy[page_index * PAGE + int(name[1:])] = value
    return copy


def resealed(data: np.ndarray, page_index: int) -> np.ndarray:
    copy = data.copy()
    page = copy[page_index * PAGE : (page_index + 1) * PAGE]
    page[60:64] = 0
    page[60:64] = np.frombuffer(fold_of(sector_sums(page)).to_bytes(4, "little"), np.uint8)
    return copy


def test_each_state_of_a_page_is_told():
    data = stream(replace(RECIPE, empty_pages=0))
    cases = {
        GOOD: data,
        BAD_SUM: changed(data, 50, b4000=77),
        ALIEN: changed(data, 50, b32=99),
        ZERO: np.concatenate((data[: 50 * PAGE], np.zeros(PAGE, np.uint8), data[51 * PAGE :])),
        PLAIN: resealed(changed(data, 50, b5=0), 50),
        CIPHERED_GOOD: resealed(changed(data, 50, b5=0x0A), 50),
        CIPHERED_SUM: changed(data, 50, b5=0x0A, b4000=77),
    }
    # A page without its flag whose checksum would hold without it is a page without a checksum.
    for state, content in cases.items():
        assert states_of(examined(content)["runs"])[50] == state, state


@pytest.mark.parametrize("bit", [1, 3])
def test_flag_flipped_alone_is_damage(bit):
    data = stream(replace(RECIPE, empty_pages=0))
    data[50 * PAGE + 5] ^= 1 << bit
    assert states_of(examined(data)["runs"])[50] == BAD_SUM


def test_page_zero_but_for_one_byte_is_not_zero():
    data = stream(replace(RECIPE, empty_pages=0))
    data[50 * PAGE : 51 * PAGE] = 0
    data[50 * PAGE + 6000] = 1
    assert states_of(examined(data)["runs"])[50] == ALIEN
    # Two equal words cancel in every sum, and the page is still not zero.
    data[50 * PAGE + 6004] = 1
    assert states_of(examined(data)["runs"])[50] == ALIEN


def test_most_pages_of_an_extent_say_which_it_is():
    data = stream(replace(RECIPE, empty_pages=0))
    for index in (41, 42, 43):
        data[index * PAGE + 32] ^= 0x40
    rows = examined(data)["runs"]
    assert states_of(rows)[40:48] == [GOOD, ALIEN, ALIEN, ALIEN, GOOD, GOOD, GOOD, GOOD]
    row = rows[rows["extent"] == 5]
    assert row["offset"].tolist() == [ORIGIN + 5 * EXTENT]


def test_one_page_with_a_checksum_outvotes_seven_without():
    data = stream(replace(RECIPE, empty_pages=0))
    stale = data[8 * 20 * PAGE : 8 * 21 * PAGE].copy()
    stale[7 * PAGE :] = data[(8 * 5 + 7) * PAGE : 8 * 6 * PAGE]
    for index in range(7):
        stale[index * PAGE + 4000] ^= 1
    data[8 * 5 * PAGE : 8 * 6 * PAGE] = stale
    rows = examined(data)["runs"]
    assert 5 in rows["extent"][rows["count"] == 1]


@pytest.mark.parametrize("pages_kept", [1, 7, 9, 100])
def test_short_last_element_counts_its_whole_pages(pages_kept):
    data = stream()[: pages_kept * PAGE + 700]
    states = states_of(examined(data)["runs"])
    assert BEYOND not in states[:pages_kept]
    assert all(state == BEYOND for state in states[pages_kept:])
    assert examined(data[: PAGE - 1]) == {}


def test_fold_of_pages_is_the_backup_checksum():
    for count in (1, 2, 7, 32):
        data = stream()[: count * EXTENT]
        (row,) = examined(data)["page_folds"]
        assert (int(row["sectors"]), int(row["fold"])) == (
            count * 128,
            fold_of(sector_sums(data)),
        )


def test_maps_are_taken_only_where_they_belong():
    tables = examined(stream())
    assert tables["pfs"]["interval"].tolist() == [0]
    assert sorted(tables["bitmaps"]["kind"].tolist()) == [8, 16]
    assert tables["boot"]["version"].tolist() == [904]
    moved = stream()
    moved[40 * PAGE + 1] = 11
    assert len(examined(resealed(moved, 40))["pfs"]) == 1


def test_damaged_map_is_not_read():
    data = stream()
    data[2 * PAGE + 300] ^= 1
    assert examined(data)["bitmaps"]["kind"].tolist() == [16]


def test_bits_that_torn_page_detection_moved_are_put_back():
    recipe = replace(RECIPE, protection="torn", empty_pages=0)
    torn = stream(recipe)[: 64 * PAGE].reshape(-1, PAGE)
    whole = stream(replace(recipe, protection="none"))[: 64 * PAGE].reshape(-1, PAGE)
    for page, expected in zip(torn, whole, strict=True):
        words = page[:64].copy().view("<u4")
        assert restored(page, words)[96:].tobytes() == expected[96:].tobytes()


@st.composite
def splits(draw: st.DrawFn, count: int) -> list[int]:
    """Draw where a stream of ``count`` elements is cut."""
    marks = draw(st.sets(st.integers(1, max(1, count - 1)), max_size=12))
    return sorted({0, *marks, count} if count > 1 else {0, count})


def log_file(log_blocks: int) -> tuple[bytes, Medium]:
    file = io.BytesIO()
    medium = Medium(file, 512)
    medium.add_set(replace(RECIPE, letter="L", log_blocks=log_blocks, checksum=True))
    return file.getvalue(), medium


def split_conclusion(content: bytes, whole: Driven, marks: list[int]) -> set:
    """Return what is concluded when the log's kernel gets its sectors in pieces."""
    tally: dict[str, list[np.ndarray]] = {}
    for batch in whole.batches:
        if not isinstance(batch.check, Examined):
            continue
        start, length = int(batch.offset[0]), int(batch.stored_length[0])
        edges = [min(mark * batch.check.stride, length) for mark in marks]
        for low, high in itertools.pairwise(edges):
            if low < high:
                elements = np.frombuffer(content, np.uint8, high - low, start + low)
                result = batch.check.kernel(elements, start + low, start)
                for name, table in result.tally.items():
                    tally.setdefault(name, []).append(table)
    merged = {name: np.concatenate(tables) for name, tables in tally.items()}
    return set(FORMAT.conclude((Part(whole.inspections[0], merged),)))


@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_log_says_the_same_however_its_sectors_come(data):
    content, medium = log_file(12)
    start, length = medium.structures["log"][0]
    sectors = -(-length // EXTENT) * EXTENT // 512
    for _ in range(data.draw(st.integers(0, 3))):
        sector = data.draw(st.integers(0, length // 512 - 1))
        byte = data.draw(st.sampled_from([0, 6, 7, 12, 16, 24, 40, 511]))
        content = damage.flip(content, start + sector * 512 + byte, data.draw(st.integers(0, 7)))
    whole = drive(FORMAT, BytesSource(content), conclude=False)
    marks = data.draw(splits(sectors))
    assert split_conclusion(content, whole, marks) == set(FORMAT.conclude((whole.parts(0),)))


@given(st.binary(max_size=3 * PAGE), st.integers(0, 7))
@settings(max_examples=50, deadline=None)
def test_random_bytes_are_some_pages_or_none(content, place):
    data = np.frombuffer(content * 3, np.uint8)
    tally = examine_pages(1, data, 512 * place, 0).tally
    if len(data) >= PAGE:
        states = states_of(tally["runs"])
        assert sum(state != BEYOND for state in states) == len(data) // PAGE


def test_kernel_of_pages_binds_and_pickles():
    bound = partial(kernel.examine_pages, 2)
    assert bound(stream()[:EXTENT], 0, 0).tally["runs"]["count"].tolist() == [1]
