"""Hypothesis strategies: bytes as a careless disk, a broken writer or an enemy would have them."""

from collections.abc import Iterable, Iterator, Sequence
from random import Random

from hypothesis import strategies as st

from formats.core.model import Source
from tests.drive import Driven
from tests.sources import Extended, Overlay, flipped

EDGE_BYTES = 4096
WIDTHS = (2, 4, 8)
REGION_BYTES_MAX = 512
# Too large for anything, too large to be signed, and just large enough to look possible.
SWEPT_NUMBERS = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\x7f", b"\x00\xff\xff\x00")


def seeded(seed: int | str) -> Random:
    """Return numbers that are the same in every run."""
    return Random(seed)  # noqa: S311 - damage is no secret


def bytes_like(heads: Sequence[bytes], max_size: int = 4096) -> st.SearchStrategy[bytes]:
    """Random bytes, often behind a head that makes a parser go further."""
    start = st.sampled_from([b"", *heads])
    return st.builds(bytes.__add__, start, st.binary(max_size=max_size))


def hot_places(driven: Driven, size: int) -> list[int]:
    """Return offsets where structures stand: what an inspection named, and the file's edges."""
    named = [(item.offset, item.length or 1) for item in driven.evidence if item.offset is not None]
    places = {*range(0, EDGE_BYTES, 4), *range(max(0, size - EDGE_BYTES), size, 4)}
    for offset, length in named:
        places |= set(range(offset, offset + min(length, REGION_BYTES_MAX), 4))
    return sorted(place for place in places if place < size)


def offsets(size: int, hot: Sequence[int]) -> st.SearchStrategy[int]:
    """Offsets in a file, half of them where structures stand."""
    anywhere = st.integers(0, size - 1)
    return st.one_of(anywhere, st.sampled_from(hot)) if hot else anywhere


def extreme_integers() -> st.SearchStrategy[bytes]:
    """Numbers at the ends of their width, in either byte order."""
    return st.one_of(
        st.builds(
            lambda value, order, width=width: value.to_bytes(width, order),
            st.sampled_from(sorted(extremes(width))),
            st.sampled_from(["little", "big"]),
        )
        for width in WIDTHS
    )


def extremes(width: int) -> Iterable[int]:
    """Return the numbers of ``width`` bytes at which code goes wrong."""
    top = 1 << (8 * width)
    return {0, 1, top - 1, top - 2, top - 512, top // 2, top // 2 - 1, top // 256}


@st.composite
def flips(draw: st.DrawFn, source: Source, hot: Sequence[int]) -> Overlay:
    """One flipped bit."""
    offset = draw(offsets(source.size, hot))
    return flipped(source, offset, draw(st.integers(0, 7)))


@st.composite
def hostile(draw: st.DrawFn, source: Source, hot: Sequence[int]) -> Overlay:
    """Extreme numbers written over some fields."""
    patches = {}
    for _ in range(draw(st.integers(1, 4))):
        number = draw(extreme_integers())
        offset = min(draw(offsets(source.size, hot)), source.size - len(number))
        patches[max(0, offset)] = number
    return Overlay(source, patches)


def swept(source: Source, hot: Sequence[int], size: int) -> Iterator[Extended]:
    """Yield the file with each number at each place, grown by a hole so that ranges may hold."""
    for offset in hot:
        for number in SWEPT_NUMBERS:
            if offset + len(number) <= source.size:
                yield Extended(Overlay(source, {offset: number}), size)


def cuts(needed_bytes: int, boundaries: Sequence[int]) -> st.SearchStrategy[int]:
    """Sizes below ``needed_bytes``, often one byte off a boundary."""
    near = sorted({place + step for place in boundaries for step in (-1, 0, 1)})
    below = [size for size in (*near, needed_bytes - 1) if 0 <= size < needed_bytes]
    anywhere = st.integers(0, needed_bytes - 1)
    return st.one_of(anywhere, st.sampled_from(below))
