"""The two copies of a set's configuration: read both, compare them, and check what adds up."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from formats.core.findings import Findings
from formats.core.model import Bearing, Evidence, Outcome, Source
from formats.mtf.structures import StreamHeader
from formats.mtf.walk import Block
from formats.sqlserver_bak import sets
from formats.sqlserver_bak.records import (
    CONFIG_RECORDS,
    DIFFERING,
    FILE_TAG,
    KIND_DATA,
    Config,
    FileRecord,
    Record,
    SetRecord,
    parse_config,
)
from formats.sqlserver_bak.sets import Chunk

CONFIG_PRESENT = "sqlserver_bak.config.present"
CONFIG_COPIES = "sqlserver_bak.config.copies"
CONFIG_TOTALS = "sqlserver_bak.config.totals"
CONFIG_FINISH = "sqlserver_bak.config.finish_date"
CONFIG_DAMAGED = "sqlserver_bak.config.is_damaged"
CONFIG_LIMIT = "sqlserver_bak.config.limit"

CHECKS: Mapping[str, str] = {
    CONFIG_PRESENT: "A set has the stream that describes it, whole.",
    CONFIG_RECORDS: "The records of a configuration stream fill it exactly.",
    CONFIG_COPIES: "The copies of the configuration before and behind the data are equal.",
    CONFIG_TOTALS: "Numbers that a configuration gives twice are equal.",
    CONFIG_FINISH: "The last copy of the configuration gives the time at which the backup ended.",
    CONFIG_DAMAGED: "The database was not known to be damaged when it was backed up.",
    CONFIG_LIMIT: "A configuration stream is no longer than this code reads.",
}

CONFIG_STREAM = b"MQCI"
CONFIG_BYTES_MAX = 16 << 20
# RESTORE HEADERONLY, Flags.
FLAG_DAMAGED = 32
PAGE_BYTES = 8192
# Files grow by whole extents.
GROWTH_BYTES = 8 * PAGE_BYTES


@dataclass(frozen=True, slots=True)
class Configs:
    """Both copies, as far as they could be read: ``first`` of MSCI, ``last`` of MSLS."""

    first: Config | None
    last: Config | None

    @property
    def best(self) -> Config | None:
        """The copy to go by: the one written when everything was known."""
        return self.last or self.first


def read_configs(findings: Findings, source: Source, chunk: Chunk) -> Configs:
    """Read and compare both copies of a set's configuration."""
    configs = Configs(
        read_config(findings, source, chunk.first(sets.CONFIG)),
        read_config(findings, source, chunk.first(sets.SUMMARY)),
    )
    compare(findings, configs)
    for config in (configs.first, configs.last):
        if config is not None:
            check_totals(findings, config)
    check_end(findings, configs)
    return configs


def read_config(findings: Findings, source: Source, block: Block | None) -> Config | None:
    """Read one copy; None where it is missing or cannot be parsed."""
    if block is None:
        return None
    stream = block.stream(CONFIG_STREAM)
    if stream is None or stream.end > source.size:
        # Where the file ends before the stream does, nothing that is there is wrong.
        cut = stream is not None or block.end + StreamHeader.size > source.size
        findings.add(
            Evidence(
                CONFIG_PRESENT,
                Outcome.TRUNCATED if cut else Outcome.MISMATCHED,
                block.offset,
                min(block.end, source.size) - block.offset,
                "a stream MQCI",
                "none" if stream is None else "a part of it",
            )
        )
        return None
    if stream.length > CONFIG_BYTES_MAX:
        findings.add(
            Evidence(
                CONFIG_LIMIT,
                Outcome.UNSUPPORTED,
                stream.data_offset,
                stream.length,
                f"at most {CONFIG_BYTES_MAX} bytes",
                f"{stream.length} bytes",
            )
        )
        return None
    with findings.catching():
        return parse_config(source.read_at(stream.data_offset, stream.length), stream.data_offset)
    return None


def compare(findings: Findings, configs: Configs) -> None:
    """Compare the copies but for the bytes that are only known at the end."""
    first, last = configs.first, configs.last
    if first is None or last is None:
        return
    if len(first.content) != len(last.content):
        findings.add(copies_row(last.place, len(last.content), f"{len(first.content)} bytes"))
        return
    free = free_bytes(first, last)
    differing = np.flatnonzero(
        (np.frombuffer(first.content, np.uint8) != np.frombuffer(last.content, np.uint8)) & ~free
    )
    if not len(differing):
        compared = len(free) - int(free.sum())
        findings.matched(CONFIG_COPIES, None, 0, vouched_bytes=2 * compared)
    for start, end in stretches(differing):
        findings.add(copies_row(last.place + start, end - start, "the same in both copies"))


def free_bytes(first: Config, last: Config) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Mark the bytes that may differ between the copies."""
    free = np.zeros(len(last.content), np.bool_)
    for record in (last.head, *(item for item, _ in (*last.groups, *last.files))):
        for start, end in DIFFERING.get(record.tag, ()):
            free[record.offset + start : record.offset + min(end, len(record.content))] = True
    for (_, before), (record, after) in zip(first.files, last.files, strict=False):
        # A file may grow on its own while the backup runs; it cannot shrink.
        if after.size_bytes > before.size_bytes and not after.size_bytes % GROWTH_BYTES:
            start = record.offset + FileRecord.size_bytes.offset
            free[start : start + FileRecord.size_bytes.length] = True
    return free


def stretches(places: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Iterator[tuple[int, int]]:
    """Yield start and end of each run of successive numbers."""
    if len(places):
        for run in np.split(places, np.flatnonzero(np.diff(places) > 1) + 1):
            yield int(run[0]), int(run[-1]) + 1


def copies_row(offset: int, length: int, expected: str) -> Evidence:
    """Return the row for copies that differ.

    Nothing tells which copy is wrong, nor which one a restore goes by.
    """
    return Evidence(
        CONFIG_COPIES,
        Outcome.MISMATCHED,
        offset,
        length,
        expected,
        "other bytes in the copy behind the data",
        Bearing.DOUBTFUL,
    )


def check_totals(findings: Findings, config: Config) -> None:
    """Compare what one copy says twice: its last LSN, and each file's pages and bytes."""
    wrong = 0
    if config.set.last_lsn != config.set.last_lsn_again:
        wrong += 1
        findings.add(total_row(config, config.head, SetRecord.last_lsn_again.offset, 10))
    for record, entry in config.files:
        if entry.backup_bytes != stored_bytes(entry):
            wrong += 1
            findings.add(total_row(config, record, FileRecord.backup_bytes.offset, 8))
    if not wrong:
        # Ten bytes of each LSN; four of pages and eight of bytes per data file.
        data = sum(entry.kind == KIND_DATA for _, entry in config.files)
        findings.matched(CONFIG_TOTALS, None, 0, vouched_bytes=20 + 12 * data)


def stored_bytes(entry: FileRecord) -> int:
    """Return the bytes a file stores in the backup, by its number of pages."""
    if entry.kind == KIND_DATA:
        return entry.pages * PAGE_BYTES
    # Seen: a log's pages are its bytes rounded down, so its bytes can only be held against them.
    fits = entry.backup_bytes // PAGE_BYTES == entry.pages
    return entry.backup_bytes if fits else entry.pages * PAGE_BYTES


def total_row(config: Config, record: Record, offset: int, length: int) -> Evidence:
    """Return the row for two numbers of one copy that should be equal."""
    return Evidence(
        CONFIG_TOTALS,
        Outcome.MISMATCHED,
        config.place + record.offset + offset,
        length,
        "bytes as the pages say" if record.tag == FILE_TAG else "the last LSN once more",
        "another number",
        Bearing.DOUBTFUL,
    )


def check_end(findings: Findings, configs: Configs) -> None:
    """Look at what the copy behind the data says of the backup's end."""
    last = configs.last
    if last is None:
        return
    offset = last.place + last.head.offset
    if not any(last.set.finish_date):
        field = SetRecord.finish_date
        findings.add(
            Evidence(
                CONFIG_FINISH,
                Outcome.MISMATCHED,
                offset + field.offset,
                field.length,
                "a date",
                "none",
                Bearing.DOUBTFUL,
            )
        )
    else:
        findings.matched(CONFIG_FINISH, None, 0)
    if last.set.flags & FLAG_DAMAGED:
        findings.add(
            Evidence(
                CONFIG_DAMAGED,
                Outcome.MISMATCHED,
                offset + SetRecord.flags.offset,
                SetRecord.flags.length,
                "a sound database",
                "written although the database was damaged",
            )
        )
