"""Judge backup checksums: the rotating XOR over everything a stream holds.

Seen in sets written WITH CHECKSUM by SQL Server 2008 R2 and 2019: over the 512-byte sectors of the
stream behind its two lead bytes, filler included, ``acc = rotl32(acc, 1) ^ XOR of the sector``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from formats.core.checksums import rotate_left
from formats.core.findings import Findings
from formats.core.model import Columns, Evidence, Outcome, Part
from formats.sqlserver_bak.judge_log import between, table_of
from formats.sqlserver_bak.pages import FOLD_ROWS
from formats.sqlserver_bak.state import DataStream, LogStream, SetState

CSUM_STREAM = "sqlserver_bak.csum.stream"
CHECKS: Mapping[str, str] = {CSUM_STREAM: "The backup checksum behind a stream holds."}
SECTOR_BYTES = 512
CSUM_BYTES = 4


@dataclass(frozen=True, slots=True)
class Held:
    """Whether the checksums of all streams of one kind are there and hold."""

    pages: bool
    logs: bool


def judge_csum(findings: Findings, part: Part, state: SetState) -> Held:
    """Judge every stream with a checksum.

    Where those of one kind all hold they vouch for every byte of it, and finer sums for none.
    """
    pages = [
        judge_stream(findings, part, item, table_of(part, "page_folds", FOLD_ROWS))
        for item in state.data
    ]
    logs = [
        judge_stream(findings, part, item, table_of(part, "log_folds", FOLD_ROWS))
        for item in state.logs
    ]
    held = Held(bool(pages) and all(pages), bool(logs) and all(logs))
    # What must be zero behind the log is vouched for already.
    slack = int(state.slack[:, 1].sum())
    vouched = held.pages * sum(item.length + CSUM_BYTES for item in state.data)
    vouched += held.logs * (sum(item.length + CSUM_BYTES for item in state.logs) - slack)
    count = sum(pages) + sum(logs)
    if count:
        findings.matched(CSUM_STREAM, None, 0, count=count, vouched_bytes=vouched)
    return held


def judge_stream(
    findings: Findings, part: Part, stream: DataStream | LogStream, folds: Columns
) -> bool:
    """Compare one stream's checksum; False too where it has none, or not all of it was read."""
    if stream.csum is None:
        return False
    rows = between(folds, stream.offset, stream.offset + stream.length)
    sectors = rows["sectors"].astype(np.int64)
    if not len(rows) or int(sectors.sum()) * SECTOR_BYTES != stream.length:
        return False
    # Each fold is turned by the number of sectors behind it.
    behind = (np.cumsum(sectors[::-1])[::-1] - sectors) % 32
    turned = rotate_left(rows["fold"].astype(np.uint32), behind.astype(np.uint32))
    computed = int(np.bitwise_xor.reduce(turned))
    if computed == stream.csum:
        return True
    findings.add(
        Evidence(
            CSUM_STREAM,
            Outcome.MISMATCHED,
            stream.offset,
            stream.length,
            f"{stream.csum:#010x}",
            f"{computed:#010x}",
            member=part.member,
        )
    )
    return False
