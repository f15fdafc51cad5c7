"""From a medium's blocks to one `Inspection` per backup set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from formats.core.findings import Findings
from formats.core.model import (
    Bearing,
    Evidence,
    Identity,
    Inspection,
    Kind,
    Outcome,
    ParentRef,
    Position,
    Source,
)
from formats.mtf.structures import FILEMARK, SetBody
from formats.mtf.walk import End
from formats.sqlserver_bak import sets
from formats.sqlserver_bak.configs import Configs, read_configs
from formats.sqlserver_bak.facts import (
    TYPES,
    config_facts,
    file_list,
    moment,
    set_facts,
    set_guid,
)
from formats.sqlserver_bak.framing import Passed, judge_framing
from formats.sqlserver_bak.lsn import Lsn, lsn_at
from formats.sqlserver_bak.media import Medium, media_facts, read_medium
from formats.sqlserver_bak.records import Config, SetRecord, guid_text
from formats.sqlserver_bak.repeats import check_repeats
from formats.sqlserver_bak.set_map import MAP_STREAM, KnownSet, check_set_map, known_set
from formats.sqlserver_bak.sets import Chunk
from formats.sqlserver_bak.state import SetState
from formats.sqlserver_bak.streams import (
    CSUM_PRESENCE,
    FLAG_HAS_CHECKSUMS,
    check_log,
    data_files,
    data_streams,
    log_ranges,
    log_streams,
    padding,
)

MEDIA_SETS = "sqlserver_bak.media.sets"
MEDIA_TAPE = "sqlserver_bak.media.tape"
SET_SIZE = "sqlserver_bak.set.backup_size"
SET_TYPE = "sqlserver_bak.set.type"

CHECKS: Mapping[str, str] = {
    MEDIA_SETS: "The medium holds a backup set.",
    MEDIA_TAPE: "The medium begins with a tape header.",
    SET_SIZE: "The backup's size, as stored behind the data, is the distance between its blocks.",
    SET_TYPE: "The set is of a known backup type.",
}

SET_IDENTITY = "sqlserver.backup_set_guid"
# In SQL Server 2005 the size in the configuration also counted the medium's first filemark.
VERSION_2005 = 9
PAGE_BYTES = 8192


@dataclass(slots=True)
class Progress:
    """What is known of the medium on the way through it."""

    medium: Medium = field(default_factory=Medium)
    passed: Passed = field(default_factory=Passed)
    known: dict[int, KnownSet] = field(default_factory=dict)
    head: Chunk | None = None
    sets_seen: int = 0
    lost: bool = False


def inspect_media(source: Source) -> tuple[Inspection, ...]:
    """Return one inspection per backup set; one for the medium itself where it has none."""
    progress = Progress()
    found: list[Inspection] = []
    head = Findings()
    for chunk in sets.chunks(source):
        if chunk.is_set:
            # What stands before the first set belongs to it: without it, it cannot be restored.
            before = head if not found else Findings()
            found.append(inspect_set(before, source, chunk, progress))
        else:
            progress.head = chunk
            read_head(head, source, chunk, progress)
            if chunk.stop is not None:
                found.append(without_set(head, source, chunk, progress))
    return tuple(found)


def read_head(findings: Findings, source: Source, chunk: Chunk, progress: Progress) -> None:
    """Read the tape header and the first filemark."""
    judge_framing(findings, source, chunk, progress.passed)
    tape = chunk.first(sets.TAPE)
    progress.medium = read_medium(findings, source, tape)
    progress.lost = any(chunk.gaps)
    if tape is None and not progress.lost and chunk.stop is None:
        findings.add(Evidence(MEDIA_TAPE, Outcome.MISMATCHED, 0, 4, "TAPE", "another block"))


def without_set(findings: Findings, source: Source, chunk: Chunk, progress: Progress) -> Inspection:
    """Describe a medium that was set up and holds no backup set."""
    findings.add(
        Evidence(
            MEDIA_SETS,
            Outcome.TRUNCATED,
            source.size,
            None,
            "at least one backup set",
            "none: the medium was initialised, or everything behind is lost",
            # A medium made ready for a backup that never came looks the same as one cut there.
            Bearing.DOUBTFUL,
        )
    )
    whole = chunk.first(sets.TAPE) is not None and chunk.end <= source.size
    return Inspection(
        title="medium without a backup set",
        piece=progress.medium.piece,
        payload_bytes=0,
        needed_bytes=max(chunk.end, chunk.stop.needed_bytes if chunk.stop else 0) or None,
        complete=whole,
        facts=media_facts(progress.medium) | {"BackupSets": 0},
        evidence=findings.rows,
        state=SetState(*padding(source, [chunk], ())),
    )


def inspect_set(findings: Findings, source: Source, chunk: Chunk, progress: Progress) -> Inspection:
    """Describe one backup set, as far as it is there."""
    progress.sets_seen += 1
    progress.lost |= any(chunk.gaps)
    judge_framing(findings, source, chunk, progress.passed)
    configs = read_configs(findings, source, chunk)
    state = read_state(findings, source, chunk, configs, progress)
    cross_check(findings, source, chunk, configs, progress)
    check_log(findings, chunk, configs.last)
    check_csum_flag(findings, configs.best, state)
    check_size(findings, state)
    return describe(findings, source, chunk, configs, state, progress)


def cross_check(
    findings: Findings, source: Source, chunk: Chunk, configs: Configs, progress: Progress
) -> None:
    """Compare what the set's blocks and the set map repeat."""
    number = None if progress.lost else progress.sets_seen
    check_repeats(findings, chunk, configs.best, number)
    start = chunk.first(sets.SET)
    size = configs.last.set.backup_size if configs.last else None
    known = known_set(start, chunk.first(sets.VOLUME), size) if start else None
    if known is not None:
        progress.known[known.set.set_number] = known
    end = chunk.first(sets.SET_END)
    stream = end.stream(MAP_STREAM) if end else None
    tape = progress.medium.tape
    family_id = tape.media_family_id if tape else None
    check_set_map(findings, source, stream, progress.known, family_id)


def read_state(
    findings: Findings, source: Source, chunk: Chunk, configs: Configs, progress: Progress
) -> SetState:
    """Gather what the later steps need."""
    data = data_streams(findings, source, chunk)
    logs = log_streams(findings, source, chunk, striped=progress.medium.striped)
    # What stands before the first set belongs to it.
    before = [progress.head] if progress.head and progress.sets_seen == 1 else []
    pads, slack = padding(source, [*before, chunk], logs)
    best, last = configs.best, configs.last
    raid = progress.medium.raid
    return SetState(
        pads=pads,
        slack=slack,
        data=data,
        logs=logs,
        files=data_files(configs),
        log_ranges=log_ranges(chunk),
        letter=best.set.letter.decode("latin-1") if best else "",
        first_lsn=first_lsn(configs.first),
        first_lsn_again=first_lsn(configs.last),
        database_name=best.head.text(best.set.database_name) if best else None,
        database_version=best.set.database_version if best else None,
        set_guid=set_guid(chunk),
        family_count=raid.family_count if raid else 1,
        family_number=raid.family_number if raid else 1,
        spanned_bytes=spanned_bytes(chunk, last, is_first=progress.sets_seen == 1),
        backup_size=last.set.backup_size if last else None,
        backup_size_offset=last.place + SetRecord.backup_size.offset if last else None,
        cut=chunk.stop is not None and not chunk.closed,
    )


def first_lsn(config: Config | None) -> Lsn | None:
    """Return where the log of a copy of the pages begins."""
    return lsn_at(config.set.first_lsn) if config is not None else None


def spanned_bytes(chunk: Chunk, last: Config | None, *, is_first: bool) -> int | None:
    """Return the distance that the backup's size counts; None where a block of it is missing.

    Seen: from the set's start to MSLS; for the first set of a medium the tape header too, and in
    SQL Server 2005 also the filemark behind that.
    """
    start, summary = chunk.first(sets.SET), chunk.first(sets.SUMMARY)
    mark = chunk.first(FILEMARK)
    if start is None or summary is None or mark is None or last is None:
        return None
    counted = start.offset if is_first else 0
    if is_first and last.set.software_major != VERSION_2005:
        counted -= mark.end - mark.offset
    return summary.offset - start.offset + counted


def check_size(findings: Findings, state: SetState) -> None:
    """Compare the backup's size with the distance between its blocks; stripes are joined later."""
    if state.spanned_bytes is None or state.family_count > 1:
        return
    findings.add(size_row(state.backup_size, state.spanned_bytes, state.backup_size_offset))


def size_row(stored: int | None, spanned: int, offset: int | None) -> Evidence:
    """Return the row that compares the backup's size with what its blocks span."""
    if stored == spanned:
        return Evidence(SET_SIZE, Outcome.MATCHED, offset, 8, vouched_bytes=8)
    return Evidence(
        SET_SIZE,
        Outcome.MISMATCHED,
        offset,
        8,
        f"{spanned} bytes",
        f"{stored} bytes",
        Bearing.DOUBTFUL,
    )


def check_csum_flag(findings: Findings, config: Config | None, state: SetState) -> None:
    """Compare the set's flag with its streams."""
    streams = len(state.data) + len(state.logs)
    if config is None or not streams:
        return
    declared = bool(config.set.flags & FLAG_HAS_CHECKSUMS)
    have = sum(item.csum is not None for item in state.data)
    have += sum(item.csum is not None for item in state.logs)
    if state.cut and declared:
        return
    if have == (streams if declared else 0):
        outcome = Outcome.MATCHED if declared else Outcome.ABSENT
        findings.add(Evidence(CSUM_PRESENCE, outcome, count=streams))
        return
    findings.add(
        Evidence(
            CSUM_PRESENCE,
            Outcome.MISMATCHED,
            config.place + config.head.offset + SetRecord.flags.offset,
            SetRecord.flags.length,
            "a checksum for every stream" if declared else "no checksums",
            f"{have} checksums for {streams} streams",
            Bearing.DOUBTFUL,
        )
    )


def describe(
    findings: Findings,
    source: Source,
    chunk: Chunk,
    configs: Configs,
    state: SetState,
    progress: Progress,
) -> Inspection:
    """Put the facts of one set together."""
    config = configs.best
    zone = time_zone(chunk)
    facts: dict[str, object] = media_facts(progress.medium) | set_facts(chunk)
    if config is not None:
        facts |= config_facts(config, zone, final=configs.last is not None)
        # Since SQL Server 2019 the copy behind the data counts only the pages copied again.
        facts["FileList"] = file_list(configs.first or config)
        check_type(findings, config)
    sizes = [entry.size_bytes for _, entry in config.files] if config else []
    return Inspection(
        kind=kind_of(config),
        title=title_of(facts),
        identities=identities(state.set_guid),
        lineage=lineage(config),
        parents=parents(config),
        position=position(config),
        piece=progress.medium.piece,
        source=source_name(facts),
        created_at=created_at(config, zone),
        source_bytes=sum(sizes) if sizes else None,
        used_bytes=used_bytes(config, state),
        payload_bytes=payload_bytes(state) if config else None,
        needed_bytes=needed_bytes(chunk, source.size),
        complete=is_complete(chunk, configs),
        facts=facts,
        evidence=findings.rows,
        state=state,
    )


def time_zone(chunk: Chunk) -> int | None:
    """Return the server's zone as the set's start gives it."""
    start = chunk.first(sets.SET)
    if start is None or len(start.body) < SetBody.size:
        return None
    return SetBody.parse(start.body).time_zone


def check_type(findings: Findings, config: Config) -> None:
    """Say so if the set is of a type that is not known."""
    letter = config.set.letter.decode("latin-1")
    if letter not in TYPES:
        findings.add(
            Evidence(
                SET_TYPE,
                Outcome.UNSUPPORTED,
                config.place + config.head.offset + SetRecord.letter.offset,
                1,
                " ".join(TYPES),
                f"{config.set.letter[0]:#04x}",
            )
        )


def kind_of(config: Config | None) -> Kind | None:
    """Return what the set holds, by its letter."""
    if config is None:
        return None
    known = TYPES.get(config.set.letter.decode("latin-1"))
    return known[2] if known else None


def title_of(facts: dict[str, object]) -> str | None:
    """Return a line that names the set."""
    name = facts.get("BackupName")
    if isinstance(name, str):
        return name
    described = (facts.get("DatabaseName"), facts.get("BackupTypeDescription"))
    return ", ".join(item for item in described if isinstance(item, str)) or None


def identities(guid: str | None) -> tuple[Identity, ...]:
    """Return what the set calls itself."""
    return (Identity(SET_IDENTITY, guid),) if guid else ()


def lineage(config: Config | None) -> str | None:
    """Return which database the set belongs to.

    BindingID is this database's own (sys.database_recovery_status.database_guid); FamilyGUID is
    shared with every copy that was ever restored from it, so a test copy would join the chain.
    """
    if config is None:
        return None
    return guid_text(config.set.binding_id) or guid_text(config.set.family_guid)


def parents(config: Config | None) -> tuple[ParentRef, ...]:
    """Return the full backup a differential is against; a log backup's chain is its LSNs."""
    if config is None or kind_of(config) is not Kind.DIFFERENTIAL:
        return ()
    base = guid_text(config.set.differential_base_guid)
    return (ParentRef(identities(base)),) if base else ()


def position(config: Config | None) -> Position | None:
    """Return the range of log sequence numbers in SQL Server's decimal form."""
    if config is None:
        return None
    first, last = lsn_at(config.set.first_lsn), lsn_at(config.set.last_lsn)
    return Position(first.number, last.number) if any(first) and any(last) else None


def source_name(facts: dict[str, object]) -> str | None:
    """Return server, instance and database as one name."""
    names = (facts.get("ServerName"), facts.get("DatabaseName"))
    return "/".join(item for item in names if isinstance(item, str)) or None


def created_at(config: Config | None, zone: int | None) -> datetime | None:
    """Return the moment a restore leads to: the end of the backup, or its start if it has none."""
    if config is None:
        return None
    return moment(config.set.finish_date, zone) or moment(config.set.start_date, zone)


def used_bytes(config: Config | None, state: SetState) -> int | None:
    """Return the allocated extents of the database; only a full backup stores them all."""
    if config is None or config.set.letter != b"D" or not state.files:
        return None
    return sum(item.pages for item in state.files) * PAGE_BYTES


def payload_bytes(state: SetState) -> int:
    """Return the pages and log this file stores; pages copied again count once."""
    stored = sum(item.length for item in state.data if item.copy == 0)
    pages = sum(item.pages for item in state.files) * PAGE_BYTES
    log = sum(item.saved for item in state.logs)
    return (min(stored, pages) if pages else stored) + log


def needed_bytes(chunk: Chunk, size: int) -> int:
    """Return the smallest file that holds all that is known to belong to the set."""
    if chunk.closed or chunk.stop is None:
        return chunk.end
    short = chunk.stop.end in (End.CLEAN, End.CUT)
    return max(chunk.end, chunk.stop.needed_bytes, size + 1 if short else 0)


def is_complete(chunk: Chunk, configs: Configs) -> bool:
    """Whether the set was written to its end."""
    last = configs.last
    return chunk.closed and last is not None and any(last.set.finish_date)
