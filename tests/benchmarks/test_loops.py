"""Goal: the bare loops do the work the engine does. Method: count what they call on what bytes."""

from itertools import pairwise

import numpy as np
import pytest

from benchmarks import caches, loops, material
from benchmarks.options import MIB
from formats.core.model import (
    Algorithm,
    Codec,
    Declared,
    Examined,
    ExtentBatch,
    KernelResult,
    Payload,
)
from scanner.config import UNIT_BYTES, WINDOW_BYTES


def batch(check, *rows):
    offset, length = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    return ExtentBatch(check, "toy", 0, offset, length)


def calls(check, *rows):
    """Return the (start, end) ranges called inside windows, and those that reach over an end."""
    inside, torn = {}, {}
    for offset, length, plain in loops.rows_of(batch(check, *rows)):
        loops.spread(batch(check, *rows), offset, length, plain, inside, torn, set())
    return (
        [(start, end) for window in sorted(inside) for start, end, _call in inside[window]],
        [(start, end) for window in sorted(torn) for start, end, _call in torn[window]],
    )


def examined(stride):
    return Examined(lambda _elements, _offset, _origin: KernelResult(), stride)


def test_kernels_get_every_element_once():
    inside, torn = calls(examined(10), (WINDOW_BYTES - 15, 40))
    assert inside == [(WINDOW_BYTES - 15, WINDOW_BYTES - 5), (WINDOW_BYTES + 5, WINDOW_BYTES + 25)]
    assert torn == [(WINDOW_BYTES - 5, WINDOW_BYTES + 5)]


def test_a_short_last_element_is_handed_over():
    inside, torn = calls(examined(10), (0, 25))
    assert (inside, torn) == ([(0, 25)], [])


def test_an_extent_over_several_windows_is_covered_without_holes_or_overlaps():
    start, length = WINDOW_BYTES - 3, 3 * WINDOW_BYTES
    inside, torn = calls(examined(7), (start, length))
    covered = sorted(inside + torn)
    assert covered[0][0] == start
    assert covered[-1][1] == start + length
    assert all(first[1] == second[0] for first, second in pairwise(covered))


def test_payload_is_looked_at_once_in_each_unit():
    inside, torn = calls(Payload(), (5, 2 * UNIT_BYTES))
    assert inside == [
        (5, WINDOW_BYTES),
        (UNIT_BYTES, UNIT_BYTES + WINDOW_BYTES),
        (2 * UNIT_BYTES, 2 * UNIT_BYTES + 5),
    ]
    assert torn == []


def test_zeros_are_looked_for_in_all_bytes():
    inside, torn = calls(Declared(Algorithm.ZEROS), (1, WINDOW_BYTES))
    assert (inside, torn) == ([(1, WINDOW_BYTES), (WINDOW_BYTES, WINDOW_BYTES + 1)], [])


def test_a_compressed_extent_is_decoded_in_one_piece():
    check = Declared(None, Codec.DEFLATE)
    inside, torn = calls(check, (0, 10), (WINDOW_BYTES - 5, 10))
    assert (inside, torn) == ([(0, 10)], [(WINDOW_BYTES - 5, WINDOW_BYTES + 5)])


def test_a_check_without_a_bare_loop_is_not_passed_over():
    with pytest.raises(NotImplementedError, match="no bare loop"):
        calls(Declared(Algorithm.MD5), (0, 10))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("loop", [loops.read_only, loops.direct, loops.bare])
def test_loops_go_through_the_whole_file(tmp_path, loop, threads):
    path = tmp_path / "raw"
    size = 3 * MIB + 100
    material.make_raw(path, size)()
    if loop is loops.direct and not caches.may_read_directly(path):
        pytest.skip("this file system refuses O_DIRECT")
    assert path.stat().st_size == size
    assert loop(path, threads)() == size


def test_material_is_the_same_every_time(tmp_path):
    for name in ("one", "two"):
        material.make_raw(tmp_path / name, 9 * MIB)()
    first, second = ((tmp_path / name).read_bytes() for name in ("one", "two"))
    assert first == second
    assert not any(first[7 * MIB : 8 * MIB])
    assert first[MIB : MIB + 10].isascii()
    assert first[:MIB] != first[2 * MIB : 3 * MIB]


def test_small_files_are_many_and_small(tmp_path):
    tree = tmp_path / "tree"
    material.make_small(tree, 150)()
    files = [path for path in tree.rglob("*") if path.is_file()]
    assert len(files) == 150
    assert len(list(tree.iterdir())) == 2
    assert min(path.stat().st_size for path in files) > 0
    assert max(path.stat().st_size for path in files) <= material.SMALL_SIZE_MAX
