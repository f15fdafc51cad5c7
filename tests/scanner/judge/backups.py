"""Backups of a SQL Server made by hand: as the judge's sets, and as rows of a ledger.

LSNs are small numbers and times are minutes of one morning, so that a test can be read.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from formats.core.model import Bearing, Evidence, Identity, Kind, Outcome, ParentRef, PieceOf
from scanner.judge.judge import Vocabulary, judge
from scanner.judge.model import JudgedImage, Judgement, Verdict
from scanner.judge.sqlserver.lsn import BackupSet
from scanner.ledger.rows import EvidenceRow, FileRow, ImageRow, RepositoryRow
from scanner.results import FileState, PayloadSeen

REPOSITORY = RepositoryRow(1, "fs", "backups", "/srv/backups")
SECOND_REPOSITORY = RepositoryRow(2, "fs", "more", "/srv/more")
MORNING = datetime(2026, 3, 14, 6, 0, tzinfo=UTC)
NOW = MORNING + timedelta(days=1)
SEEN = NOW
SETTLE = timedelta(minutes=15)
VOCABULARY = Vocabulary(frozenset({"sqlserver_bak", "qcow2"}), frozenset({".bak"}))
LETTERS = {Kind.FULL: "D", Kind.DIFFERENTIAL: "I", Kind.LOG: "L"}


def minute(number: float) -> datetime:
    return MORNING + timedelta(minutes=number)


def a_set(
    name: str, kind: Kind, first: int, last: int, at: float = 0, **changes: object
) -> BackupSet:
    """Return a set called ``name``; ``at`` is the minute it was made in."""
    fields: dict[str, object] = {
        "key": sum(ord(letter) << (8 * place) for place, letter in enumerate(reversed(name))),
        "kind": kind,
        "letter": LETTERS[kind],
        "path": name,
        "number": 1,
        "server": "SRV",
        "database": "shop",
        "family": "family",
        "guid": name,
        "base_guid": None,
        "first_lsn": first,
        "last_lsn": last,
        "fork": "one",
        "first_fork": "one",
        "fork_point": None,
        "copy_only": False,
        "bulk_logged": False,
        "started": minute(at),
        "finished": minute(at),
        "verdict": Verdict.SOUND,
    }
    return BackupSet(**(fields | changes))  # type: ignore[arg-type]


def full(name: str, first: int, last: int, at: float = 0, **changes: object) -> BackupSet:
    return a_set(name, Kind.FULL, first, last, at, **changes)


def differential(
    name: str, base: str, first: int, last: int, at: float = 0, **changes: object
) -> BackupSet:
    return a_set(name, Kind.DIFFERENTIAL, first, last, at, **{"base_guid": base, **changes})


def log(name: str, first: int, last: int, at: float = 0, **changes: object) -> BackupSet:
    return a_set(name, Kind.LOG, first, last, at, **changes)


def crossing(
    name: str, first: int, last: int, at: float, point: int, new: str, old: str = "one"
) -> BackupSet:
    """Return a log that leaves the fork ``old`` at LSN ``point`` and ends on ``new``."""
    return log(name, first, last, at, fork=new, first_fork=old, fork_point=point)


def week() -> tuple[BackupSet, ...]:
    """A full, logs every 10 minutes, a differential after the second log."""
    return (
        full("F", 100, 110, at=0),
        log("L1", 95, 200, at=10),
        log("L2", 200, 300, at=20),
        differential("D", "F", 290, 310, at=25),
        log("L3", 300, 400, at=30),
        log("L4", 400, 500, at=40),
    )


def names(sets: Iterable[BackupSet]) -> list[str]:
    return [item.path for item in sets]


def facts_of(item: BackupSet) -> dict[str, object]:
    """Return a set's facts, as the format reports them."""
    return {
        "BackupSetGUID": item.guid,
        "BackupTypeLetter": item.letter,
        "ServerName": item.server,
        "DatabaseName": item.database,
        "FamilyGUID": item.family,
        "FirstLSN": str(item.first_lsn),
        "LastLSN": str(item.last_lsn),
        "RecoveryForkID": item.fork,
        "FirstRecoveryForkID": item.first_fork if item.fork_point is not None else None,
        "ForkPointLSN": None if item.fork_point is None else str(item.fork_point),
        "DifferentialBaseGUID": item.base_guid,
        "IsCopyOnly": item.copy_only,
        "HasBulkLoggedData": item.bulk_logged,
        "HasBackupChecksums": True,
        "RecoveryModel": None,
        "DatabaseVersion": 904,
        "Position": item.number,
        "BackupStartDate": item.started.isoformat() if item.started else None,
        "BackupFinishDate": item.finished.isoformat() if item.finished else None,
    }


def file_row(item: BackupSet, **changes: object) -> FileRow:
    fields: dict[str, object] = {
        "id": item.key,
        "repository_id": 1,
        "path": item.path,
        "size": 1 << 20,
        "allocated_bytes": 1 << 20,
        "mtime_ns": int(MORNING.timestamp() * 1e9),
        "state": FileState.READ,
        "format": "sqlserver_bak",
        "format_revision": 1,
        "read_at": SEEN,
        "unchanged_since": None,
        "bytes_read": 1 << 20,
        "first_seen_at": item.finished or MORNING,
        "seen_at": SEEN,
    }
    return FileRow(**(fields | changes))  # type: ignore[arg-type]


def image_row(item: BackupSet, facts: Mapping[str, object] | None = None) -> ImageRow:
    guid = (Identity("sqlserver.backup_set_guid", item.guid),) if item.guid else ()
    base = ()
    if item.base_guid is not None:
        base = (ParentRef((Identity("sqlserver.backup_set_guid", item.base_guid),)),)
    return ImageRow(
        id=item.key,
        file_id=item.key,
        image_index=0,
        kind=item.kind,
        title=None,
        identities=guid,
        lineage=None,
        parents=base,
        position=None,
        piece=None,
        source=f"{item.server}/{item.database}",
        created_at=item.finished,
        source_bytes=1 << 20,
        used_bytes=1 << 20,
        payload_bytes=1 << 19,
        needed_bytes=1 << 20,
        payload_seen=PayloadSeen(1 << 19, 1 << 19, nonzero=True),
        members=(),
        in_progress=False,
        complete=True,
        facts=facts_of(item) | dict(facts or {}),
    )


OUTCOMES = {
    Verdict.SOUND: (Outcome.MATCHED, Bearing.NEEDED),
    Verdict.WEAKENED: (Outcome.MISMATCHED, Bearing.REDUNDANT),
    Verdict.UNPROVEN: (Outcome.MISMATCHED, Bearing.DOUBTFUL),
    Verdict.INCOMPLETE: (Outcome.TRUNCATED, Bearing.NEEDED),
    Verdict.DAMAGED: (Outcome.MISMATCHED, Bearing.NEEDED),
}


def evidence_rows(item: BackupSet) -> list[EvidenceRow]:
    """Return evidence that leads to the set's own verdict."""
    good = Evidence("toy.header", Outcome.MATCHED)
    outcome, bearing = OUTCOMES[item.verdict]
    own = Evidence("toy.pages", outcome, 4096, 8192, bearing=bearing)
    return [
        EvidenceRow(item.key, item.key, row, 1, SEEN, f"finding-{item.path}" if row.bad else None)
        for row in (good, own)
    ]


def judged(
    sets: Sequence[BackupSet],
    *,
    gone: Sequence[str] = (),
    elsewhere: Sequence[str] = (),
    facts: Mapping[str, Mapping[str, object]] | None = None,
    files: Mapping[str, Mapping[str, object]] | None = None,
    acknowledged: frozenset[str] = frozenset(),
    more: Sequence[tuple[FileRow, ImageRow, Sequence[EvidenceRow]]] = (),
) -> Judgement:
    """Judge sets as a scan would; those ``elsewhere`` lie in the second repository."""
    rows = []
    for item in sets:
        changes: dict[str, object] = dict((files or {}).get(item.path, {}))
        if item.path in gone:
            changes["state"] = FileState.GONE
        if item.path in elsewhere:
            changes["repository_id"] = 2
        rows.append(file_row(item, **changes))
    images = [image_row(item, (facts or {}).get(item.path)) for item in sets]
    return judge(
        [REPOSITORY, SECOND_REPOSITORY],
        [*rows, *(row for row, _image, _evidence in more)],
        [*images, *(image for _row, image, _evidence in more)],
        [row for item in sets for row in evidence_rows(item)]
        + [row for _row, _image, evidence in more for row in evidence],
        VOCABULARY,
        SETTLE,
        acknowledged,
    )


def by_path(judgement: Judgement) -> dict[str, JudgedImage]:
    return {image.path: image for image in judgement.images}


def verdicts(judgement: Judgement) -> dict[str, str]:
    return {image.path: image.ruling.verdict.word for image in judgement.images}


def parents(judgement: Judgement) -> dict[str, str | None]:
    """Return which image each is restored after, by path; None where none is."""
    paths = {image.key: image.path for image in judgement.images}
    return {
        image.path: next((paths.get(link.image_key or 0) for link in image.parents), None)
        for image in judgement.images
    }


def worse(item: BackupSet, verdict: Verdict) -> BackupSet:
    return replace(item, verdict=verdict)


def stripe(row: ImageRow, number: int, count: int, key: int) -> ImageRow:
    """Return a row as one of several pieces."""
    piece = PieceOf(Identity("mtf.media_set", "media"), number, count)
    return replace(row, id=key, file_id=key, piece=piece)
