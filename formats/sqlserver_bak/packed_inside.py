"""What a compressed set says of itself: the plain medium, read as any other, told in file offsets.

Everything inside the chunks is under their checksums, so nothing found here vouches for a byte.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from formats.core.findings import Findings
from formats.core.model import Bearing, Evidence, Inspection, Outcome, Part, Source
from formats.mtf import PAD_ZEROS
from formats.sqlserver_bak import conclude
from formats.sqlserver_bak.extents import LOG_SLACK, payload
from formats.sqlserver_bak.framing import FILE_NEEDED, SET_TRAILER
from formats.sqlserver_bak.inspect import inspect_media
from formats.sqlserver_bak.judge_log import LOG_CHAIN, table_of
from formats.sqlserver_bak.log_blocks import log_places
from formats.sqlserver_bak.packed_groups import PLAIN_ZEROS, Contents
from formats.sqlserver_bak.packed_map import Decoder, PackedMap, PlainSource
from formats.sqlserver_bak.repeats import SET_REPEATS
from formats.sqlserver_bak.set_map import SET_MAP
from formats.sqlserver_bak.state import Ranges, SetState

SETS_FACT = "BackupSets"
# Where the file ends and which of its blocks are there is judged by its records.
OUTER_CHECKS = frozenset({FILE_NEEDED, SET_TRAILER})
PLACE_CHECKS = frozenset({SET_REPEATS, SET_MAP})


@dataclass(frozen=True, slots=True)
class Inside:
    """One inspection per set of the plain medium, or one of the medium where it has none.

    ``lost`` are plain offsets of chunks that were read as zeros, because they did not decode.
    """

    inspections: tuple[Inspection, ...] = ()
    lost: tuple[int, ...] = ()


def look_inside(source: Source, packed: PackedMap, decoder: Decoder) -> Inside:
    """Inspect the plain medium as far as it is mapped."""
    if not packed.size:
        return Inside()
    plain = PlainSource(source, packed, decoder)
    return Inside(inspect_media(plain), tuple(plain.lost))


def is_set(inspection: Inspection) -> bool:
    """Whether an inspection is of a set, and not of a medium without any."""
    return SETS_FACT not in inspection.facts


def evidence_of(
    packed: PackedMap, inside: Inside, inspection: Inspection, *, whole: bool
) -> tuple[Evidence, ...]:
    """Return an inspection's evidence as it speaks of the file.

    What is bad in a set of which a chunk could not be decoded says nothing that is not said of the
    chunk, and may come from the zeros that were read in its place.
    """
    sizes = {item.facts.get("CompressedBackupSize") for item in inside.inspections}
    return tuple(
        in_file(packed, row)
        for row in inspection.evidence
        if row.check not in OUTER_CHECKS
        and (whole or not row.bad)
        and not in_mark(packed, row)
        and not gives_place(packed, row, sizes)
    )


def in_file(packed: PackedMap, row: Evidence) -> Evidence:
    """Return a row at the chunk that holds what it speaks of."""
    if row.offset is None or not row.bad:
        return replace(row, offset=None, length=row.length and 0, vouched_bytes=0)
    offset, length = packed.place(row.offset)
    return replace(row, offset=offset, length=length, vouched_bytes=0)


def in_mark(packed: PackedMap, row: Evidence) -> bool:
    """Whether a row speaks of a filemark: those are judged as they stand in the file."""
    marks = packed.marks
    if row.offset is None or not len(marks):
        return False
    index = int(np.searchsorted(marks[:, 0], row.offset, side="right")) - 1
    return index >= 0 and row.offset < int(marks[index, 0] + marks[index, 2])


def gives_place(packed: PackedMap, row: Evidence, sizes: Iterable[object]) -> bool:
    """Whether a row only says that a place or size is given as it is in the compressed file.

    Seen: the end of a set gives the offset of its own chunk in the file, and the set map has
    CompressedBackupSize where it has BackupSize for other sets. Assumed: the set map gives the
    offset of the set's first chunk likewise.
    """
    if row.check not in PLACE_CHECKS or not row.bad or row.expected is None:
        return False
    if not row.expected.isdecimal() or row.actual is None:
        return False
    plain = int(row.expected)
    places = {str(packed.place(plain)[0])} if plain < packed.size else set()
    return row.actual in places | {str(size) for size in sizes if size is not None}


def contents_of(state: object) -> Contents | None:
    """Return what the kernel looks for in the plain medium of a set."""
    if not isinstance(state, SetState):
        return None
    logs = tuple(sorted(state.logs, key=lambda item: item.offset))
    data = tuple(sorted(state.data, key=lambda item: item.offset))
    return Contents(
        data, logs, log_places(logs), zeros_of(state), payload(state), state.family_count
    )


def zeros_of(state: SetState) -> Ranges:
    """Return what must be zeros: padding, and what stands behind the log."""
    rows = np.concatenate((state.pads, state.slack))
    return rows[np.argsort(rows[:, 0], kind="stable")]


def conclude_inside(
    parts: Sequence[tuple[Part, PackedMap, SetState]],
) -> tuple[Evidence, ...]:
    """Judge the plain medium of a set as that of any other."""
    plain = [
        replace(part, inspection=replace(part.inspection, state=state), unreadable=())
        for part, _packed, state in parts
    ]
    maps = {part.member: packed for part, packed, _state in parts}
    first = parts[0][0].member
    rows = [in_file(maps.get(row.member, maps[first]), row) for row in conclude.conclude_set(plain)]
    undecoded = any(len(part.tally.get("chunk_codes", ())) for part, _packed, _state in parts)
    findings = Findings()
    for row in rows:
        # A log that goes on behind a chunk that did not decode seems to have a gap.
        if row.check != LOG_CHAIN or not row.bad or not undecoded:
            findings.add(row)
    for part, packed, state in parts:
        add_zeros(findings, part, packed, state)
    return findings.rows


def add_zeros(findings: Findings, part: Part, packed: PackedMap, state: SetState) -> None:
    """Report padding that is not zeros."""
    slack = state.slack
    for row in table_of(part, "plain_zeros", PLAIN_ZEROS):
        place = int(row["offset"])
        index = int(np.searchsorted(slack[:, 0], place, side="right")) - 1
        in_log = index >= 0 and place < int(slack[index].sum())
        offset, length = packed.place(place)
        findings.add(
            Evidence(
                LOG_SLACK if in_log else PAD_ZEROS,
                Outcome.MISMATCHED,
                offset,
                length,
                "zeros",
                "other bytes",
                Bearing.REDUNDANT,
                part.member,
            )
        )
