"""What an inspection gathers on its way: evidence, and how long the file must be."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from formats.core import findings as core
from formats.core.model import Bearing, Evidence, Outcome

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]


class Findings:
    """Evidence and `needed_bytes` of one image while it is being inspected.

    ``map_whole`` turns False when a table of the map could not be read: clusters that nothing
    refers to then say nothing.
    """

    def __init__(self) -> None:
        self.needed_bytes = 0
        self.map_whole = True
        self._rows = core.Findings()
        self._bad: set[str] = set()

    def need(self, end: int) -> None:
        """Note that the image refers to the bytes before ``end``."""
        self.needed_bytes = max(self.needed_bytes, end)

    def add(self, row: Evidence) -> None:
        """Keep a row, or only its count where a check has too many bad ones."""
        if row.bad:
            self._bad.add(row.check)
        self._rows.add(row)

    def mismatch(
        self,
        check: str,
        offset: int,
        length: int,
        expected: str,
        actual: str,
        bearing: Bearing = Bearing.NEEDED,
    ) -> None:
        """Keep a structure that contradicts the format."""
        self.add(Evidence(check, Outcome.MISMATCHED, offset, length, expected, actual, bearing))

    def unsupported(
        self,
        check: str,
        offset: int,
        length: int,
        expected: str,
        actual: str,
        bearing: Bearing = Bearing.NEEDED,
    ) -> None:
        """Keep a structure that this code does not read."""
        self.add(Evidence(check, Outcome.UNSUPPORTED, offset, length, expected, actual, bearing))

    def mismatch_entries(
        self,
        check: str,
        offsets: Ints,
        values: Words,
        expected: str,
        bearing: Bearing = Bearing.NEEDED,
    ) -> None:
        """Keep 8-byte table entries that contradict the format; ``values`` are what stands there.

        Only the rows that are kept one by one become Python objects.
        """
        if not len(offsets):
            return
        self._bad.add(check)
        row = Evidence(check, Outcome.MISMATCHED, None, 8, expected, None, bearing)
        self._rows.add_each(row, offsets, hex_of(values))

    def match(self, check: str, count: int = 1) -> None:
        """Keep the good news of a check, unless the check has already found something."""
        if count and check not in self._bad:
            self._rows.add(Evidence(check, Outcome.MATCHED, count=count))

    def reaches(self, check: str, size: int) -> None:
        """Say whether a file of ``size`` bytes holds everything that the image refers to."""
        self._rows.reaches(check, size, self.needed_bytes)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """All rows, the counted ones last."""
        return self._rows.rows


def hex_of(values: Words) -> Callable[[int], str]:
    """Return what spells one of ``values``."""
    return lambda index: f"{int(values[index]):#018x}"
