"""Planning, by property: every element of every batch belongs to exactly one unit, the one where it
starts, however a file is cut.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.core.errors import FormatError
from formats.core.model import Algorithm, Codec, Declared, Examined, ExtentBatch, Payload
from scanner.engine import plan
from scanner.engine.plan import Task, Unit, overlapping, plan_span, union
from tests.scanner.engine import toys

SIZE_MAX = 3000


@st.composite
def extents(draw: st.DrawFn, size: int) -> list[tuple[int, int]]:
    """Sorted, disjoint, inside the file; some touch, none is empty."""
    marks = sorted(draw(st.sets(st.integers(0, size), min_size=2, max_size=12)))
    pairs = list(pairwise(marks))
    chosen = draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs)))
    return [
        (start, end - start) for (start, end), wanted in zip(pairs, chosen, strict=True) if wanted
    ]


@st.composite
def cuttings(draw: st.DrawFn) -> tuple[int, int, int]:
    """Return file size, unit and span; a span is a whole number of units."""
    unit = draw(st.integers(1, 700))
    return draw(st.integers(1, SIZE_MAX)), unit, unit * draw(st.integers(1, 5))


def planned(
    batches: Sequence[ExtentBatch], size: int, unit_bytes: int, span_bytes: int
) -> list[Unit]:
    return [
        unit
        for start in range(0, size, span_bytes)
        for unit in plan_span(start, min(start + span_bytes, size), batches, unit_bytes)
    ]


def pieces(task: Task) -> Iterator[tuple[int, int, int]]:
    """Yield offset, length and origin of each piece."""
    yield from zip(task.offset.tolist(), task.length.tolist(), task.origin.tolist(), strict=True)


def elements_of(offset: int, length: int, stride: int) -> list[tuple[int, int]]:
    """Cut a piece into elements of a stride; the last may be shorter."""
    return [
        (start, min(stride, offset + length - start))
        for start in range(offset, offset + length, stride)
    ]


def check_shape(units: Sequence[Unit], size: int, unit_bytes: int) -> None:
    """Units cover the file in order, and pieces are sorted and not empty."""
    assert [unit.offset for unit in units] == list(range(0, size, unit_bytes))
    assert sum(unit.length for unit in units) == size
    for unit in units:
        for task in unit.tasks:
            assert (np.diff(task.offset) >= 0).all()
            assert (task.length > 0).all()
            assert (task.offset >= unit.offset).all()
            assert (task.offset < unit.offset + unit.length).all()


@given(cut=cuttings(), stride=st.integers(1, 90), choice=st.data())
def test_every_element_of_a_kernel_is_in_the_unit_where_it_starts(cut, stride, choice):
    size, unit_bytes, span_bytes = cut
    rows = choice.draw(extents(size))
    check = toys.block_sums(stride)
    units = planned([toys.batch(check, rows)], size, unit_bytes, span_bytes)
    check_shape(units, size, unit_bytes)
    found: Counter[tuple[int, int]] = Counter()
    for unit in units:
        for task in unit.tasks:
            for offset, length, origin in pieces(task):
                assert (offset - origin) % stride == 0
                for start, element in elements_of(offset, length, stride):
                    assert unit.offset <= start < unit.offset + unit.length
                    found[start, element] += 1
    wanted = Counter(
        element for offset, length in rows for element in elements_of(offset, length, stride)
    )
    assert found == wanted


@given(
    cut=cuttings(), check=st.sampled_from([Payload(), Declared(Algorithm.ZEROS)]), data=st.data()
)
def test_every_byte_of_divisible_checks_is_in_its_unit(cut, check, data):
    size, unit_bytes, span_bytes = cut
    rows = data.draw(extents(size))
    units = planned([toys.batch(check, rows)], size, unit_bytes, span_bytes)
    check_shape(units, size, unit_bytes)
    covered = np.zeros(size, int)
    for unit in units:
        for task in unit.tasks:
            for offset, length, _origin in pieces(task):
                assert offset + length <= unit.offset + unit.length
                covered[offset : offset + length] += 1
    wanted = np.zeros(size, int)
    for offset, length in rows:
        wanted[offset : offset + length] = 1
    assert (covered == wanted).all()


@given(cut=cuttings(), data=st.data())
def test_extents_with_a_sum_stay_whole_with_their_digest(cut, data):
    size, unit_bytes, span_bytes = cut
    rows = data.draw(extents(size))
    digests = [offset.to_bytes(4, "big") for offset, _ in rows]
    check = Declared(Algorithm.CRC32)
    given_batch = toys.batch(check, rows, digests=digests, plain=[7 * at for at, _ in rows])
    units = planned([given_batch], size, unit_bytes, span_bytes)
    check_shape(units, size, unit_bytes)
    found = [
        (offset, length, task.digest[row].tobytes(), int(task.plain_length[row]))
        for unit in units
        for task in unit.tasks
        for row, (offset, length, _origin) in enumerate(pieces(task))
    ]
    wanted = [(at, length, at.to_bytes(4, "big"), 7 * at) for at, length in rows]
    assert found == wanted


@given(data=st.data(), first=st.integers(1, 50), second=st.integers(1, 50))
def test_batches_of_one_check_are_joined_and_lose_nothing(data, first, second):
    rows = data.draw(extents(1000))
    check, other = toys.block_sums(first), toys.block_sums(second)
    batches = [
        toys.batch(check, rows[::2]),
        toys.batch(other, rows),
        toys.batch(check, rows[1::2]),
    ]
    (unit,) = planned(batches, 1000, 1000, 1000)
    kinds = [task.check for task in unit.tasks]
    assert len(kinds) == len({id(kind) for kind in kinds})
    for kind in (check, other):
        found = [
            (at, length)
            for task in unit.tasks
            if task.check is kind
            for at, length, _origin in pieces(task)
        ]
        assert found == rows


@given(ranges=st.lists(st.tuples(st.integers(0, 500), st.integers(1, 90)), min_size=1, max_size=20))
def test_union_covers_the_same_bytes_once(ranges):
    offset = np.array([start for start, _ in ranges], np.int64)
    length = np.array([size for _, size in ranges], np.int64)
    start, size = union(offset, length)
    wanted = {place for at, many in ranges for place in range(at, at + many)}
    assert sum(size.tolist()) == len(wanted)
    covered = [
        place
        for at, many in zip(start.tolist(), size.tolist(), strict=True)
        for place in range(at, at + many)
    ]
    assert covered == sorted(wanted)


def test_batches_of_one_kernel_that_overlap_stay_apart():
    # Joined, the kernel would have to go back to bytes that are not in memory any more.
    check = toys.block_sums(64)
    batches = [toys.batch(check, [(0, 640), (1000, 64)]), toys.batch(check, [(64, 640)])]
    (unit,) = planned(batches, 2000, 2000, 2000)
    assert [list(pieces(task)) for task in unit.tasks] == [
        [(0, 640, 0), (1000, 64, 1000)],
        [(64, 640, 64)],
    ]
    touching = toys.batch(check, [(0, 64), (64, 64)])
    assert not overlapping(touching)
    assert overlapping(toys.batch(check, [(0, 65), (64, 64)]))


def test_overlapping_payload_is_weighed_once():
    batches = [toys.batch(Payload(), [(0, 300)]), toys.batch(Payload(), [(200, 300)])]
    (unit,) = planned(batches, 1000, 1000, 1000)
    (task,) = unit.tasks
    assert list(pieces(task)) == [(0, 500, 0)]


@pytest.mark.parametrize("unit_bytes", [512, 1024, 1025, 4096])
def test_an_element_across_a_unit_end_is_not_cut(unit_bytes):
    rows = [(100, 8192)]
    units = planned([toys.batch(toys.block_sums(513), rows)], 10_000, unit_bytes, 10 * unit_bytes)
    for unit in units:
        for task in unit.tasks:
            for offset, length, origin in pieces(task):
                last = offset + length == 100 + 8192
                assert last or (offset + length - origin) % 513 == 0


def test_a_span_sees_only_the_extents_that_start_in_it_or_are_cut_at_its_edge():
    whole = toys.batch(
        Declared(Algorithm.CRC32), [(0, 900), (950, 200)], digests=[b"aaaa", b"bbbb"]
    )
    payload = toys.batch(Payload(), [(0, 2000)])
    (unit,) = plan_span(1000, 2000, [whole, payload], 1000)
    assert [type(task.check) for task in unit.tasks] == [Payload]
    assert list(pieces(unit.tasks[0])) == [(1000, 1000, 0)]


def test_more_extents_than_any_file_has_are_refused(monkeypatch):
    monkeypatch.setattr(plan, "EXTENTS_PER_SPAN_MAX", 10)
    rows = [(at * 10, 5) for at in range(11)]
    with pytest.raises(FormatError) as caught:
        planned([toys.batch(Payload(), rows[:6]), toys.batch(Payload(), rows[6:])], 500, 500, 500)
    assert caught.value.check == "source.extents"
    assert (caught.value.offset, caught.value.length) == (0, 500)
    assert planned([toys.batch(Payload(), rows[:10])], 500, 500, 500)


def test_extents_elsewhere_do_not_count_against_a_span(monkeypatch):
    monkeypatch.setattr(plan, "EXTENTS_PER_SPAN_MAX", 10)
    rows = [(at * 10, 5) for at in range(40)]
    assert len(planned([toys.batch(Payload(), rows)], 400, 50, 100)) == 8


def test_compressed_extents_are_not_cut_although_zeros_are():
    zeros = Declared(Algorithm.ZEROS)
    packed = Declared(Algorithm.ZEROS, Codec.ZSTD)
    assert plan.divisible(zeros)
    assert not plan.divisible(packed)
    assert not plan.divisible(Declared(None, Codec.ZSTD))
    assert plan.divisible(Examined(lambda *_: None, 4))


def test_a_file_without_batches_is_read_all_the_same():
    assert planned([], 1000, 300, 600) == [
        Unit(0, 300),
        Unit(300, 300),
        Unit(600, 300),
        Unit(900, 100),
    ]
