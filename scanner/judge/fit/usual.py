"""What is usual of a source: how large its earlier backups of one kind were.

Robust: the median, and the median distance from it (MAD), neither of which an outlier moves. A size
far from the median is still usual where it comes round: sizes that alternate, a large increment
each Monday, logs that are empty at night. So it is unusual only if nearly no earlier backup was
like it, and none at the same time of the week before.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from math import ceil
from statistics import median

from formats.core.model import Kind
from scanner.config import MIB, USUAL_MIN, USUAL_SPAN, USUAL_WINDOW

MAD_TO_SIGMA = 1.4826
"""Makes the MAD of normal sizes their standard deviation."""

SCALES = 5
SCALE_SHARE_MIN = 0.02
SCALE_BYTES_MIN = MIB
"""Sizes that were all the same leave no MAD; one block more or less is still no news."""

SEEN_LARGER = 2
"""What was so large as often as this before is no news."""

WEEK = timedelta(days=7)
WEEKS_BACK = 8
NEAR_MIN = timedelta(hours=1)
NEAR_MAX = timedelta(hours=12)
"""Backups this near to the same time of another week were made at that time of the week."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How far from the median is unusual, as shares of it.

    A size is no news either where ``seen_share`` of the earlier ones were as small.
    """

    low: float
    high: float
    seen_share: float


FULLS = Limits(low=0.7, high=1.5, seen_share=0.2)
OTHERS = Limits(low=0.5, high=2.0, seen_share=0.1)


class Compared(StrEnum):
    """How a size compares with what is usual."""

    LEARNING = "learning"
    USUAL = "usual"
    SMALLER = "smaller"
    LARGER = "larger"


@dataclass(frozen=True, slots=True)
class Past:
    """Sizes of one kind of backup, oldest first; ``times`` and ``sizes`` run in parallel."""

    times: tuple[datetime, ...] = ()
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """A size beside earlier ones: ``count`` of them, over ``span``.

    ``usual_bytes`` is their median, None while there are too few.
    """

    compared: Compared
    usual_bytes: int | None
    count: int
    span: timedelta


def past_of(sizes: Iterable[tuple[datetime, int]]) -> Past:
    """Return sizes in order, in whatever order they come."""
    ordered = sorted(sizes)
    return Past(tuple(at for at, _ in ordered), tuple(size for _, size in ordered))


def compare(past: Past, at: datetime, size: int, kind: Kind | None) -> Comparison:
    """Compare a backup made at a time with those made before.

    Of an unknown kind nothing is unusual: it may be a full between increments.
    """
    count = bisect_left(past.times, at)
    span = past.times[count - 1] - past.times[0] if count else timedelta()
    if count < USUAL_MIN:
        return Comparison(Compared.LEARNING, None, count, span)
    window = sorted(past.sizes[max(0, count - USUAL_WINDOW) : count])
    # Of what is in order the median is at hand; `statistics.median` would sort it once more.
    middle = (window[(len(window) - 1) // 2] + window[len(window) // 2]) / 2
    if kind is not Kind.FULL and span < USUAL_SPAN:
        outcome = Compared.LEARNING
    elif kind is None:
        outcome = Compared.USUAL
    else:
        limits = FULLS if kind is Kind.FULL else OTHERS
        outcome = beside(size, window, middle, limits)
        if outcome is not Compared.USUAL and kind is not Kind.FULL:
            before = same_time(past, at, count)
            outcome = outcome if is_news(size, before, outcome, limits) else Compared.USUAL
    return Comparison(outcome, round(middle), count, span)


def beside(size: int, window: Sequence[int], middle: float, limits: Limits) -> Compared:
    """Compare a size with earlier ones, whenever those were made."""
    distance = abs(size - middle)
    # The MAD takes another walk through the window, which most sizes need not.
    if limits.low * middle <= size <= limits.high * middle:
        return Compared.USUAL
    if distance <= SCALES * scale(window, middle):
        return Compared.USUAL
    if size < middle:
        seen = sum(1 for other in window if size >= limits.low * other)
        enough = max(2, ceil(limits.seen_share * len(window)))
        return Compared.USUAL if seen >= enough else Compared.SMALLER
    seen = sum(1 for other in window if size <= limits.high * other)
    return Compared.USUAL if seen >= SEEN_LARGER else Compared.LARGER


def scale(window: Sequence[int], middle: float) -> float:
    """Return how far from the median sizes usually are."""
    spread = MAD_TO_SIGMA * median(abs(size - middle) for size in window)
    return max(spread, SCALE_SHARE_MIN * middle, SCALE_BYTES_MIN)


def is_news(size: int, before: Iterable[int], outcome: Compared, limits: Limits) -> bool:
    """Whether none of the backups at the same time of other weeks was as small, or as large."""
    if outcome is Compared.SMALLER:
        return not any(size >= limits.low * other for other in before)
    return not any(size <= limits.high * other for other in before)


def same_time(past: Past, at: datetime, count: int) -> list[int]:
    """Return the sizes of backups made at this time of earlier weeks."""
    newest = past.times[max(0, count - USUAL_WINDOW) : count]
    gaps = ((after - one).total_seconds() for one, after in pairwise(newest))
    near = min(max(timedelta(seconds=median(gaps)), NEAR_MIN), NEAR_MAX)
    found: list[int] = []
    for number in range(1, WEEKS_BACK + 1):
        moment = at - WEEK * number
        first, end = bisect_left(past.times, moment - near), bisect_left(past.times, moment + near)
        found.extend(past.sizes[first : min(end, count)])
    return found
