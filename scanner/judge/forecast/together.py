"""All next fulls of one place together: each may fit alone where all of them do not."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from formats.core.model import Kind
from scanner.judge import words
from scanner.judge.forecast.fitting import Prospect, prospect
from scanner.judge.forecast.forecast import Forecast
from scanner.judge.forecast.growth import Estimate
from scanner.judge.forecast.room import (
    Ground,
    Room,
    Said,
    repository_allotment,
    room_in,
    room_on,
    tightest,
)
from scanner.judge.sources.model import Source

WITHIN = timedelta(days=31)
"""Fulls due later than this come round after others have come and gone again."""


@dataclass(frozen=True, slots=True)
class Together:
    """The next fulls that share one room; ``sources`` are their ids.

    ``needed_bytes`` leaves out what they overwrite.
    """

    repository_ids: tuple[int, ...]
    sources: tuple[str, ...]
    needed_bytes: int
    room: Room
    outcome: Prospect
    text: str


def together(
    found: Sequence[tuple[Source, Sequence[Forecast]]], ground: Ground
) -> tuple[Together, ...]:
    """Return what the next fulls of each room need together, where there are several."""
    fulls = [(source, item) for source, items in found for item in items if counts(item, ground)]
    tightest_of: dict[tuple[str, ...], Together] = {}
    for numbers, said in rooms(ground):
        item = summed(numbers, said, fulls, ground)
        if item is None:
            continue
        known = tightest_of.get(item.sources)
        # An allotment and the file system it lies on hold the same fulls: the tighter one counts.
        if known is None or free(item) < free(known):
            tightest_of[item.sources] = item
    return tuple(tightest_of.values())


def free(item: Together) -> int:
    """Return what is left of a room."""
    return item.room.free_bytes or 0


def counts(item: Forecast, ground: Ground) -> bool:
    """Whether a forecast is of a full that comes soon."""
    return item.kind is Kind.FULL and item.due_at is not None and item.due_at - ground.now <= WITHIN


def rooms(ground: Ground) -> Iterator[tuple[tuple[int, ...], list[Said]]]:
    """Yield each room with its repositories: a file system, or what is allotted to one of them."""
    by_filesystem: dict[str, list[int]] = {}
    for number, row in sorted(ground.repositories.items()):
        by_filesystem.setdefault(row.filesystem, []).append(number)
    for numbers in by_filesystem.values():
        spaces = [ground.spaces[number] for number in numbers if number in ground.spaces]
        if spaces:
            newest = max(spaces, key=lambda item: (item.measured_at, item.repository_id))
            yield tuple(numbers), list(room_on(newest))
        for number in numbers:
            if repository_allotment(number, ground) is not None:
                yield (number,), list(room_in(number, ground))


def summed(
    numbers: tuple[int, ...],
    said: Sequence[Said],
    fulls: Iterable[tuple[Source, Forecast]],
    ground: Ground,
) -> Together | None:
    """Return what the fulls in one room need together; None where there are not several."""
    here = [(source, item) for source, item in fulls if item.repository_id in numbers]
    room = tightest(said)
    if len(here) < 2 or room is None or room.free_bytes is None:  # noqa: PLR2004 - several
        return None
    need = sum(item.likely_bytes if item.founded else item.low_bytes for _, item in here)
    replaced = sum(item.replaced_bytes for _, item in here)
    size = Estimate(
        sum(item.low_bytes for _, item in here),
        need,
        sum(item.high_bytes for _, item in here),
        "all of them",
    )
    paths = " and ".join(repr(ground.repositories[number].path) for number in numbers)
    every = "both" if len(here) == 2 else f"all {len(here)}"  # noqa: PLR2004 - how it is said
    text = (
        f"{every} next fulls in {paths} together need "
        f"{words.size(max(need - replaced, 0))}; {words.size(room.free_bytes)} are free"
    )
    return Together(
        numbers,
        tuple(source.id for source, _ in here),
        max(need - replaced, 0),
        room,
        prospect(size, room, replaced),
        text,
    )
