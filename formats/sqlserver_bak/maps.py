"""The database's own allocation maps, as the set stores them: which pages exist, which changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from formats.core.model import Part
from formats.sqlserver_bak.lsn import Lsn
from formats.sqlserver_bak.page_rows import Bytes, Ints, Mask, PageRows
from formats.sqlserver_bak.pages import GAM_EXTENTS, PFS_EXTENTS, TYPE_GAM
from formats.sqlserver_bak.state import SetState


@dataclass(frozen=True, slots=True)
class MapPage:
    """One allocation map; ``stable`` if it was last changed before the backup began."""

    bits: Bytes
    stable: bool


@dataclass(frozen=True, slots=True)
class Maps:
    """The allocation maps of a set, by file and interval; bitmaps also by page type."""

    pfs: dict[tuple[int, int], MapPage]
    bitmaps: dict[tuple[int, int, int], MapPage]

    def allocated(self, file: Ints, extent: Ints) -> tuple[Bytes, Mask, Mask]:
        """Return which pages of each extent are allocated, whether that is known, and stable."""
        allocated = np.zeros(len(extent), np.uint8)
        known, stable = np.zeros(len(extent), np.bool_), np.zeros(len(extent), np.bool_)
        interval = extent // PFS_EXTENTS
        breaks = np.flatnonzero((np.diff(interval) != 0) | (np.diff(file) != 0)) + 1
        starts = [0, *breaks.tolist()] if len(extent) else []
        for start, end in zip(starts, [*starts[1:], len(extent)], strict=False):
            page = self.pfs.get((int(file[start]), int(interval[start])))
            if page is not None:
                allocated[start:end] = page.bits[extent[start:end] % PFS_EXTENTS]
                known[start:end], stable[start:end] = True, page.stable
        return allocated, known, stable

    def expected(self, file: int, interval: int, kind: int, count: int) -> Mask | None:
        """Return which of ``count`` extents a set stores by a GAM or DCM; None without one."""
        page = self.bitmaps.get((file, interval, kind))
        if page is None:
            return None
        bits = np.unpackbits(page.bits, bitorder="little")[: min(count, GAM_EXTENTS)]
        wanted: Mask = bits == (0 if kind == TYPE_GAM else 1)
        return wanted


class Found(NamedTuple):
    """A row of a kernel's table, its part, and which copy of the pages it stands in."""

    row: np.void
    part: Part
    copy: int


def gather_maps(parts: Sequence[Part], rows: PageRows, state: SetState) -> Maps:
    """Return the best copy of every allocation map.

    A map whose last change is older than the first log record of the backup was on disk as it is
    when the backup began, with all pages it calls allocated: it decides. A later change may speak
    of pages that were not on disk when they were copied, and that the log brings.
    """
    maps = Maps({}, {})
    for found in rows_outside_filler(parts, rows, "pfs"):
        key = (int(found.row["file"]), int(found.row["interval"]))
        page = MapPage(found.row["allocated"], is_stable(found, state))
        if better(page, maps.pfs.get(key)):
            maps.pfs[key] = page
    for found in rows_outside_filler(parts, rows, "bitmaps"):
        place = (int(found.row["file"]), int(found.row["interval"]), int(found.row["kind"]))
        page = MapPage(found.row["bits"], is_stable(found, state))
        if better(page, maps.bitmaps.get(place)):
            maps.bitmaps[place] = page
    return maps


def rows_outside_filler(parts: Sequence[Part], rows: PageRows, name: str) -> list[Found]:
    """Return the rows of a table that stand in no filler, earlier copies first."""
    found: list[tuple[int, int, int, Found]] = []
    for number, part in enumerate(parts):
        table = part.tally.get(name)
        if table is None or not (rows.runs["part"] == number).any():
            continue
        copies, weak = rows.rows_of(table, number)
        for index in np.flatnonzero(~weak).tolist():
            copy = int(copies[index])
            row = Found(table[index], part, copy)
            found.append((copy, number, int(table["offset"][index]), row))
    return [item[-1] for item in sorted(found, key=lambda item: item[:3])]


def is_stable(found: Found, state: SetState) -> bool:
    """Whether a map was last changed before the first log record that its copy needs."""
    row = found.row
    lsn = Lsn(int(row["lsn_sequence"]), int(row["lsn_block"]), int(row["lsn_slot"]))
    first = state.first_lsn_again if found.copy else state.first_lsn
    return first is not None and lsn < first


def better(page: MapPage, before: MapPage | None) -> bool:
    """Whether a map beats an earlier copy of itself: unchanged beats changed, later earlier."""
    return before is None or page.stable or not before.stable
