"""One row per format that is only recognised, and the one function that makes a `Format` of it.

Order is precedence: a row's probe is true only where its own test is and no earlier one is. The
own test runs first, so a file that is something else costs one small comparison per row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from formats.core.model import (
    Evidence,
    Format,
    Inspection,
    Neighbours,
    Outcome,
    Source,
    WriteModel,
    no_conclusion,
    no_extents,
)

Test: TypeAlias = Callable[[Source], bool]


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of a format that is not read yet.

    ``reference`` names where the test's bytes come from, ``seen`` the programs whose files the
    test was held against; empty where no real file could be had.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    test: Test
    write_model: WriteModel
    reference: str
    seen: str = ""


@dataclass(frozen=True, slots=True)
class Stands:
    """Test for any of ``magics``, none longer than ``longest``, at ``offset``."""

    offset: int
    magics: tuple[bytes, ...]
    longest: int

    def __call__(self, source: Source) -> bool:
        """Look once for all of them: every file there is passes here, dozens of times."""
        at = self.offset if self.offset >= 0 else source.size + self.offset
        return at >= 0 and piece(source, at, self.longest).startswith(self.magics)


def begins(*magics: bytes) -> Test:
    """Test for any of ``magics`` at the start of the file."""
    return stands(0, *magics)


def stands(offset: int, *magics: bytes) -> Test:
    """Test for any of ``magics`` at ``offset``; a negative one counts from the end."""
    return Stands(offset, magics, max(map(len, magics)))


@dataclass(frozen=True, slots=True)
class Every:
    """Test for all of ``tests``."""

    tests: tuple[Test, ...]

    def __call__(self, source: Source) -> bool:
        """Ask one after the other."""
        return all(test(source) for test in self.tests)


def every(*tests: Test) -> Test:
    """Test for all of ``tests``; one of what the file begins with comes first, for it is cheap."""
    return Every(tests)


def first_bytes(test: Test) -> frozenset[int] | None:
    """Return what the first byte of a file must be to pass a test; None where that is not known."""
    match test:
        case Stands(offset=0, magics=magics):
            return frozenset(magic[0] for magic in magics)
        case Every(tests=tests):
            known = [found for each in tests if (found := first_bytes(each)) is not None]
            return frozenset.intersection(*known) if known else None
        case _:
            return None


def either(*tests: Test) -> Test:
    """Test for any of ``tests``."""
    return lambda source: any(test(source) for test in tests)


def piece(source: Source, offset: int, length: int) -> bytes:
    """Return ``length`` bytes at ``offset``, or as many of them as there are."""
    size = source.size
    if offset + length > size:
        offset = min(offset, size)
        length = size - offset
    return source.read_at(offset, length)


def formats_of(rows: Sequence[Row], read_elsewhere: Test) -> tuple[Format, ...]:
    """Return a `Format` per row; all of them step back where ``read_elsewhere`` is true."""
    return tuple(
        as_format(row, (read_elsewhere, *(earlier.test for earlier in rows[:index])))
        for index, row in enumerate(rows)
    )


def as_format(row: Row, earlier: Sequence[Test]) -> Format:
    """Return the `Format` that names such a file and says that it is not supported yet."""
    check = f"{row.name}.format.support"
    verdict = Evidence(
        check,
        Outcome.UNSUPPORTED,
        expected="a format this version reads",
        actual=f"{row.title}, not supported yet",
    )

    def probe(source: Source) -> bool:
        return row.test(source) and not any(test(source) for test in earlier)

    def inspect(_source: Source, _neighbours: Neighbours) -> tuple[Inspection, ...]:
        return (Inspection(evidence=(verdict,)),)

    return Format(
        name=row.name,
        title=row.title,
        suffixes=row.suffixes,
        references=(row.reference,),
        revision=1,
        write_model=row.write_model,
        integrity="none is looked at yet: the file is named by its content and nothing is proven",
        limitations="recognised only",
        samples=row.seen or "no real file seen",
        checks={
            check: f"No file passes yet; it is only recognised, its inside not read: {row.title}."
        },
        probe=probe,
        inspect=inspect,
        extents=no_extents,
        conclude=no_conclusion,
        supported=False,
        first_bytes=first_bytes(row.test),
    )
