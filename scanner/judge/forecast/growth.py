"""How large the next of several backups will be, from their sizes and times alone.

Theil and Sen's line: its slope is the median of the slopes between all pairs, so that a third of
the backups may be outliers and it does not move. What it is wrong by is the median of what it was
wrong by before, and never less than a share that shrinks as there is more to go by.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from statistics import median

MEASURES_MAX = 12
"""Only so many of the newest backups count, so that what was years ago is forgotten."""

ONE_WIDTH = 0.2
"""How far the next may be from the only one there is; a share of its size, divided by how many."""

WIDTH_MIN = 0.02
"""No prediction is surer than this share."""

MAD_TO_SIGMA = 1.4826
SIGMAS = 3


@dataclass(frozen=True, slots=True)
class Dated:
    """A size at a time."""

    at: datetime
    size_bytes: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """Between which sizes the next backup will lie, and where in between.

    ``basis`` says in words what it rests on. ``founded`` is whether ``likely_bytes`` rests on more
    than the size of the source, which a thin image may be far below.
    """

    low_bytes: int
    likely_bytes: int
    high_bytes: int
    basis: str
    founded: bool = True


def around(likely: float, width: float) -> tuple[float, float, float]:
    """Return a value with what may be below and above it."""
    return max(likely - width, 0.0), likely, likely + width


def width_of(values: Sequence[float], likely: float, residuals: Sequence[float]) -> float:
    """Return how far off a prediction may be."""
    share = max(WIDTH_MIN, ONE_WIDTH / len(values))
    spread = median(abs(item) for item in residuals) if residuals else 0.0
    return max(share * likely, SIGMAS * MAD_TO_SIGMA * spread)


def trend(history: Sequence[Dated], due: datetime | None) -> tuple[float, float, float]:
    """Return low, likely and high at a time, in whatever order the measures are.

    The line is followed no further ahead than there is history behind it, and never to less than
    what was the least so far. The next may be as far off the line as the last one was.
    """
    newest = sorted(history, key=lambda item: (item.at, item.size_bytes))[-MEASURES_MAX:]
    last = newest[-1]
    days = [(item.at - last.at).total_seconds() / 86_400 for item in newest]
    sizes = [item.size_bytes for item in newest]
    slope = steepness(days, sizes)
    level = median(size - slope * day for day, size in zip(days, sizes, strict=True))
    ahead = 0.0 if due is None else (due - last.at).total_seconds() / 86_400
    likely = level + slope * min(max(ahead, 0.0), -days[0])
    likely = max(likely, min(sizes))
    residuals = [size - level - slope * day for day, size in zip(days, sizes, strict=True)]
    low, likely, high = around(likely, width_of(sizes, likely, residuals))
    again = likely + residuals[-1]
    return max(min(low, again), 0.0), likely, max(high, again)


def steepness(days: Sequence[float], sizes: Sequence[float]) -> float:
    """Return the median slope, in bytes a day; 0 where nothing lies at two times."""
    points = list(zip(days, sizes, strict=True))
    slopes = [
        (size - before) / (day - earlier)
        for (earlier, before), (day, size) in combinations(points, 2)
        if day > earlier
    ]
    return median(slopes) if slopes else 0.0


def usual(history: Sequence[Dated]) -> tuple[float, float, float]:
    """Return low, likely and high of what has no trend: the median."""
    newest = sorted(history, key=lambda item: (item.at, item.size_bytes))[-MEASURES_MAX:]
    sizes = [item.size_bytes for item in newest]
    likely = median(sizes)
    residuals = [size - likely for size in sizes]
    # The usual increment says little of the next one, however many there were.
    width = max(width_of(sizes, likely, residuals), ONE_WIDTH * likely)
    return around(likely, width)
