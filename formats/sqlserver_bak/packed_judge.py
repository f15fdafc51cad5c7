"""Report the chunks of a compressed set when all of them have been seen."""

import numpy as np

from formats.core import xpress
from formats.core.findings import Findings
from formats.core.model import Evidence, Outcome, Part
from formats.sqlserver_bak.judge_log import table_of
from formats.sqlserver_bak.packed_groups import CHUNK_BAD, CHUNK_CODES
from formats.sqlserver_bak.records_packed import PLAIN_BYTES, ChunkHead

PACKED_CHUNK = "sqlserver_bak.compressed.chunk"
PACKED_CODE = "sqlserver_bak.compressed.decode"


def judge_chunks(findings: Findings, part: Part, *, known: bool) -> None:
    """Report the chunks of one part of a set; ``known`` says whether the framing is.

    A checksum that holds for other chunks and not for one is damage. Where it holds for none, of a
    framing that is not known or of chunks that are stored plain, it may be another kind of sum.
    """
    good = part.tally.get("chunks_good")
    any_holds = known or (good is not None and bool(good["chunks"].any()))
    plain_holds = bool(len(part.tally.get("chunks_plain", ())))
    for row in table_of(part, "chunks_bad", CHUNK_BAD):
        plain = int(row["bytes"]) == PLAIN_BYTES + ChunkHead.size
        sure = any_holds and (plain_holds or not plain)
        outcome = Outcome.MISMATCHED if sure else Outcome.UNSUPPORTED
        expected, actual = f"{int(row['stored']):#010x}", f"{int(row['computed']):#010x}"
        findings.add(chunk_row(PACKED_CHUNK, outcome, part, row, expected, actual))
    for row in table_of(part, "chunk_codes", CHUNK_CODES):
        # What SQL Server wrote is all there: it is more likely to be a variant that is not known.
        expected, actual = "a block of the right length", xpress.ERRORS[int(row["code"])]
        findings.add(chunk_row(PACKED_CODE, Outcome.UNSUPPORTED, part, row, expected, actual))
    if good is not None and len(good):
        count_good(findings, good)


def count_good(findings: Findings, good: np.ndarray[tuple[int], np.dtype[np.void]]) -> None:
    """Count the chunks that are as they should be."""
    decoded = int(good["decoded"].sum())
    if decoded:
        findings.matched(PACKED_CODE, None, 0, count=decoded)
    findings.matched(
        PACKED_CHUNK,
        None,
        0,
        count=int(good["chunks"].sum()),
        vouched_bytes=int(good["bytes"].sum()),
    )


def chunk_row(
    check: str, outcome: Outcome, part: Part, row: np.void, expected: str, actual: str
) -> Evidence:
    """Return the row for one chunk."""
    return Evidence(
        check,
        outcome,
        int(row["offset"]),
        int(row["bytes"]),
        expected,
        actual,
        member=part.member,
    )
