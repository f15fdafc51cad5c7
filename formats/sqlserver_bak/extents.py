"""Which bytes of a backup set to look at, and how."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from formats.core.model import (
    EXTENT_ROWS_MAX,
    Algorithm,
    Bearing,
    Check,
    Declared,
    Examined,
    ExtentBatch,
    Inspection,
    Payload,
)
from formats.mtf import PAD_ZEROS
from formats.sqlserver_bak.log_blocks import (
    LOG_SECTOR_BYTES,
    LOG_TABLES,
    examine_log,
    log_places,
)
from formats.sqlserver_bak.pages import EXTENT_BYTES, PAGE_BYTES, PAGE_TABLES, examine_pages
from formats.sqlserver_bak.state import DataStream, LogStream, Ranges, SetState

LOG_SLACK = "sqlserver_bak.log.slack"
PAGES_READ = "sqlserver_bak.page.read"
LOG_READ = "sqlserver_bak.log.read"
STORED = "sqlserver_bak.set.payload"

CHECKS: Mapping[str, str] = {
    LOG_SLACK: "Behind the saved part of a log stream stand zeros.",
    PAGES_READ: "The pages of a set are looked at as they are read.",
    LOG_READ: "The log blocks of a set are looked at as they are read.",
    STORED: "The pages and log blocks of a set are not all zeros.",
}


def set_extents(state: SetState, image_index: int) -> Iterator[ExtentBatch]:
    """Yield the batches of one backup set."""
    zeros = Declared(Algorithm.ZEROS)
    yield from batches(zeros, PAD_ZEROS, image_index, state.pads, Bearing.REDUNDANT)
    yield from batches(zeros, LOG_SLACK, image_index, state.slack, Bearing.REDUNDANT)
    pages = Examined(partial(examine_pages, state.family_count), EXTENT_BYTES, PAGE_TABLES)
    yield from batches(pages, PAGES_READ, image_index, available(state.data))
    kernel = partial(examine_log, log_places(state.logs))
    logs = Examined(kernel, LOG_SECTOR_BYTES, LOG_TABLES)
    yield from batches(logs, LOG_READ, image_index, available(state.logs))
    yield from batches(Payload(), STORED, image_index, payload(state))


def available(streams: Sequence[DataStream | LogStream]) -> Ranges:
    """Return where the streams' bytes are, as far as the file has them."""
    rows = [(item.offset, item.available) for item in streams if item.available > 0]
    return columns(rows)


def payload(state: SetState) -> Ranges:
    """Return where the source's own bytes are: pages without the filler behind them, and log."""
    left = sum(item.pages for item in state.files) * PAGE_BYTES
    rows = []
    for data in state.data:
        # A stripe holds fewer pages than the set, so this never cuts too much off it.
        length = min(data.available, left) if data.copy == 0 and left else data.available
        left -= length if data.copy == 0 else 0
        rows.append((data.offset, length))
    rows += [(item.offset, min(item.available, item.saved)) for item in state.logs]
    return columns([row for row in rows if row[1] > 0])


def columns(rows: Sequence[tuple[int, int]]) -> Ranges:
    """Return offsets and lengths sorted by offset."""
    return np.array(sorted(rows), np.int64).reshape(-1, 2)


def batches(
    check: Check,
    check_id: str,
    image_index: int,
    ranges: Ranges,
    bearing: Bearing = Bearing.NEEDED,
) -> Iterator[ExtentBatch]:
    """Yield the ranges in batches of bounded size; those that overlap an earlier one are dropped.

    Only a damaged medium has streams that overlap.
    """
    disjoint = without_overlap(ranges)
    for start in range(0, len(disjoint), EXTENT_ROWS_MAX):
        part = disjoint[start : start + EXTENT_ROWS_MAX]
        yield ExtentBatch(
            check,
            check_id,
            image_index,
            np.ascontiguousarray(part[:, 0]),
            np.ascontiguousarray(part[:, 1]),
            bearing=bearing,
        )


def without_overlap(ranges: Ranges) -> Ranges:
    """Drop the ranges that begin before an earlier one ends."""
    if len(ranges) < 2:  # noqa: PLR2004 - one range overlaps nothing
        return ranges
    ends = np.maximum.accumulate(ranges[:, 0] + ranges[:, 1])
    return ranges[np.concatenate(([True], ranges[1:, 0] >= ends[:-1]))]


def extents_of(inspections: Sequence[Inspection]) -> Iterator[ExtentBatch]:
    """Yield the batches of every backup set of a medium."""
    for image_index, inspection in enumerate(inspections):
        if isinstance(inspection.state, SetState):
            yield from set_extents(inspection.state, image_index)
