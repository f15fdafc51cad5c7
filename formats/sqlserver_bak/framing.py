"""Judge a set's blocks: sums, numbering, order, filemarks, and whether the set is all there."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from formats.core.findings import Findings
from formats.core.model import Bearing, Evidence, Outcome, Source
from formats.mtf import walk
from formats.mtf.filemarks import Filemark, judge_filemark, parse_filemark
from formats.mtf.structures import FILEMARK, BlockHeader, SetEndBody, StreamHeader
from formats.mtf.walk import Block, End, Gap, Stop
from formats.sqlserver_bak import sets
from formats.sqlserver_bak.sets import Chunk

BLOCK_ADDRESS = "sqlserver_bak.block.logical_address"
BLOCK_NUMBER = "sqlserver_bak.block.control_id"
SET_ORDER = "sqlserver_bak.set.order"
SET_TRAILER = "sqlserver_bak.set.trailer"
SET_ABORTED = "sqlserver_bak.set.aborted"
SET_CORRUPT = "sqlserver_bak.set.corrupt_objects"
FILE_NEEDED = "sqlserver_bak.file.needed"
UNKNOWN_BLOCK = "sqlserver_bak.block.unknown"

CHECKS: Mapping[str, str] = {
    BLOCK_ADDRESS: "A block of a set gives its distance from the set's start in logical blocks.",
    BLOCK_NUMBER: "The blocks of a set are numbered without a gap.",
    SET_ORDER: "A set has all its blocks, in the order in which SQL Server writes them.",
    SET_TRAILER: "A set is followed by its end-of-set blocks and filemarks.",
    SET_ABORTED: "The end of a set does not say that writing it was aborted.",
    SET_CORRUPT: "The end of a set counts no objects that were corrupt when they were written.",
    FILE_NEEDED: "The file is as long as its streams and blocks say.",
    UNKNOWN_BLOCK: "A set has only blocks of known types.",
}

LOGICAL_BLOCK_BYTES = 1024
ZERO_PIECE_BYTES = 64 << 10
ZERO_HEAD_BYTES = 1 << 20
ZERO_SAMPLES = 16

# [MTF] 5.9: bits 16, 17 and 18 of the block attributes of an ESET.
ABORTED_BITS = 0x7 << 16

LETTERS: Mapping[bytes, str] = {
    sets.SET: "S",
    sets.VOLUME: "V",
    sets.CONFIG: "C",
    sets.DATA: "D",
    sets.LOG: "L",
    sets.SUMMARY: "M",
    FILEMARK: "F",
    sets.SET_END: "E",
}
UNKNOWN_LETTER = "u"
ORDER = re.compile(r"SV+C[Du]*[Lu]*MFEEF")
# The blocks that carry a logical address and a number.
NUMBERED = frozenset({sets.SET, sets.VOLUME, sets.CONFIG, sets.DATA, sets.LOG, sets.SUMMARY})


@dataclass(slots=True)
class Passed:
    """What stands before a chunk on its medium: filemarks seen, and bytes that were no blocks."""

    marks: list[int] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def earlier(self, mark: Filemark | None) -> list[int]:
        """Return the filemarks before ``mark``; where bytes were lost, its own word is taken."""
        lost = [
            offset
            for offset in (mark.offsets if mark else ())
            if any(gap.offset <= offset < gap.end for gap in self.gaps)
        ]
        return sorted({*self.marks, *lost})


def judge_framing(findings: Findings, source: Source, chunk: Chunk, passed: Passed) -> None:
    """Judge one chunk; ``passed`` speaks of what stands before it, and is added to."""
    for row in sets.block_rows(chunk):
        findings.add(row)
    count_sums(findings, list(chunk.blocks))
    passed.gaps.extend(chunk.gaps)
    for block in chunk.kind(FILEMARK):
        # What a cut filemark lacks, the end of the walk says.
        if block.whole:
            mark = parse_filemark(block.offset, block.body)
            findings.add(judge_filemark(block, passed.earlier(mark)))
        passed.marks.append(block.offset)
    if chunk.is_set:
        judge_numbers(findings, chunk)
        judge_order(findings, chunk)
        judge_ends(findings, chunk)
    judge_stop(findings, source, chunk)


def count_sums(findings: Findings, blocks: Sequence[Block]) -> None:
    """Count the headers whose sums hold."""
    held = (
        (walk.BLOCK_SUM, sum(item.header_sum_holds for item in blocks), BlockHeader.size),
        (walk.STREAM_SUM, sum(item.stream_sums_held for item in blocks), StreamHeader.size),
    )
    for check, count, size in held:
        if count:
            findings.matched(check, None, 0, count=count, vouched_bytes=count * size)


def judge_numbers(findings: Findings, chunk: Chunk) -> None:
    """Compare logical addresses and control numbers with where the blocks stand."""
    start = chunk.first(sets.SET)
    if start is None:
        return
    numbered = [item for item in chunk.blocks if item.kind in NUMBERED and item.header_sum_holds]
    wrong = 0
    for item in numbered:
        expected = (item.offset - start.offset) // LOGICAL_BLOCK_BYTES
        if item.header.logical_address != expected:
            wrong += 1
            findings.add(number_row(BLOCK_ADDRESS, item, expected, item.header.logical_address))
    if not wrong:
        findings.matched(BLOCK_ADDRESS, None, 0, count=len(numbered))
    judge_sequence(findings, chunk, numbered)


def judge_sequence(findings: Findings, chunk: Chunk, numbered: Sequence[Block]) -> None:
    """Compare control numbers, unless blocks are known to be lost."""
    if any(chunk.gaps) or len(numbered) != sum(item.kind in NUMBERED for item in chunk.blocks):
        return
    wrong = [
        (index, item)
        for index, item in enumerate(numbered)
        if item.header.control_block_id != index
    ]
    # After one missing block every later number differs: the first says it all.
    for index, item in wrong[:1]:
        findings.add(number_row(BLOCK_NUMBER, item, index, item.header.control_block_id))
    if not wrong:
        findings.matched(BLOCK_NUMBER, None, 0, count=len(numbered))


def number_row(check: str, block: Block, expected: int, actual: int) -> Evidence:
    """Return the row for a block that counts itself elsewhere."""
    return Evidence(
        check, Outcome.MISMATCHED, block.offset, BlockHeader.size, f"{expected}", f"{actual}"
    )


def judge_order(findings: Findings, chunk: Chunk) -> None:
    """Say whether a whole set has its blocks in order; what a cut set lacks is said elsewhere.

    Blocks that are numbered without a gap were written so: another order is a kind of set that was
    not seen before rather than damage.
    """
    for item in chunk.blocks:
        if item.kind not in LETTERS:
            findings.add(
                Evidence(UNKNOWN_BLOCK, Outcome.UNSUPPORTED, item.offset, item.end - item.offset)
            )
    if any(chunk.gaps) or (chunk.stop is not None and not chunk.closed):
        return
    order = "".join(LETTERS.get(item.kind, UNKNOWN_LETTER) for item in chunk.blocks)
    if ORDER.fullmatch(order):
        findings.matched(SET_ORDER, None, 0)
        return
    first = next(iter(chunk.blocks))
    findings.add(
        Evidence(
            SET_ORDER,
            Outcome.MISMATCHED,
            first.offset,
            chunk.end - first.offset,
            "SSET VOLB MSCI MSDA MSTL MSLS SFMB ESET ESET SFMB",
            " ".join(dict.fromkeys(item.kind.decode("ascii", "replace") for item in chunk.blocks)),
            Bearing.DOUBTFUL,
        )
    )


def judge_ends(findings: Findings, chunk: Chunk) -> None:
    """Read what the end-of-set blocks say of the set."""
    for block in chunk.kind(sets.SET_END):
        if len(block.body) < SetEndBody.size:
            continue
        if block.header.attributes & ABORTED_BITS:
            findings.add(
                Evidence(
                    SET_ABORTED,
                    Outcome.MISMATCHED,
                    block.offset,
                    BlockHeader.size,
                    "a finished set",
                    f"attributes {block.header.attributes:#010x}",
                )
            )
        corrupt = SetEndBody.parse(block.body).corrupt_objects
        if corrupt:
            findings.add(
                Evidence(
                    SET_CORRUPT,
                    Outcome.MISMATCHED,
                    block.offset + SetEndBody.corrupt_objects.offset,
                    SetEndBody.corrupt_objects.length,
                    "0 objects",
                    f"{corrupt} objects",
                    Bearing.DOUBTFUL,
                )
            )


def judge_stop(findings: Findings, source: Source, chunk: Chunk) -> None:
    """Say what the end of the walk means for this chunk."""
    stop = chunk.stop
    if stop is None or (chunk.closed and stop.end is End.CLEAN):
        if chunk.is_set and chunk.closed:
            findings.matched(FILE_NEEDED, None, 0)
        return
    if chunk.closed:
        judge_slack(findings, source, stop)
        return
    match stop.end:
        case End.CUT:
            findings.add(truncated(FILE_NEEDED, stop, source.size))
        case End.CLEAN:
            if chunk.is_set or not chunk.first(FILEMARK):
                findings.add(truncated(SET_TRAILER, stop, source.size))
        case End.ZEROS | End.BROKEN | End.LIMIT:
            if stop.evidence is not None:
                findings.add(as_missing(source, stop, stop.evidence))


def judge_slack(findings: Findings, source: Source, stop: Stop) -> None:
    """Look at bytes behind the last whole set: zeros are no news."""
    findings.matched(FILE_NEEDED, None, 0)
    if stop.end is End.LIMIT and stop.evidence is not None:
        findings.add(stop.evidence)
    elif not zeros_to_end(source, stop.offset):
        findings.add(rest_row(source, stop.offset))


def rest_row(source: Source, offset: int) -> Evidence:
    """Return the row for bytes behind the last whole set that begin no other one."""
    return Evidence(
        "mtf.media.end",
        Outcome.MISMATCHED,
        offset,
        source.size - offset,
        "the end of the medium",
        "bytes that are no block",
        Bearing.REDUNDANT,
    )


def truncated(check: str, stop: Stop, size: int) -> Evidence:
    """Return the row for a file that ends before a structure does."""
    needed = max(stop.needed_bytes, size + 1)
    return Evidence(
        check,
        Outcome.TRUNCATED,
        size,
        needed - size,
        f"at least {needed} bytes",
        f"{size} bytes",
    )


def as_missing(source: Source, stop: Stop, evidence: Evidence) -> Evidence:
    """Tell bytes that never came from bytes that are wrong.

    Zeros from a header's place to the end of the file are a file that was laid out and not filled:
    the writer or a copy stopped there, and what is missing is missing. Anything else stands where
    a header was and is not one.
    """
    if stop.end is End.ZEROS and zeros_to_end(source, stop.offset):
        return replace(
            evidence,
            outcome=Outcome.TRUNCATED,
            length=source.size - stop.offset,
            actual="zeros to the end of the file",
        )
    return evidence


def zeros_to_end(source: Source, offset: int) -> bool:
    """Whether the file is zeros from ``offset`` on, by its next MiB, its end and samples."""
    left = source.size - offset
    head = range(offset, min(offset + ZERO_HEAD_BYTES, source.size), ZERO_PIECE_BYTES)
    step = max(left // ZERO_SAMPLES, ZERO_PIECE_BYTES)
    places = {*head, *range(offset, source.size, step), max(offset, source.size - ZERO_PIECE_BYTES)}
    return not any(
        any(source.read_at(place, min(ZERO_PIECE_BYTES, source.size - place)))
        for place in sorted(places)
    )
