"""Judge a set's log streams: every block whole, each behind the one before."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from formats.core.checksums import rotate_xor
from formats.core.findings import Findings
from formats.core.model import Columns, Evidence, Outcome, Part
from formats.sqlserver_bak.log_blocks import (
    BLOCK_SECTORS_MAX,
    LOG_BAD,
    LOG_PIECES,
    LOG_RUNS,
    LOG_SECTOR_BYTES,
    without_field,
)
from formats.sqlserver_bak.pages import FOLD_ROWS
from formats.sqlserver_bak.state import LogStream, SetState

LOG_SUM = "sqlserver_bak.log.checksum"
LOG_CHAIN = "sqlserver_bak.log.chain"
LOG_UNPROTECTED = "sqlserver_bak.log.unprotected"

CHECKS: Mapping[str, str] = {
    LOG_SUM: "The checksum of a log block holds.",
    LOG_CHAIN: "Log blocks follow each other without a gap, from the range's start to its end.",
    LOG_UNPROTECTED: "Log blocks carry a checksum.",
}


@dataclass(frozen=True, slots=True)
class Tables:
    """One part's log tables, sorted by offset."""

    runs: Columns
    bad: Columns
    pieces: Columns
    seen: Columns


@dataclass(frozen=True, slots=True)
class Item:
    """Blocks that follow each other, or one block of which only a piece was seen as a block."""

    offset: int
    end: int
    blocks: int
    summed_bytes: int
    piece: int | None = None


@dataclass(slots=True)
class Counts:
    """Blocks and bytes of good news."""

    blocks: int = 0
    summed_bytes: int = 0
    plain_bytes: int = 0
    streams: int = 0


def judge_log(findings: Findings, part: Part, state: SetState, *, vouch: bool) -> None:
    """Judge the log streams of one part of a set; without ``vouch`` something coarser does."""
    tables = Tables(
        table_of(part, "log_runs", LOG_RUNS),
        table_of(part, "log_bad", LOG_BAD),
        table_of(part, "log_pieces", LOG_PIECES),
        table_of(part, "log_folds", FOLD_ROWS),
    )
    counts = Counts()
    for row in tables.bad:
        report_sum(findings, part, int(row["offset"]), int(row["bytes"]), row)
    for stream in state.logs:
        if stream.saved:
            judge_stream(findings, part, stream, tables, counts)
    report_counts(findings, counts, vouch=vouch)


def table_of(part: Part, name: str, dtype: np.dtype[np.void]) -> Columns:
    """Return a table sorted by offset; an empty one if the kernel had nothing to say."""
    table = part.tally.get(name)
    if table is None:
        return np.zeros(0, dtype)
    return table[np.argsort(table["offset"], kind="stable")]


def between(table: Columns, start: int, end: int) -> Columns:
    """Return the rows that begin in a range."""
    low, high = np.searchsorted(table["offset"], [start, end])
    return table[low:high]


def judge_stream(
    findings: Findings, part: Part, stream: LogStream, tables: Tables, counts: Counts
) -> None:
    """Follow the chain of one stream's blocks."""
    end = stream.offset + stream.saved
    bad = between(tables.bad, stream.offset, end)
    pieces = between(tables.pieces, stream.offset, end)
    expected, broken = stream.offset, False
    for item in items_of(between(tables.runs, stream.offset, end), pieces):
        if item.offset != expected and seen(tables, expected, item.offset):
            broken = True
            report_chain(findings, part, min(expected, item.offset), max(expected, item.offset))
        if item.piece is None:
            counts.blocks += item.blocks
            counts.summed_bytes += item.summed_bytes
            counts.plain_bytes += item.end - item.offset - item.summed_bytes
        elif item.end <= stream.offset + stream.available:
            judge_piece(findings, part, pieces, item, counts)
        # A block that runs into the next is told once: where a block begins is certain.
        expected = item.end
    if expected != end and seen(tables, min(expected, end), max(expected, end)):
        broken = True
        report_chain(findings, part, min(expected, end), max(expected, end))
    counts.blocks -= len(bad)
    counts.summed_bytes -= int(bad["bytes"].sum())
    counts.streams += not broken


def items_of(runs: Columns, pieces: Columns) -> Iterator[Item]:
    """Yield runs and cut blocks in the order of the stream."""
    cut = np.flatnonzero(pieces["block_sectors"] > 0)
    items = [
        Item(
            int(run["offset"]),
            int(run["offset"]) + int(run["sectors"]) * LOG_SECTOR_BYTES,
            int(run["blocks"]),
            int(run["summed"]) * LOG_SECTOR_BYTES,
        )
        for run in runs
    ]
    for index in cut.tolist():
        piece = pieces[index]
        offset = int(piece["offset"])
        end = offset + int(piece["block_sectors"]) * LOG_SECTOR_BYTES
        items.append(Item(offset, end, 0, 0, index))
    yield from sorted(items, key=lambda item: item.offset)


def seen(tables: Tables, start: int, end: int) -> bool:
    """Whether any sector between two offsets was read: a gap in what was not is no news."""
    if start >= end:
        return True
    rows = tables.seen
    ends = rows["offset"] + rows["sectors"].astype(np.uint64) * np.uint64(LOG_SECTOR_BYTES)
    return bool(((rows["offset"] < end) & (ends > start)).any())


def judge_piece(
    findings: Findings, part: Part, pieces: Columns, item: Item, counts: Counts
) -> None:
    """Check a block that windows have cut: gather its sectors' sums, if nothing is in between."""
    assert item.piece is not None, "a cut block"
    first = pieces[item.piece]
    wanted = int(first["block_sectors"])
    sums = gathered(pieces, item.piece, wanted)
    if sums is None:
        return
    stored = np.array([first["stored"]], np.uint32)
    size = np.array([wanted], np.int64)
    fold = np.array([rotate_xor(sums)], np.uint32)
    computed = without_field(fold, stored, size)
    if not stored[0]:
        counts.blocks += 1
        counts.plain_bytes += item.end - item.offset
    elif computed[0] == stored[0]:
        counts.blocks += 1
        counts.summed_bytes += item.end - item.offset
    else:
        row = np.array([(item.offset, item.end - item.offset, stored[0], computed[0])], LOG_BAD)[0]
        report_sum(findings, part, item.offset, item.end - item.offset, row)


def gathered(
    pieces: Columns, index: int, wanted: int
) -> np.ndarray[tuple[int], np.dtype[np.uint32]] | None:
    """Return the sums of a cut block's sectors; None if another block begins inside of it."""
    found = [pieces["sums"][index][: int(pieces["sectors"][index])]]
    count = int(pieces["sectors"][index])
    end = int(pieces["offset"][index]) + count * LOG_SECTOR_BYTES
    while count < wanted:
        index += 1
        if index >= len(pieces) or int(pieces["offset"][index]) != end:
            return None
        if pieces["block_sectors"][index]:
            return None
        taken = min(int(pieces["sectors"][index]), wanted - count, BLOCK_SECTORS_MAX)
        found.append(pieces["sums"][index][:taken])
        count += taken
        end += int(pieces["sectors"][index]) * LOG_SECTOR_BYTES
    return np.concatenate(found)


def report_sum(findings: Findings, part: Part, offset: int, length: int, row: np.void) -> None:
    """Report a block whose checksum does not hold."""
    findings.add(
        Evidence(
            LOG_SUM,
            Outcome.MISMATCHED,
            offset,
            length,
            f"{int(row['stored']):#010x}",
            f"{int(row['computed']):#010x}",
            member=part.member,
        )
    )


def report_chain(findings: Findings, part: Part, start: int, end: int) -> None:
    """Report bytes of the range in which no block follows, or where one runs into the next."""
    findings.add(
        Evidence(
            LOG_CHAIN,
            Outcome.MISMATCHED,
            start,
            end - start,
            "a block that follows",
            "none of the right number",
            member=part.member,
        )
    )


def report_counts(findings: Findings, counts: Counts, *, vouch: bool) -> None:
    """Report what holds."""
    if counts.streams:
        findings.matched(LOG_CHAIN, None, 0, count=counts.streams)
    if counts.summed_bytes > 0:
        findings.matched(
            LOG_SUM,
            None,
            0,
            count=max(1, counts.blocks),
            vouched_bytes=counts.summed_bytes if vouch else 0,
        )
    if counts.plain_bytes:
        blocks = counts.plain_bytes // LOG_SECTOR_BYTES
        findings.add(Evidence(LOG_UNPROTECTED, Outcome.ABSENT, actual="sectors", count=blocks))
