"""Judge pages by the database's own maps, when every byte of the set has been seen.

A backup copies whole extents, so it holds pages that nothing ever wrote to: zeros, or what stood
on the disk before. Only a page that its map calls allocated can be wrong. And where pages are
copied twice, only the last copy counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from formats.core.findings import Findings
from formats.core.model import Bearing, Evidence, Outcome
from formats.sqlserver_bak.maps import Maps
from formats.sqlserver_bak.page_rows import (
    Bytes,
    Extents,
    Ints,
    Mask,
    PageRows,
    concatenated,
)
from formats.sqlserver_bak.pages import (
    ALIEN,
    BAD_SUM,
    BEYOND,
    CIPHERED,
    CIPHERED_GOOD,
    CIPHERED_SUM,
    EXTENT_PAGES,
    GOOD,
    PAGE_BYTES,
    PLAIN,
    STATES,
    TORN_BAD,
    TORN_GOOD,
    ZERO,
)
from formats.sqlserver_bak.reports import Problem, report_places

PAGE_SUM = "sqlserver_bak.page.checksum"
PAGE_TORN = "sqlserver_bak.page.torn_bits"
PAGE_PRESENT = "sqlserver_bak.page.present"
PAGE_UNPROTECTED = "sqlserver_bak.page.unprotected"
PAGE_CIPHERED = "sqlserver_bak.page.ciphered"
PAGE_UNJUDGED = "sqlserver_bak.page.unjudged"

CHECKS: Mapping[str, str] = {
    PAGE_SUM: "The checksum in the header of an allocated page holds.",
    PAGE_TORN: "All sectors of an allocated page were written at one time, by their last bits.",
    PAGE_PRESENT: "Where a page is allocated, that page stands, not zeros or another one.",
    PAGE_UNPROTECTED: "Allocated pages carry a checksum or torn-page bits.",
    PAGE_CIPHERED: "Encrypted pages carry a checksum over what is stored.",
    PAGE_UNJUDGED: "An allocation map is there for every page that looks wrong.",
}

SUSPECTS_MAX = 1 << 20
"""Extents with pages in doubt that are looked at one by one; more are only counted."""

LOST_STATES = (ZERO, ALIEN)


@dataclass(slots=True)
class Counts:
    """What is counted on the way through all extents."""

    allocated: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(STATES, np.int64))
    unjudged: int = 0
    beyond_limit: int = 0


@dataclass(frozen=True, slots=True)
class Suspects:
    """Extents with pages in doubt: bit masks of pages, one element an extent.

    ``wrong`` pages have the right number and a checksum that fails, ``torn`` ones torn bits that
    differ, ``lost`` ones are zeros or another page. ``sure`` says that the map decides.
    """

    extents: Extents
    wrong: Bytes
    torn: Bytes
    lost: Bytes
    known: Mask
    sure: Mask


def judge_pages(findings: Findings, rows: PageRows, maps: Maps, *, vouch: bool) -> None:
    """Judge every page of a set; without ``vouch`` something coarser does."""
    totals = state_totals(rows)
    # A checksum that holds over encrypted bytes proves what it runs over; then it binds all.
    ciphered_sums_hold = bool(totals[CIPHERED_GOOD])
    bad_states = (BAD_SUM, CIPHERED_SUM) if ciphered_sums_hold else (BAD_SUM,)
    counts = Counts()
    suspects: list[Suspects] = []
    left = SUSPECTS_MAX
    for extents in rows.chunks():
        found = look_at(extents, maps, bad_states, counts)
        if len(found.extents) > left:
            counts.beyond_limit += len(found.extents) - left
            found = first_of(found, left)
        left -= len(found.extents)
        if len(found.extents):
            suspects.append(found)
    if suspects:
        report_suspects(findings, joined(suspects), rows)
    unread = totals[CIPHERED] + (0 if ciphered_sums_hold else totals[CIPHERED_SUM])
    report_counts(findings, counts, int(unread), vouch=vouch)


def look_at(extents: Extents, maps: Maps, bad_states: Sequence[int], counts: Counts) -> Suspects:
    """Count pages by their state and return the extents with pages in doubt."""
    extents = extents.take(extents.file > 0)
    allocated, known, stable = maps.allocated(extents.file, extents.extent)
    # Unknown allocation: a flip would still be noticed, so the page counts as one that matters.
    matters = np.where(known, allocated, np.uint8(0xFF))
    matters[extents.weak] = 0
    count_states(counts, extents.states, matters)
    wrong = mask_of(extents.states, bad_states) & matters
    torn = mask_of(extents.states, (TORN_BAD,)) & matters
    lost = mask_of(extents.states, LOST_STATES) & matters
    counts.unjudged += int(np.bitwise_count(lost[~known]).sum())
    lost[~known] = 0
    chosen = np.flatnonzero((wrong | torn | lost) != 0)
    return Suspects(
        extents.take(chosen),
        wrong[chosen],
        torn[chosen],
        lost[chosen],
        known[chosen],
        stable[chosen],
    )


def count_states(counts: Counts, states: npt.NDArray[np.uint32], matters: Bytes) -> None:
    """Add up the pages that matter, by their state."""
    for place in range(EXTENT_PAGES):
        chosen = (matters >> place) & 1 == 1
        nibbles = (states[chosen] >> np.uint32(4 * place)) & np.uint32(15)
        counts.allocated += np.bincount(nibbles, minlength=STATES)


def mask_of(states: npt.NDArray[np.uint32], wanted: Sequence[int]) -> Bytes:
    """Return which of the eight pages of each extent are in one of the states."""
    unique, inverse = np.unique(states, return_inverse=True)
    masks = [
        sum(1 << place for place in range(EXTENT_PAGES) if (value >> 4 * place) & 15 in wanted)
        for value in unique.tolist()
    ]
    return np.array(masks, np.uint8)[inverse]


def joined(suspects: Sequence[Suspects]) -> Suspects:
    """Put the suspects of all chunks into one."""
    return Suspects(
        concatenated([item.extents for item in suspects]),
        np.concatenate([item.wrong for item in suspects]),
        np.concatenate([item.torn for item in suspects]),
        np.concatenate([item.lost for item in suspects]),
        np.concatenate([item.known for item in suspects]),
        np.concatenate([item.sure for item in suspects]),
    )


def first_of(found: Suspects, count: int) -> Suspects:
    """Return the first of the suspects."""
    chosen = np.arange(count)
    return Suspects(
        found.extents.take(chosen),
        found.wrong[:count],
        found.torn[:count],
        found.lost[:count],
        found.known[:count],
        found.sure[:count],
    )


def report_suspects(findings: Findings, found: Suspects, rows: PageRows) -> None:
    """Report pages in doubt, but for those of which a good copy follows."""
    good = good_elsewhere(found.extents, rows)
    for mask, check, expected, actual in (
        (found.wrong, PAGE_SUM, "a checksum that holds", "another one"),
        (found.torn, PAGE_TORN, "one write", "parts of two"),
        (found.lost, PAGE_PRESENT, "the allocated page", "zeros or another page"),
    ):
        surely = found.known & (found.sure | (mask is not found.lost))
        for chosen, bearing in (
            (mask & good, Bearing.REDUNDANT),
            (np.where(surely, mask & ~good, np.uint8(0)), Bearing.NEEDED),
            (np.where(surely, np.uint8(0), mask & ~good), Bearing.DOUBTFUL),
        ):
            problem = Problem(check, Outcome.MISMATCHED, expected, actual, bearing)
            part, offset = places_of(found.extents, chosen)
            report_places(findings, problem, rows.members, part, offset, PAGE_BYTES)


def places_of(extents: Extents, mask: Bytes) -> tuple[Ints, Ints]:
    """Return part and offset of the pages in the mask."""
    parts, offsets = [], []
    for place in range(EXTENT_PAGES):
        chosen = (mask >> place) & 1 == 1
        parts.append(extents.part[chosen])
        offsets.append(extents.offset[chosen] + place * PAGE_BYTES)
    return np.concatenate(parts), np.concatenate(offsets)


def good_elsewhere(suspects: Extents, rows: PageRows) -> Bytes:
    """Return which pages of each suspect have a good copy that counts: a later one."""
    good = np.zeros(len(suspects), np.uint8)
    if len(rows.copies) < 2:  # noqa: PLR2004 - a single copy has no later one
        return good
    order = np.argsort(suspects.key, kind="stable")
    keys = suspects.key[order]
    for extents in rows.chunks():
        later = extents.take((extents.copy > 0) & np.isin(extents.key, keys))
        held = mask_of(later.states, (GOOD, CIPHERED_GOOD, TORN_GOOD, PLAIN))
        lows, highs = np.searchsorted(keys, later.key), np.searchsorted(keys, later.key, "right")
        for low, high, copy, mask in zip(lows, highs, later.copy, held, strict=True):
            same = order[low:high]
            good[same[suspects.copy[same] < copy]] |= mask
    return good


def report_counts(findings: Findings, counts: Counts, ciphered: int, *, vouch: bool) -> None:
    """Report what was counted."""
    held = int(counts.allocated[GOOD] + counts.allocated[CIPHERED_GOOD])
    for check, outcome, count, vouched in (
        (PAGE_SUM, Outcome.MATCHED, held, PAGE_BYTES * held if vouch else 0),
        (PAGE_TORN, Outcome.MATCHED, int(counts.allocated[TORN_GOOD]), 0),
        (PAGE_UNPROTECTED, Outcome.ABSENT, int(counts.allocated[PLAIN]), 0),
        (PAGE_CIPHERED, Outcome.UNSUPPORTED, ciphered, 0),
        (PAGE_UNJUDGED, Outcome.ABSENT, counts.unjudged, 0),
        (PAGE_UNJUDGED, Outcome.UNSUPPORTED, counts.beyond_limit, 0),
    ):
        if count:
            findings.add(Evidence(check, outcome, count=count, vouched_bytes=vouched))


def state_totals(rows: PageRows) -> Ints:
    """Count all pages by their state, allocated or not."""
    totals = np.zeros(STATES, np.int64)
    counts = rows.runs["count"].astype(np.int64)
    for place in range(EXTENT_PAGES):
        nibbles = (rows.runs["states"] >> np.uint32(4 * place)) & np.uint32(15)
        totals += np.bincount(nibbles, weights=counts, minlength=STATES).astype(np.int64)
    totals[BEYOND] = 0
    return totals
