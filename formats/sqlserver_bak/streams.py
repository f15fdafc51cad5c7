"""Where a set's pages, log blocks and padding are, and what its log blocks must cover."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from formats.core.findings import Findings
from formats.core.layout import Layout, u16, u32, u64
from formats.core.model import Bearing, Evidence, Outcome, Source
from formats.mtf.structures import StreamHeader
from formats.mtf.walk import Block, Stream, aligned
from formats.sqlserver_bak import sets
from formats.sqlserver_bak.configs import Configs
from formats.sqlserver_bak.lsn import Lsn, lsn_at
from formats.sqlserver_bak.pages import EXTENT_BYTES
from formats.sqlserver_bak.records import KIND_DATA, KIND_LOG, Config, SetRecord
from formats.sqlserver_bak.sets import Chunk
from formats.sqlserver_bak.state import DataFile, DataStream, LogStream, Ranges

DATA_LENGTH = "sqlserver_bak.data.length"
CSUM_PRESENCE = "sqlserver_bak.csum.presence"
LOG_SPAN = "sqlserver_bak.log.span"
LOG_BYTES = "sqlserver_bak.log.bytes"
LOG_RANGE = "sqlserver_bak.log.range"

CHECKS: Mapping[str, str] = {
    DATA_LENGTH: "A stream of pages holds whole extents.",
    CSUM_PRESENCE: "Streams have a backup checksum exactly where the set says so.",
    LOG_SPAN: "The saved log reaches from FirstLSN to LastLSN without a missing part.",
    LOG_BYTES: "The log ranges add up to the bytes the configuration gives for each log file.",
    LOG_RANGE: "A log stream holds the range of the log file that its block names.",
}

PAGES_STREAM = b"MQDA"
LOG_STREAM = b"MQTL"
CSUM_STREAM = b"CSUM"
PAD_STREAMS = frozenset({b"SPAD", b"APAD", b"OTCP"})
# Two zero bytes stand before the pages or log blocks of a stream (seen, all versions).
LEAD_BYTES = 2
CSUM_BYTES = 4
# Seen on MQDA and MQTL streams that a CSUM stream follows; not in [MTF].
ATTRIBUTE_CSUM = 0x100
FLAG_HAS_CHECKSUMS = 16
LOG_SECTOR_BYTES = 512
# Seen: the first block of a virtual log file is number 16, behind its 8 KiB header.
FIRST_LOG_BLOCK = 16


class LogBody(Layout, size=112, order="<"):
    """MSTL, from the start of its block: one virtual log file, and the part of it that is saved."""

    start = u64(60)
    end = u64(68)
    file_id = u16(76)
    sequence = u32(92)
    file_size = u64(96)
    file_start = u64(104)


@dataclass(frozen=True, slots=True)
class Saved:
    """The saved part of one virtual log file; its bytes may be on another stripe."""

    file_id: int
    sequence: int
    first_block: int
    end_block: int
    bytes: int
    offset: int


def data_streams(findings: Findings, source: Source, chunk: Chunk) -> tuple[DataStream, ...]:
    """Return the streams of pages in the order of the file."""
    found = []
    for copy, block in enumerate(chunk.kind(sets.DATA)):
        for stream, csum in with_csum(findings, source, block, PAGES_STREAM):
            length = stream.length - LEAD_BYTES
            start = stream.data_offset + LEAD_BYTES
            if length % EXTENT_BYTES:
                findings.add(
                    Evidence(
                        DATA_LENGTH,
                        Outcome.UNSUPPORTED,
                        stream.offset,
                        StreamHeader.size,
                        "whole extents",
                        f"{length} bytes of pages",
                    )
                )
            available = max(0, min(length, source.size - start))
            found.append(DataStream(start, length, available, copy, csum))
    return tuple(found)


def log_streams(
    findings: Findings, source: Source, chunk: Chunk, *, striped: bool
) -> tuple[LogStream, ...]:
    """Return the streams of log blocks in the order of the file."""
    found = []
    for block in chunk.kind(sets.LOG):
        saved = saved_log(block)
        for stream, csum in with_csum(findings, source, block, LOG_STREAM):
            length = stream.length - LEAD_BYTES
            start = stream.data_offset + LEAD_BYTES
            available = max(0, min(length, source.size - start))
            if saved is None or saved.bytes > length or saved.bytes % LOG_SECTOR_BYTES:
                findings.add(range_row(block, saved, length, striped=striped))
                found.append(LogStream(start, length, available, 0, 0, 0, csum))
                continue
            found.append(
                LogStream(
                    start, length, available, saved.bytes, saved.sequence, saved.first_block, csum
                )
            )
    return tuple(found)


def with_csum(
    findings: Findings, source: Source, block: Block, name: bytes
) -> Iterator[tuple[Stream, int | None]]:
    """Yield a block's streams of one name that hold anything, with the checksum behind each."""
    for index, stream in enumerate(block.streams):
        if stream.name != name or stream.length <= LEAD_BYTES:
            continue
        behind = block.streams[index + 1] if index + 1 < len(block.streams) else None
        csum = csum_of(source, behind)
        declared = bool(stream.media_attributes & ATTRIBUTE_CSUM)
        if behind is not None and declared != (behind.name == CSUM_STREAM):
            findings.add(presence_row(stream, declared=declared))
        yield stream, csum


def csum_of(source: Source, stream: Stream | None) -> int | None:
    """Return what a stream CSUM holds; None if it is another stream, or not all there."""
    if stream is None or stream.name != CSUM_STREAM or stream.length < CSUM_BYTES:
        return None
    if stream.end > source.size:
        return None
    return int.from_bytes(source.read_at(stream.data_offset, CSUM_BYTES), "little")


def presence_row(stream: Stream, *, declared: bool) -> Evidence:
    """Return the row for a stream whose header and successor disagree about a checksum."""
    return Evidence(
        CSUM_PRESENCE,
        Outcome.MISMATCHED,
        stream.offset,
        StreamHeader.size,
        "a stream CSUM behind it" if declared else "no stream CSUM behind it",
        "none" if declared else "one",
        Bearing.DOUBTFUL,
    )


def saved_log(block: Block) -> Saved | None:
    """Return which part of its virtual log file a block saves; None where that makes no sense."""
    if len(block.body) < LogBody.size:
        return None
    body = LogBody.parse(block.body)
    if not body.file_start <= body.start <= body.end <= body.file_start + body.file_size:
        return None
    return Saved(
        body.file_id,
        body.sequence,
        (body.start - body.file_start) // LOG_SECTOR_BYTES,
        (body.end - body.file_start) // LOG_SECTOR_BYTES,
        body.end - body.start,
        block.offset,
    )


def range_row(block: Block, saved: Saved | None, length: int, *, striped: bool) -> Evidence:
    """Return the row for a log block whose range and stream do not fit each other.

    A large log is assumed to be spread over the stripes of a set, each stream being shorter; which
    part of it stands where has not been seen, so its blocks are left alone.
    """
    spread = striped and saved is not None and saved.bytes > length
    return Evidence(
        LOG_RANGE,
        Outcome.ABSENT if spread else Outcome.UNSUPPORTED,
        block.offset + LogBody.start.offset,
        LogBody.size - LogBody.start.offset,
        f"at most {length} bytes of log",
        "a range that makes no sense" if saved is None else f"{saved.bytes} bytes",
    )


def log_ranges(chunk: Chunk) -> tuple[tuple[int, int], ...]:
    """Return the virtual log files of which something is saved, and where their blocks stand."""
    saved = [saved_log(block) for block in chunk.kind(sets.LOG)]
    return tuple((item.sequence, item.offset) for item in saved if item is not None and item.bytes)


def padding(
    source: Source,
    chunks: Sequence[Chunk],
    logs: tuple[LogStream, ...],
) -> tuple[Ranges, Ranges]:
    """Return the ranges that only fill up, in blocks and behind the log: all must be zeros."""
    pads = [item for chunk in chunks for block in chunk.blocks for item in block_pads(block)]
    slack = [
        (item.offset + item.saved, item.length - item.saved) for item in logs if item.saved > 0
    ]
    return ranges(pads, source.size), ranges(slack, source.size)


def block_pads(block: Block) -> Iterator[tuple[int, int]]:
    """Yield a block's padding: streams of it, and bytes between streams."""
    for stream in block.streams:
        if stream.name in PAD_STREAMS:
            yield stream.data_offset, stream.length
        elif stream.name in (PAGES_STREAM, LOG_STREAM) and stream.length >= LEAD_BYTES:
            yield stream.data_offset, LEAD_BYTES
        if stream.name != b"SPAD" and aligned(stream.end) > stream.end:
            yield stream.end, aligned(stream.end) - stream.end


def ranges(pairs: list[tuple[int, int]], size: int) -> Ranges:
    """Return offsets and lengths as columns, clipped to the file and without empty ones."""
    # Clipped as Python numbers: a damaged length may be more than 64 bits hold.
    inside = [(start, min(length, size - start)) for start, length in pairs if start < size]
    rows = np.array([pair for pair in inside if pair[1] > 0], np.int64).reshape(-1, 2)
    return rows[np.argsort(rows[:, 0], kind="stable")]


def data_files(configs: Configs) -> tuple[DataFile, ...]:
    """Return the database's files and the pages each MSDA copy stores of them.

    Seen since SQL Server 2019, which copies changed extents once more in a second MSDA: the first
    copy of the configuration counts the first one's pages, the last copy the second one's.
    """
    config = configs.first or configs.last
    if config is None:
        return ()
    again = pages_by_file(configs.last) if configs.first and configs.last else {}
    return tuple(
        DataFile(entry.file_id, entry.size_bytes, entry.pages, again.get(entry.file_id))
        for _, entry in config.files
        if entry.kind == KIND_DATA
    )


def pages_by_file(config: Config | None) -> dict[int, int]:
    """Return the pages stored of each data file."""
    if config is None:
        return {}
    return {entry.file_id: entry.pages for _, entry in config.files if entry.kind == KIND_DATA}


def check_log(findings: Findings, chunk: Chunk, config: Config | None) -> None:
    """Compare the saved ranges with what the configuration says of the log."""
    if config is None or any(chunk.gaps):
        return
    saved = [item for block in chunk.kind(sets.LOG) if (item := saved_log(block)) is not None]
    parts = [item for item in saved if item.bytes]
    check_bytes(findings, parts, config)
    check_span(findings, parts, config, chunk)


def check_bytes(findings: Findings, parts: list[Saved], config: Config) -> None:
    """Compare the bytes saved of each log file."""
    wrong = 0
    for record, entry in config.files:
        if entry.kind != KIND_LOG:
            continue
        total = sum(item.bytes for item in parts if item.file_id == entry.file_id)
        if total != entry.backup_bytes:
            wrong += 1
            findings.add(
                Evidence(
                    LOG_BYTES,
                    Outcome.MISMATCHED,
                    config.place + record.offset,
                    len(record.content),
                    f"{total} bytes of log",
                    f"{entry.backup_bytes} bytes",
                    Bearing.DOUBTFUL,
                )
            )
    if not wrong:
        findings.matched(LOG_BYTES, None, 0, count=len(parts) or 1)


def check_span(findings: Findings, parts: list[Saved], config: Config, chunk: Chunk) -> None:
    """Say whether the saved log covers FirstLSN to LastLSN without a missing virtual log file."""
    first, last = lsn_at(config.set.first_lsn), lsn_at(config.set.last_lsn)
    ordered = sorted(parts, key=lambda item: item.sequence)
    problem = span_problem(ordered, first, last)
    place = ordered[0].offset if ordered else config.place + SetRecord.first_lsn.offset
    if problem is None:
        findings.matched(LOG_SPAN, None, 0, count=len(ordered) or 1)
        return
    findings.add(
        Evidence(
            LOG_SPAN,
            Outcome.MISMATCHED,
            place,
            chunk.end - place if ordered else SetRecord.first_lsn.length,
            f"log from {first.number} to {last.number}",
            problem,
            # No block is missing, so either a number is wrong or the writer knew better.
            Bearing.DOUBTFUL,
        )
    )


def span_problem(ordered: list[Saved], first: Lsn, last: Lsn) -> str | None:
    """Return what is missing of the log, or None."""
    if not ordered:
        return None if first == last else "no log at all"
    if (ordered[0].sequence, ordered[0].first_block) > (first.sequence, first.block):
        return f"log from block {ordered[0].first_block} of {ordered[0].sequence}"
    numbers = [item.sequence for item in ordered]
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return "a virtual log file missing in between"
    tail = ordered[-1]
    if (tail.sequence, tail.end_block) >= (last.sequence, last.block):
        return None
    # The log may end where the next virtual log file begins, of which nothing is saved yet.
    if (last.sequence, last.block) == (tail.sequence + 1, FIRST_LOG_BLOCK):
        return None
    return f"log up to block {tail.end_block} of {tail.sequence}"
