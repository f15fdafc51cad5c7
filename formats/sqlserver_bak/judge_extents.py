"""Is every extent there that the set should store? The database's own maps say which.

A full backup stores the extents that its GAM pages call allocated, a differential those that its
DCM pages call changed. Seen in every complete set of SQL Server 2005 to 2025: none is missing.

An extent whose pages are all unreadable as pages cannot say which one it is. So what is missing is
held against the slots without a name and the slots whose bytes are not there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from formats.core.findings import Findings
from formats.core.model import Bearing, Evidence, Outcome
from formats.sqlserver_bak.maps import Maps
from formats.sqlserver_bak.page_rows import Extents, Mask, PageRows, concatenated
from formats.sqlserver_bak.pages import EXTENT_BYTES, GAM_EXTENTS, TYPE_DCM, TYPE_GAM
from formats.sqlserver_bak.reports import Problem, report_places
from formats.sqlserver_bak.state import DataFile, SetState

EXTENT_PRESENT = "sqlserver_bak.extent.present"
EXTENT_KNOWN = "sqlserver_bak.extent.identified"
EXTENT_MAP = "sqlserver_bak.extent.map"
DATA_PAGES = "sqlserver_bak.data.pages"

CHECKS: Mapping[str, str] = {
    EXTENT_PRESENT: "Every extent that the set should store, by the database's maps, is there.",
    EXTENT_KNOWN: "The pages of an extent say which extent it is, where no map could.",
    EXTENT_MAP: "A map, unchanged while the backup ran, covers every extent of the database.",
    DATA_PAGES: "There are at least as many pages as the configuration counts.",
}

# What the maps mean for sets of the other letters is assumed, not seen.
LETTERS_SEEN = frozenset("DI")
DIFFERENTIAL_LETTERS = frozenset("IGQ")
NAMELESS_MAX = 1 << 20
NAMELESS_PIECES_MAX = 2


@dataclass(slots=True)
class Present:
    """The extents that some slot holds: packed bits by file and GAM interval."""

    bits: dict[tuple[int, int], npt.NDArray[np.uint8]] = field(default_factory=dict)
    twice: int = 0

    def add(self, extents: Extents) -> None:
        """Note extents; ``twice`` counts those the first copy holds more than once."""
        interval = extents.extent // GAM_EXTENTS
        breaks = np.flatnonzero((np.diff(interval) != 0) | (np.diff(extents.file) != 0)) + 1
        starts = [0, *breaks.tolist()] if len(extents) else []
        for start, end in zip(starts, [*starts[1:], len(extents)], strict=False):
            key = (int(extents.file[start]), int(interval[start]))
            flags = self.flags(*key)
            before = int(flags.sum())
            flags[extents.extent[start:end] % GAM_EXTENTS] = True
            first = ((extents.copy[start:end] == 0) & ~extents.weak[start:end]).all()
            self.twice += max(0, end - start + before - int(flags.sum())) if first else 0
            self.bits[key] = np.packbits(flags)

    def flags(self, file: int, interval: int) -> Mask:
        """Return which extents of one interval are there."""
        packed = self.bits.get((file, interval))
        if packed is None:
            return np.zeros(GAM_EXTENTS, np.bool_)
        return np.unpackbits(packed, count=GAM_EXTENTS).astype(np.bool_)


@dataclass(frozen=True, slots=True)
class Missing:
    """Extents that the maps expect and no slot holds.

    ``needed`` hold allocated pages and ``unknown`` may: the rest is no loss. ``sure`` says that
    the map decides.
    """

    expected: int
    unmapped: int
    needed: Mask
    unknown: Mask
    sure: Mask


def judge_extents(
    findings: Findings, rows: PageRows, maps: Maps, states: Sequence[SetState]
) -> None:
    """Judge whether all extents of a set are there."""
    if not rows.copies:
        return
    judge_totals(findings, rows, cut=any(item.cut for item in states))
    if not rows.whole:
        here = f"{len(states)} of {states[0].family_count} stripes"
        findings.add(Evidence(EXTENT_MAP, Outcome.ABSENT, expected="all stripes", actual=here))
        report_nameless(findings, rows, inner_nameless(rows))
        return
    nameless = unidentified(rows)
    report_nameless(findings, rows, nameless.take(nameless.copy > 0))
    first = nameless.take(nameless.copy == 0)
    present = present_extents(rows)
    missing = find_missing(states[0], maps, present)
    judge_missing(findings, rows, missing, first, present.twice)
    if missing.unmapped:
        findings.add(Evidence(EXTENT_MAP, Outcome.ABSENT, count=missing.unmapped))
        unexplained = np.arange(len(missing.needed), max(len(missing.needed), len(first)))
        report_nameless(findings, rows, first.take(unexplained))


def judge_totals(findings: Findings, rows: PageRows, *, cut: bool) -> None:
    """Compare the slots of each copy with the pages the configuration counts."""
    for totals in rows.copies:
        if totals.needed is None or not rows.whole or cut:
            continue
        declared = sum(totals.declared)
        if declared >= totals.needed:
            findings.matched(DATA_PAGES, None, 0)
            continue
        findings.add(
            Evidence(
                DATA_PAGES,
                Outcome.MISMATCHED,
                expected=f"{totals.needed} extents",
                actual=f"{declared} extents",
                bearing=Bearing.DOUBTFUL,
            )
        )


def unidentified(rows: PageRows) -> Extents:
    """Return the slots outside of filler whose pages do not say which extent they are.

    A copy whose number of pages is not known may end in filler anywhere: it is left out.
    """
    known = [index for index, totals in enumerate(rows.copies) if totals.needed is not None]
    found: list[Extents] = []
    left = NAMELESS_MAX
    for item in replace(rows, runs=rows.runs[rows.runs["file"] == 0]).chunks():
        chosen = np.flatnonzero(~item.weak & np.isin(item.copy, known))
        found.append(item.take(chosen[:left]))
        left -= len(found[-1])
    return concatenated(found)


def inner_nameless(rows: PageRows) -> Extents:
    """Return the slots without a name that stand before one with a name.

    Without all stripes it is not known where the filler begins, but it stands at their ends.
    """
    runs = rows.runs
    inner = np.zeros(len(runs), np.bool_)
    for part in range(len(rows.members)):
        for copy in range(len(rows.copies)):
            mine = np.flatnonzero((runs["part"] == part) & (runs["copy"] == copy))
            named = mine[runs["file"][mine] > 0]
            before = mine[mine < named[-1]] if len(named) else named
            inner[before] = runs["file"][before] == 0
    return concatenated(list(replace(rows, runs=runs[inner]).chunks())[:NAMELESS_PIECES_MAX])


def report_nameless(findings: Findings, rows: PageRows, nameless: Extents) -> None:
    """Report slots of which nothing tells what they should hold.

    A second copy holds extents that were written to while the first was made, so each has a page
    with a number; which one of the first copy a nameless one replaces cannot be known.
    """
    problem = Problem(
        EXTENT_KNOWN, Outcome.MISMATCHED, "pages with numbers", "none", Bearing.DOUBTFUL
    )
    report_places(findings, problem, rows.members, nameless.part, nameless.offset, EXTENT_BYTES)


def present_extents(rows: PageRows) -> Present:
    """Note every extent that some slot holds."""
    present = Present()
    for item in rows.chunks():
        present.add(item.take(item.file > 0))
    return present


def find_missing(state: SetState, maps: Maps, present: Present) -> Missing:
    """Compare the maps of all files with what is there."""
    kind = TYPE_DCM if state.letter in DIFFERENTIAL_LETTERS else TYPE_GAM
    expected, unmapped = 0, 0
    columns: list[tuple[Mask, Mask, Mask]] = []
    for file in state.files:
        if not file.pages:
            continue
        total = -(-file.size_bytes // EXTENT_BYTES)
        covered = 0
        for interval in intervals_of(maps, file, kind):
            wanted = maps.expected(file.file_id, interval, kind, total - interval * GAM_EXTENTS)
            if wanted is None or not len(wanted):
                continue
            covered += len(wanted)
            expected += int(wanted.sum())
            there = present.flags(file.file_id, interval)[: len(wanted)]
            columns.append(missing_of(state, maps, file, interval, wanted & ~there))
        unmapped += max(0, total - covered)
    empty = np.zeros(0, np.bool_)
    needed, unknown, sure = (
        np.concatenate([empty, *(column[index] for column in columns)]) for index in range(3)
    )
    return Missing(expected, unmapped, needed, unknown, sure)


def intervals_of(maps: Maps, file: DataFile, kind: int) -> list[int]:
    """Return the intervals of a file that have a map of one kind."""
    return sorted(key[1] for key in maps.bitmaps if key[0] == file.file_id and key[2] == kind)


def missing_of(
    state: SetState, maps: Maps, file: DataFile, interval: int, missing: Mask
) -> tuple[Mask, Mask, Mask]:
    """Return for each missing extent whether it is needed, may be, and whether the map decides."""
    extents = np.flatnonzero(missing) + interval * GAM_EXTENTS
    files = np.full(len(extents), file.file_id, np.int64)
    allocated, known, stable = maps.allocated(files, extents)
    kind = TYPE_DCM if state.letter in DIFFERENTIAL_LETTERS else TYPE_GAM
    page = maps.bitmaps[file.file_id, interval, kind]
    sure = (stable | ~known) & page.stable & (state.letter in LETTERS_SEEN)
    return known & (allocated != 0), ~known, sure


def judge_missing(
    findings: Findings, rows: PageRows, missing: Missing, nameless: Extents, twice: int
) -> None:
    """Report missing extents, but for as many as there are slots whose bytes are not there."""
    lost = rows.copies[0].lost
    if len(nameless) == len(missing.needed):
        # Both are in the order of the stream: each slot is the one of its missing extent.
        nameless = nameless.take(np.argsort(~(missing.needed & missing.sure), kind="stable"))
    needed = int((missing.needed & missing.sure).sum())
    doubtful = int((missing.unknown & missing.sure).sum())
    unsure = int(((missing.needed | missing.unknown) & ~missing.sure).sum())
    # A map that changed while the backup ran names extents that are only in the log. But a slot
    # that holds nothing, or an extent twice, may be the one that is missing.
    suspicious = min(unsure, len(nameless) + twice)
    reported = [max(0, needed - lost)]
    lost = max(0, lost - needed)
    reported.append(max(0, doubtful + suspicious - lost))
    for count, bearing in zip(reported, (Bearing.NEEDED, Bearing.DOUBTFUL), strict=True):
        report_missing(findings, rows, count, nameless, bearing)
        nameless = nameless.take(np.arange(count, len(nameless)))
    if unsure > suspicious:
        findings.add(
            Evidence(
                EXTENT_MAP,
                Outcome.ABSENT,
                expected="a map unchanged while the backup ran",
                actual="a map changed meanwhile",
                count=unsure - suspicious,
            )
        )
    held = missing.expected - sum(reported) - max(0, unsure - suspicious)
    if held > 0:
        findings.matched(EXTENT_PRESENT, None, 0, count=held)


def report_missing(
    findings: Findings, rows: PageRows, count: int, nameless: Extents, bearing: Bearing
) -> None:
    """Report some missing extents, at the slots without a name as long as there are any."""
    problem = Problem(
        EXTENT_PRESENT, Outcome.MISMATCHED, "an allocated extent", "none of that number", bearing
    )
    placed = nameless.take(np.arange(min(count, len(nameless))))
    report_places(findings, problem, rows.members, placed.part, placed.offset, EXTENT_BYTES)
    if count > len(placed):
        findings.add(
            Evidence(
                EXTENT_PRESENT,
                Outcome.MISMATCHED,
                expected=problem.expected,
                actual=problem.actual,
                bearing=bearing,
                count=count - len(placed),
            )
        )
