"""Microsoft Tape Format: framing, and media that no format of its own reads.

Backup programs of the 1990s and 2000s (NTBackup, Backup Exec, SQL Server to this day) write data
sets as a chain of descriptor blocks and streams. `walk` follows the chain, `structures` names its
fields, `filemarks` finds sets from the end. What a set means is its writer's business: a medium of
an unknown writer is walked and named, and its content stays unproven.
"""

from collections.abc import Mapping

from formats.core.findings import Findings
from formats.core.model import (
    Evidence,
    Format,
    Inspection,
    Neighbours,
    Outcome,
    Source,
    WriteModel,
    no_conclusion,
    no_extents,
)
from formats.mtf import filemarks, walk
from formats.mtf.structures import (
    KINDS_OF_MTF,
    BlockHeader,
    StreamHeader,
    TapeBody,
    date_at,
    plausible_name,
    sum_holds,
    text_at,
)
from formats.mtf.walk import Block, End, Walker

TAPE = b"TAPE"
MEDIA_CONTENT = "mtf.media.content"
MEDIA_END = "mtf.media.end"
PAD_ZEROS = "mtf.pad.zeros"

# [MTF] appendix: the numbers of vendors. SQL Server's media are read by a format of their own.
VENDORS_READ_ELSEWHERE = frozenset({0x1200})

CHECKS: Mapping[str, str] = {
    **walk.CHECKS,
    **filemarks.CHECKS,
    PAD_ZEROS: "Bytes that only fill up to a boundary are zeros.",
    MEDIA_END: "Nothing that cannot be read as blocks stands behind the last data set.",
}


def tape_body(source: Source) -> TapeBody | None:
    """Return the tape header at the start of the file, if one stands there whole."""
    if source.size < TapeBody.size:
        return None
    stored = source.read_at(0, TapeBody.size)
    if stored[:4] != TAPE:
        return None
    header = BlockHeader.parse(stored)
    if not plausible_name(header.kind) or header.first_event < TapeBody.size:
        return None
    return TapeBody.parse(stored)


def software_name(source: Source) -> str | None:
    """Return what the tape header calls its writer."""
    body = tape_body(source)
    if body is None:
        return None
    header = BlockHeader.parse(source.read_at(0, BlockHeader.size))
    block = source.read_at(0, min(header.first_event, source.size))
    return text_at(block, body.software_name, header.string_type)


def is_foreign(source: Source) -> bool:
    """Whether the file is a medium that only this module knows."""
    body = tape_body(source)
    if body is None or body.vendor_id in VENDORS_READ_ELSEWHERE:
        return False
    name = software_name(source)
    return sum_holds(source.read_at(0, BlockHeader.size)) and "SQL Server" not in (name or "")


def inspect_foreign(source: Source, _neighbours: Neighbours) -> tuple[Inspection, ...]:
    """Walk the medium; every header's sum is looked at, and nothing else."""
    findings = Findings()
    walker = Walker(source, 0, KINDS_OF_MTF)
    blocks, streams = 0, 0
    for item in walker:
        if isinstance(item, Block):
            blocks += item.header_sum_holds
            streams += item.stream_sums_held
            for row in item.evidence:
                findings.add(row)
        else:
            findings.add(item.evidence)
    needed = add_end(findings, walker, source.size)
    add_sums(findings, blocks, streams)
    findings.add(
        Evidence(
            MEDIA_CONTENT,
            Outcome.UNSUPPORTED,
            expected="content this version reads",
            actual="a Microsoft Tape Format medium of another program",
        )
    )
    return (
        Inspection(
            title=software_name(source),
            needed_bytes=needed,
            facts=media_facts(source),
            evidence=findings.rows,
        ),
    )


def add_end(findings: Findings, walker: Walker, size: int) -> int:
    """Say how the walk ended; return the size the walk needs the file to have."""
    stop = walker.stop
    assert stop is not None, "the walk has ended"
    if stop.evidence is not None:
        findings.add(stop.evidence)
    if stop.end is End.CUT:
        findings.add(
            Evidence(
                MEDIA_END,
                Outcome.TRUNCATED,
                size,
                stop.needed_bytes - size,
                f"{stop.needed_bytes} bytes",
                f"{size} bytes",
            )
        )
    return stop.needed_bytes


def add_sums(findings: Findings, blocks: int, streams: int) -> None:
    """Count the headers whose sums hold."""
    for check, count, size in (
        (walk.BLOCK_SUM, blocks, BlockHeader.size),
        (walk.STREAM_SUM, streams, StreamHeader.size),
    ):
        if count:
            findings.add(Evidence(check, Outcome.MATCHED, count=count, vouched_bytes=count * size))


def media_facts(source: Source) -> dict[str, object]:
    """Return the tape header's fields."""
    body = tape_body(source)
    if body is None:
        return {}
    when = date_at(body.media_date)
    return {
        "software_name": software_name(source),
        "software_vendor_id": body.vendor_id,
        "media_family_id": body.media_family_id,
        "media_sequence": body.media_sequence,
        "media_date": when.isoformat() if when else None,
        "format_logical_block_size": body.logical_block_bytes,
    }


FORMAT = Format(
    name="mtf",
    title="Microsoft Tape Format medium",
    suffixes=(".bkf",),
    references=("Microsoft Tape Format Specification, version 1.00a, revision 1.8",),
    revision=1,
    write_model=WriteModel.APPEND_ONLY,
    integrity="each header carries an XOR sum; the content is not looked at",
    limitations="media of NTBackup and Backup Exec are walked; their files are not read",
    samples="no real file of another writer than SQL Server seen",
    checks={**CHECKS, MEDIA_CONTENT: "No medium passes yet; the files on it are not read."},
    probe=is_foreign,
    inspect=inspect_foreign,
    extents=no_extents,
    conclude=no_conclusion,
    supported=False,
    first_bytes=frozenset(b"T"),
)
