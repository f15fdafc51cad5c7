"""Evidence as a format's `inspect` gathers it: one row per finding, up to a limit per check."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from formats.core.errors import FormatError, Truncated, Unsupported
from formats.core.model import Bearing, Evidence, Outcome, Source

BAD_ROWS_MAX = 100
"""Bad rows kept one by one, per check; the rest become one row with a count."""

Offsets: TypeAlias = npt.NDArray[np.int64]


class Findings:
    """The evidence of one image, in the order it was found.

    Bad rows beyond `BAD_ROWS_MAX` of one check, outcome and bearing are only counted.
    """

    def __init__(self) -> None:
        self._rows: list[Evidence] = []
        self._kept: dict[tuple[str, Outcome, Bearing], int] = {}
        self._counted: dict[tuple[str, Outcome, Bearing], Evidence] = {}

    @property
    def rows(self) -> tuple[Evidence, ...]:
        """All rows, the counted ones last."""
        return (*self._rows, *self._counted.values())

    def add(self, row: Evidence) -> None:
        """Take one row."""
        if row.bad:
            key = (row.check, row.outcome, row.bearing)
            kept = self._kept.get(key, 0)
            if kept >= BAD_ROWS_MAX:
                self._count(key, row.count)
                return
            self._kept[key] = kept + 1
        self._rows.append(row)

    def add_each(self, row: Evidence, offsets: Offsets, actual: Callable[[int], str]) -> None:
        """Take ``row`` once per offset; ``actual`` is asked, by index, for those kept singly."""
        if not len(offsets):
            return
        key = (row.check, row.outcome, row.bearing)
        single = min(len(offsets), BAD_ROWS_MAX - self._kept.get(key, 0))
        for index in range(single):
            self.add(replace(row, offset=int(offsets[index]), actual=actual(index)))
        if len(offsets) > single:
            self._count(key, len(offsets) - single)

    def matched(
        self, check: str, offset: int | None, length: int, *, count: int = 1, vouched_bytes: int = 0
    ) -> None:
        """Take one row of good news."""
        row = Evidence(
            check, Outcome.MATCHED, offset, length, count=count, vouched_bytes=vouched_bytes
        )
        self.add(row)

    def reaches(
        self,
        check: str,
        size: int,
        needed: int,
        *,
        bearing: Bearing = Bearing.NEEDED,
        count: int = 1,
    ) -> None:
        """Say whether a file of ``size`` bytes reaches to ``needed``.

        ``count`` elements lie beyond its end where it does not.
        """
        if size >= needed:
            self.matched(check, None, needed)
            return
        row = Evidence(
            check,
            Outcome.TRUNCATED,
            size,
            needed - size,
            f"{needed} bytes",
            f"{size} bytes",
            bearing,
            count=max(count, 1),
        )
        self.add(row)

    @contextmanager
    def catching(self, bearing: Bearing = Bearing.NEEDED) -> Iterator[None]:
        """Turn a `FormatError` raised inside into a row, and go on behind the block."""
        try:
            yield
        except FormatError as error:
            self.add(as_evidence(error, bearing))

    def _count(self, key: tuple[str, Outcome, Bearing], count: int) -> None:
        check, outcome, bearing = key
        before = self._counted.get(key)
        if before is None:
            self._counted[key] = Evidence(check, outcome, bearing=bearing, count=count)
        else:
            self._counted[key] = replace(before, count=before.count + count)


def as_evidence(error: FormatError, bearing: Bearing = Bearing.NEEDED) -> Evidence:
    """Return the row that says what ``error`` says."""
    match error:
        case Truncated():
            outcome = Outcome.TRUNCATED
        case Unsupported():
            outcome = Outcome.UNSUPPORTED
        case _:
            outcome = Outcome.MISMATCHED
    return Evidence(
        error.check,
        outcome,
        error.offset,
        error.length,
        error.expected,
        error.actual,
        bearing,
    )


def read_under(check: str, source: Source, offset: int, length: int) -> bytes:
    """Return exactly ``length`` bytes, or raise `Truncated` in the name of ``check``."""
    if offset < 0 or offset + length > source.size:
        raise Truncated(offset, length, source.size, check=check)
    return source.read_at(offset, length)


def demand(
    check: str, offset: int, length: int, *, holds: bool, expected: str, actual: str
) -> None:
    """Raise `FormatError` in the name of ``check`` unless ``holds``."""
    if not holds:
        raise FormatError(check, offset=offset, length=length, expected=expected, actual=actual)
