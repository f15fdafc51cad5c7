"""Files no format speaks for: whether there is anything in them at all."""

import pytest
import xxhash

from formats.core.model import Bearing
from scanner.config import MIB
from scanner.engine.generic import CHECKS, checks
from scanner.engine.reading import zero_digest
from scanner.results import Stamps
from tests.scanner.engine.runs import coordinates


def found(content: bytes, allocated: int | None = None) -> list[tuple]:
    digests = b"".join(
        xxhash.xxh3_128_digest(content[start : start + MIB])
        for start in range(0, len(content), MIB)
    )
    stamps = Stamps(len(content), 1, 1, 1, len(content) if allocated is None else allocated)
    rows = checks(stamps, digests)
    assert all(row.bearing is Bearing.DOUBTFUL for row in rows)
    assert all(row.check in CHECKS for row in rows)
    return coordinates(rows)


def test_no_bytes_at_all():
    assert found(b"") == [("generic.size", "mismatched", 0, 0)]


@pytest.mark.parametrize("size", [1, MIB - 1, MIB, MIB + 1, 3 * MIB, 3 * MIB + 5])
def test_nothing_but_zeros(size):
    assert found(bytes(size)) == [("generic.content", "mismatched", 0, size)]


@pytest.mark.parametrize("place", [0, MIB - 1])
def test_one_byte_is_content(place):
    content = bytearray(MIB)
    content[place] = 1
    assert found(bytes(content)) == []


@pytest.mark.parametrize(
    ("zeros", "expected"),
    [
        (0, []),
        (MIB, []),
        (2 * MIB, [("generic.tail", "mismatched", MIB, 2 * MIB)]),
        (2 * MIB + 5, [("generic.tail", "mismatched", MIB, 2 * MIB + 5)]),
    ],
)
def test_a_tail_of_zeros_is_told_from_where_it_begins(zeros, expected):
    assert found(b"x" * MIB + bytes(zeros)) == expected


def test_a_hole_in_the_middle_is_no_tail():
    assert found(b"x" + bytes(4 * MIB) + b"x") == []


@pytest.mark.parametrize(("allocated", "told"), [(MIB - 1, True), (MIB, False), (4 * MIB, False)])
def test_far_fewer_blocks_than_the_size_asks_for_are_told(allocated, told):
    rows = found(b"x" * (2 * MIB), allocated)
    assert rows == ([("generic.allocation", "mismatched", None, None)] if told else [])


def test_unknown_allocation_is_not_zero():
    stamps = Stamps(MIB, 1, 1, 1, None)
    assert checks(stamps, xxhash.xxh3_128_digest(b"x" * MIB)) == ()


def test_zeros_are_known_by_their_digest():
    assert zero_digest(5) == xxhash.xxh3_128_digest(bytes(5))
