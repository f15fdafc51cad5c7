"""Sum up evidence: good rows of one kind become one, bad ones are kept up to a limit."""

from collections.abc import Iterable
from dataclasses import replace

from formats.core.model import Evidence
from scanner.config import EVIDENCE_PER_CHECK_MAX


def merged(rows: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """Sum up rows of the same kind; counts and vouched bytes stay what they were in all.

    Merging what was merged before changes nothing, so it may be done per unit and per file.
    """
    kinds: dict[tuple[object, ...], list[Evidence]] = {}
    for row in rows:
        kinds.setdefault((row.check, row.outcome, row.bearing, row.member), []).append(row)
    bad = [row for same in kinds.values() if same[0].bad for row in limited(same)]
    good = [together(same) for same in kinds.values() if not same[0].bad]
    return (*bad, *good)


def together(rows: list[Evidence]) -> Evidence:
    """Sum up good rows; what several speak of is no longer one range."""
    first = rows[0]
    if len(rows) == 1:
        return first
    return replace(
        first,
        offset=None,
        length=None,
        count=sum(row.count for row in rows),
        vouched_bytes=sum(row.vouched_bytes for row in rows),
    )


def limited(rows: list[Evidence]) -> list[Evidence]:
    """Keep the first bad rows of one kind, those with a place by offset, and count the rest."""
    telling = sorted((row for row in rows if is_telling(row)), key=place)
    kept, spare = telling[:EVIDENCE_PER_CHECK_MAX], telling[EVIDENCE_PER_CHECK_MAX:]
    more = sum(row.count for row in (*spare, *(row for row in rows if not is_telling(row))))
    if not more:
        return kept
    counted = replace(
        rows[0], offset=None, length=None, expected=None, actual=None, count=more, vouched_bytes=0
    )
    return [*kept, counted]


def is_telling(row: Evidence) -> bool:
    """Whether a row says more than how many."""
    return not (row.offset is None and row.expected is None and row.actual is None)


def place(row: Evidence) -> tuple[bool, int]:
    """Return where a row stands; rows without a place come last, in the order they came."""
    return row.offset is None, row.offset or 0
