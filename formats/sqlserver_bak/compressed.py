"""Compressed backups: walked record by record, every chunk verified as stored, then decoded.

A chunk's checksum is over its compressed bytes, so all that SQL Server wrote can be verified
without decompressing, and without numba that is where it ends: only the few chunks that describe a
set are decoded then. With it the pages, their maps and the log are judged as of any other set.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from formats.core.findings import Findings
from formats.core.model import (
    Algorithm,
    Bearing,
    Declared,
    Evidence,
    Examined,
    ExtentBatch,
    Inspection,
    Outcome,
    Part,
    Source,
)
from formats.core.source import starts_with
from formats.mtf import PAD_ZEROS
from formats.mtf.filemarks import filemarks_behind, judge_filemark
from formats.mtf.structures import KINDS_OF_MTF, BlockHeader
from formats.mtf.walk import BLOCK_SUM, Ahead, read_block
from formats.sqlserver_bak.extents import batches
from formats.sqlserver_bak.framing import FILE_NEEDED, SET_TRAILER, rest_row, zeros_to_end
from formats.sqlserver_bak.inspect import MEDIA_SETS
from formats.sqlserver_bak.log_blocks import LOG_SECTOR_BYTES
from formats.sqlserver_bak.packed_groups import GROUP_TABLES, examine_group
from formats.sqlserver_bak.packed_inside import (
    Inside,
    conclude_inside,
    contents_of,
    evidence_of,
    is_set,
    look_inside,
)
from formats.sqlserver_bak.packed_judge import PACKED_CHUNK, PACKED_CODE, judge_chunks
from formats.sqlserver_bak.packed_map import (
    ELEMENT_BYTES_MAX,
    MapDraft,
    PackedMap,
    new_decoder,
)
from formats.sqlserver_bak.packed_strange import (
    KNOWN_KINDS,
    Strange,
    look_at,
    next_chunk,
    strange_row,
)
from formats.sqlserver_bak.pages import EXTENT_BYTES
from formats.sqlserver_bak.records_packed import (
    FIRST_RECORD,
    INDEX_ENTRY_BYTES,
    INDEX_HEAD_BYTES,
    MAGIC,
    PART_OFFSET,
    RECORDS_MAX,
    Kind,
    PaddingHead,
    Record,
    TrailerHead,
    chunk_sum,
    records,
)
from formats.sqlserver_bak.state import Ranges, SetState

PACKED_CONTENT = "sqlserver_bak.compressed.content"
PACKED_VERSION = "sqlserver_bak.compressed.version"
PACKED_RECORD = "sqlserver_bak.compressed.record"
PACKED_INDEX = "sqlserver_bak.compressed.index"
PACKED_LIMIT = "sqlserver_bak.compressed.limit"

CHECKS: Mapping[str, str] = {
    PACKED_CONTENT: "The chunks of a compressed backup can be decompressed here.",
    PACKED_VERSION: "A compressed backup is of a version whose framing is known.",
    PACKED_RECORD: "A record of a compressed backup stands where the one before it ends.",
    PACKED_CHUNK: "The checksum of a compressed chunk holds.",
    PACKED_CODE: "A compressed chunk decodes to as many bytes as it should.",
    PACKED_INDEX: "The index behind a compressed set has a checksum that holds, and names chunks.",
    PACKED_LIMIT: "A compressed backup has no more records than this code follows.",
}

VERSION_SEEN = (2, 3)
# Reported (rsleedbx/mssqlbak-tests, SQL Server 2022): the second number has a bit for compressed,
# 2, and one for encrypted, 4.
ENCRYPTED_BIT = 4
SETS_MAX = 16_384
RESUMES_MAX = 1_024
# How far a chunk is looked for behind a record that leads nowhere: once, and for all of them.
SEARCH_BYTES_MAX = 2 << 20
SEARCHES_BYTES_MAX = 64 << 20
INDEX_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class PackedState:
    """Where a compressed set's chunks and its padding are, and what the plain set is, if known.

    ``known`` says whether the medium is of the version of which everything here was seen.
    """

    packed: PackedMap
    pads: Ranges
    inside: SetState | None = None
    known: bool = True


@dataclass(slots=True)
class Draft:
    """A set on the way through its records; ``first`` and ``last`` are its groups of chunks.

    ``broken`` says that something in it could not be followed, ``lost`` that this is where the
    walk ended, in a variant or at a size that is not known here: whether it is whole is not known.
    """

    findings: Findings = field(default_factory=Findings)
    first: int = 0
    last: int = 0
    chunks: int = 0
    stored: int = 0
    pads: list[tuple[int, int]] = field(default_factory=list)
    begun: bool = False
    closed: bool = False
    broken: bool = False
    lost: bool = False
    needed: int = 0


@dataclass(slots=True)
class Progress:
    """What is known of the medium on the way through its records.

    ``broken`` is where the first record stands that could not be followed or is of no known kind.
    """

    source: Source
    map: MapDraft
    known: bool = True
    broken: int | None = None
    searches_left: int = SEARCHES_BYTES_MAX
    drafts: list[Draft] = field(default_factory=lambda: [Draft()])
    marks: list[int] = field(default_factory=list)


def is_compressed(source: Source) -> bool:
    """Whether the file is a compressed backup."""
    return starts_with(source, MAGIC)


def inspect_compressed(source: Source) -> tuple[Inspection, ...]:
    """Return one inspection per backup set of a compressed medium.

    A medium has a filemark behind its tape header and two per set, so counting them tells sets
    apart; what stands before the first set belongs to it.
    """
    progress = Progress(source, MapDraft(new_decoder()))
    progress.known = check_version(progress.drafts[0].findings, source)
    listed = filemarks_behind(source, 0)
    offset = min(FIRST_RECORD, source.size)
    for _ in range(RESUMES_MAX):
        last = None
        for last in records(source, offset):
            take(progress, last)
        resumed = None if last is None else resume(progress, last, listed)
        if resumed is None:
            judge_end(progress, last)
            break
        offset = resumed
    else:
        add_limit(progress, offset, f"at most {RESUMES_MAX} records of no known kind")
    return finished(progress)


def resume(progress: Progress, last: Record, listed: Sequence[int]) -> int | None:
    """Return where to go on behind a record that leads nowhere; None where the walk is over.

    That is behind it, if its end is known; at the next chunk whose checksum holds; or at the next
    filemark that another one lists.
    """
    source = progress.source
    if is_whole(last, source.size):
        return None
    strange = look_at(source, last.offset) if last.kind is Kind.UNKNOWN else None
    if strange is not None:
        take_strange(progress, strange)
        return strange.end
    behind = next((item for item in listed if item > last.offset), None)
    end = min(last.offset + SEARCH_BYTES_MAX, source.size if behind is None else behind)
    length = min(end - last.offset, progress.searches_left)
    progress.searches_left -= length
    found = next_chunk(source, last.offset, last.offset + length)
    resumed = behind if found is None else found
    if resumed is not None:
        draft_of(
            progress
        )  # What comes behind a whole set, and what leads there, is of the next one.
        add_break(progress, last, resumed)
        give_up(progress, last.offset)
    if found is None and behind is not None:
        progress.marks = [item for item in listed if item < behind]
    return resumed


def give_up(progress: Progress, offset: int) -> None:
    """Map nothing from here on."""
    draft = progress.drafts[-1]
    progress.broken = offset if progress.broken is None else progress.broken
    draft.broken = True
    draft.begun |= bool(progress.marks)
    progress.map.give_up(offset)


def draft_of(progress: Progress) -> Draft:
    """Return the set a record belongs to by the number of filemarks before it."""
    index = min(max(0, (len(progress.marks) - 1) // 2), SETS_MAX)
    drafts = progress.drafts
    while len(drafts) <= index:
        drafts.append(Draft(first=len(progress.map.groups), last=len(progress.map.groups)))
    return drafts[index]


def is_whole(record: Record, size: int) -> bool:
    """Whether a record could be read and lies inside the file."""
    return record.kind not in (Kind.UNKNOWN, Kind.ZEROS) and record.end <= size


def check_version(findings: Findings, source: Source) -> bool:
    """Compare the two numbers behind the magic with those of the file whose framing is known."""
    if source.size < FIRST_RECORD:
        return True
    stored = source.read_at(len(MAGIC), 8)
    version = int.from_bytes(stored[:4], "little"), int.from_bytes(stored[4:], "little")
    if version == VERSION_SEEN:
        findings.matched(PACKED_VERSION, len(MAGIC), 8)
        return True
    locked = ", encrypted" if version[1] & ENCRYPTED_BIT else ""
    findings.add(
        Evidence(
            PACKED_VERSION,
            Outcome.UNSUPPORTED,
            len(MAGIC),
            8,
            "2 and 3",
            f"{version[0]} and {version[1]}{locked}",
        )
    )
    return False


def take(progress: Progress, record: Record) -> None:
    """Take one record into its set."""
    if record.kind in (Kind.UNKNOWN, Kind.ZEROS) and progress.drafts[-1].closed:
        return  # Whether another set begins behind a whole one is not known yet.
    draft, source = draft_of(progress), progress.source
    draft.needed = max(draft.needed, record.end)
    if not is_whole(record, source.size):
        return
    match record.kind:
        case Kind.CHUNK:
            draft.begun |= bool(progress.marks)
            draft.chunks += 1
            draft.stored += record.end - record.offset
            progress.map.chunk(source, record)
            draft.last = len(progress.map.groups)
        case Kind.PADDING:
            start = record.offset + PaddingHead.size
            draft.pads.append((start, record.end - start))
        case Kind.TRAILER:
            check_index(draft, progress, record)
        case Kind.FILEMARK:
            take_mark(draft, progress, record)
        case Kind.UNKNOWN | Kind.ZEROS:
            pass


def take_strange(progress: Progress, strange: Strange) -> None:
    """Take a record of unknown kind: what it holds is not known, nor where that would be."""
    draft = draft_of(progress)
    draft.needed = max(draft.needed, strange.end)
    draft.findings.add(strange_row(PACKED_RECORD, strange))
    give_up(progress, strange.offset)


def take_mark(draft: Draft, progress: Progress, record: Record) -> None:
    """Judge a filemark as on an uncompressed medium."""
    block, _stop = read_block(Ahead(progress.source), record.offset, KINDS_OF_MTF)
    if block is not None:
        for row in block.evidence:
            draft.findings.add(row)
        if block.header_sum_holds:
            draft.findings.matched(BLOCK_SUM, None, 0, vouched_bytes=BlockHeader.size)
        draft.findings.add(judge_filemark(block, progress.marks))
    # The third filemark of a medium, the fifth, and so on end a set.
    draft.closed = len(progress.marks) >= 2 and len(progress.marks) % 2 == 0  # noqa: PLR2004
    progress.marks.append(record.offset)
    progress.map.mark(record)


def check_index(draft: Draft, progress: Progress, record: Record) -> None:
    """Verify the index behind a set's chunks: its checksum, its repeated head, its offsets."""
    length = record.end - record.offset
    head = TrailerHead.parse(progress.source.read_at(record.offset, TrailerHead.size))
    entries = TrailerHead.size + head.count * INDEX_ENTRY_BYTES
    if length > INDEX_BYTES_MAX or entries + INDEX_HEAD_BYTES > length:
        draft.findings.add(index_row(record, "entries that fit", f"{head.count} entries"))
        return
    stored = progress.source.read_at(record.offset, length)
    table = np.frombuffer(stored, np.uint8, entries - TrailerHead.size, TrailerHead.size)
    computed = chunk_sum(table)
    if computed != head.checksum:
        found = index_row(record, f"{head.checksum:#010x}", f"{computed:#010x}")
    elif stored[-INDEX_HEAD_BYTES:] != stored[PART_OFFSET : TrailerHead.size]:
        found = index_row(record, "the head once more", "other bytes")
    elif not names_chunks(table, progress.map.finished(draft.first)):
        found = index_row(record, "offsets of chunks", "others")
    else:
        draft.findings.matched(
            PACKED_INDEX, None, 0, count=head.count or 1, vouched_bytes=len(table) + 32
        )
        return
    draft.findings.add(found)


def names_chunks(table: npt.NDArray[np.uint8], packed: PackedMap) -> bool:
    """Whether every entry of an index gives the offset of a chunk."""
    return all(packed.is_chunk(int(offset)) for offset in table.view("<u8")[1::2])


def index_row(record: Record, expected: str, actual: str) -> Evidence:
    """Return the row for an index that is wrong: what it says can be had from the chunks."""
    return Evidence(
        PACKED_INDEX,
        Outcome.MISMATCHED,
        record.offset,
        record.end - record.offset,
        expected,
        actual,
        Bearing.REDUNDANT,
    )


def judge_end(progress: Progress, last: Record | None) -> None:
    """Say what the end of the walk means for the last set."""
    draft, source, size = progress.drafts[-1], progress.source, progress.source.size
    if last is not None and not is_whole(last, size):
        if last.end > size and last.kind not in (Kind.UNKNOWN, Kind.ZEROS) and progress.known:
            draft.findings.add(truncated(FILE_NEEDED, last.end, size))
        elif draft.closed:
            judge_rest(draft, source, last.offset)
        else:
            add_break(progress, last, min(last.end, size))
            draft.lost = not zeros_to_end(source, last.offset)
    elif last is not None and last.end < size:
        add_limit(progress, last.end, f"at most {RECORDS_MAX} records")
    elif not draft.closed and draft.begun:
        draft.findings.add(truncated(SET_TRAILER, size + 1, size))
    elif not draft.begun:
        draft.findings.add(
            Evidence(
                MEDIA_SETS,
                Outcome.TRUNCATED,
                size,
                None,
                "at least one backup set",
                "none",
                Bearing.DOUBTFUL,
            )
        )


def judge_rest(draft: Draft, source: Source, offset: int) -> None:
    """Look at bytes behind the last whole set, as on an uncompressed medium: zeros are no news."""
    if not zeros_to_end(source, offset):
        draft.findings.add(rest_row(source, offset))


def truncated(check: str, needed: int, size: int) -> Evidence:
    """Return the row for a file that ends before a record does."""
    return Evidence(
        check,
        Outcome.TRUNCATED,
        size,
        needed - size,
        f"at least {needed} bytes",
        f"{size} bytes",
    )


def add_limit(progress: Progress, offset: int, limit: str) -> None:
    """Report that a medium is not followed any further."""
    draft, length = progress.drafts[-1], progress.source.size - offset
    draft.lost = True
    draft.findings.add(Evidence(PACKED_LIMIT, Outcome.UNSUPPORTED, offset, length, limit, "more"))


def add_break(progress: Progress, record: Record, end: int) -> None:
    """Report a record that leads nowhere; up to ``end`` nothing is known.

    Only one variant of this framing has been seen: what cannot be read in another version, or
    before the first chunk of a set, may be one more. Behind chunks it is damage.
    """
    source, draft = progress.source, progress.drafts[-1]
    seen = progress.known and bool(draft.chunks)
    expected, actual = f"kind {KNOWN_KINDS}", f"kind {source.read_at(record.offset, 1)[0]:#04x}"
    outcome = Outcome.MISMATCHED if seen else Outcome.UNSUPPORTED
    if record.kind is Kind.ZEROS:
        to_end = zeros_to_end(source, record.offset)
        wrong = Outcome.MISMATCHED if progress.known else Outcome.UNSUPPORTED
        outcome = Outcome.TRUNCATED if to_end else wrong
        actual = "zeros to the end of the file" if to_end else "zeros"
    elif record.end > source.size:
        expected, actual = f"an end at {source.size} or before", f"{record.end}"
    length = end - record.offset
    draft.findings.add(Evidence(PACKED_RECORD, outcome, record.offset, length, expected, actual))


def finished(progress: Progress) -> tuple[Inspection, ...]:
    """Describe every set, by its records and by what is in its chunks."""
    packed, decoder = progress.map.finished(), progress.map.decoder
    inside = look_inside(progress.source, packed, decoder)
    found = [*inside.inspections, *(None for _ in progress.drafts)]
    images = []
    for draft, inner in zip(progress.drafts, found, strict=False):
        outer = described(draft, progress, packed.part(draft.first, draft.last))
        problem = unlooked(draft, outer, inner, progress)
        images.append(joined(draft, outer, packed, inside, inner, problem))
    return tuple(images)


def described(draft: Draft, progress: Progress, packed: PackedMap) -> Inspection:
    """Describe one compressed set by its records alone."""
    if draft.closed:
        draft.findings.matched(FILE_NEEDED, None, 0)
    begun, ended = draft.begun or draft.lost, draft.closed or draft.lost
    return Inspection(
        title="compressed backup" if begun else "medium without a backup set",
        payload_bytes=None if begun else 0,
        needed_bytes=max(draft.needed, 0 if ended else progress.source.size + 1),
        complete=ended,
        facts={"Compressed": 1, "Chunks": draft.chunks, "ChunkBytes": draft.stored},
        evidence=draft.findings.rows,
        state=PackedState(packed, columns(draft.pads), known=progress.known),
    )


def joined(
    draft: Draft,
    outer: Inspection,
    packed: PackedMap,
    inside: Inside,
    inner: Inspection | None,
    problem: str | None,
) -> Inspection:
    """Put what a set's records say together with what its chunks hold."""
    state = outer.state
    assert isinstance(state, PackedState), "made by `described`"
    if not draft.begun and not draft.lost:
        return outer if inner is None else medium_alone(outer, inner)
    if inner is not None and not is_set(inner):
        inner = None
    rows = outer.evidence
    if problem is not None:
        looked = f"{draft.chunks} chunks, verified as stored only"
        rows += (Evidence(PACKED_CONTENT, Outcome.UNSUPPORTED, None, None, problem, looked),)
    if inner is None:
        return replace(outer, evidence=rows)
    whole = state.packed.whole(inside.lost) and not draft.broken
    if problem is None and isinstance(inner.state, SetState):
        state = replace(state, inside=inner.state)
    return replace(
        inner,
        needed_bytes=outer.needed_bytes,
        complete=outer.complete and (inner.complete or not whole),
        facts={**inner.facts, **outer.facts},
        evidence=rows + evidence_of(packed, inside, inner, whole=whole),
        state=state,
    )


def medium_alone(outer: Inspection, inner: Inspection) -> Inspection:
    """Describe a medium that holds no set; what is wrong with it its records say."""
    return replace(outer, piece=inner.piece, facts={**inner.facts, **outer.facts})


def unlooked(
    draft: Draft, outer: Inspection, inner: Inspection | None, progress: Progress
) -> str | None:
    """Return what it would take to judge all that is in a set's chunks; None if nothing more."""
    assert isinstance(outer.state, PackedState), "made by `described`"
    decoder, broken = progress.map.decoder, progress.broken
    if decoder.native is None:
        return "numba installed, to decompress all of it"
    if decoder.left <= 0:
        return "fewer blocks to decompress before the set is known"
    whole = outer.state.packed.whole(()) and not draft.broken
    if inner is not None and is_set(inner) and whole:
        return None
    if broken is not None:
        # Where the chunks behind it belong is not known, so none of the set is judged inside.
        return f"a known record at {broken:#x}, to look into the chunks of the set"
    return "chunks in a compression known here"


def columns(pairs: Sequence[tuple[int, int]]) -> Ranges:
    """Return offsets and lengths as columns, without empty ones."""
    rows = np.array([pair for pair in pairs if pair[1] > 0], np.int64).reshape(-1, 2)
    return rows[np.argsort(rows[:, 0], kind="stable")]


def extents_of(inspections: Sequence[Inspection]) -> Iterator[ExtentBatch]:
    """Yield the padding, and the groups of chunks.

    What one group needs of the next one overlaps it, so every second group is in another batch.
    """
    zeros = Declared(Algorithm.ZEROS)
    for image_index, inspection in enumerate(inspections):
        state = inspection.state
        if not isinstance(state, PackedState):
            continue
        yield from batches(zeros, PAD_ZEROS, image_index, state.pads, Bearing.REDUNDANT)
        kernel = partial(examine_group, state.packed, contents_of(state.inside))
        check = Examined(kernel, ELEMENT_BYTES_MAX, GROUP_TABLES)
        groups = state.packed.groups
        reach = np.where(needs_tail(state), groups[:, 3], groups[:, 2])
        rows = np.stack((groups[:, 1], reach - groups[:, 1]), axis=1)
        for half in (rows[0::2], rows[1::2]):
            yield from batches(check, PACKED_CHUNK, image_index, half)


def needs_tail(state: PackedState) -> npt.NDArray[np.bool_]:
    """Return which groups end inside an extent of pages or a sector of log."""
    ends = state.packed.groups[:, 5]
    cut = np.zeros(len(ends), np.bool_)
    if state.inside is None:
        return cut
    for streams, stride in (
        (state.inside.data, EXTENT_BYTES),
        (state.inside.logs, LOG_SECTOR_BYTES),
    ):
        places = np.array([(item.offset, item.available) for item in streams], np.int64)
        if not len(places):
            continue
        places = places[np.argsort(places[:, 0])]
        row = np.maximum(np.searchsorted(places[:, 0], ends, side="right") - 1, 0)
        into = ends - places[row, 0]
        cut |= (into > 0) & (into < places[row, 1]) & (into % stride != 0)
    return cut


def conclude_set(parts: Sequence[Part]) -> tuple[Evidence, ...]:
    """Judge one compressed set: its chunks, and what is in them."""
    findings = Findings()
    inside: list[tuple[Part, PackedMap, SetState]] = []
    for part in parts:
        state = part.inspection.state
        if not isinstance(state, PackedState):
            continue
        judge_chunks(findings, part, known=state.known)
        if state.inside is not None:
            inside.append((part, state.packed, state.inside))
    return (*findings.rows, *(conclude_inside(inside) if inside else ()))
