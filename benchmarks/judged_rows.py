"""Rows of a large ledger, made without a ledger: chains of disks, and databases with their logs."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from formats.core.model import Evidence, Identity, Kind, Outcome, ParentRef
from scanner.ledger.rows import EvidenceRow, FileRow, HistoryRow, ImageRow, RepositoryRow
from scanner.results import FileState, PayloadSeen

GIB = 1 << 30
START = datetime(2026, 1, 1, 22, tzinfo=UTC)
SEEN = datetime(2026, 11, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 2, tzinfo=UTC)
DAYS_PER_DISK = 30
HOURS_PER_DATABASE = 240
REPOSITORY = RepositoryRow(1, "bench", "backups", "/srv/backups")


@dataclass
class Rows:
    """What the judge is given."""

    files: list[FileRow] = field(default_factory=list)
    images: list[ImageRow] = field(default_factory=list)
    evidence: list[EvidenceRow] = field(default_factory=list)
    history: list[HistoryRow] = field(default_factory=list)


def many(images: int) -> Rows:
    """Return this many images: half in weekly chains of disks, half hourly logs of databases."""
    rows = Rows()
    for number in count():
        if len(rows.images) >= images // 2:
            break
        disk(rows, number)
    for number in count():
        if len(rows.images) >= images:
            break
        database(rows, number)
    return rows


def disk(rows: Rows, number: int) -> None:
    """Add a month of one disk: a full every week, an increment every other day."""
    before = ""
    for day in range(DAYS_PER_DISK):
        at = START + timedelta(days=day)
        kind = Kind.INCREMENTAL if day % 7 else Kind.FULL
        own = f"{number}-{day}"
        wanted = ParentRef((Identity("vhdx.data_write_guid", before),))
        word = "full" if kind is Kind.FULL else "inc"
        add(
            rows,
            f"vm{number}/disk-{word}-{at:%Y-%m-%d}.vhdx",
            "vhdx",
            at,
            kind=kind,
            identities=(Identity("vhdx.data_write_guid", own),),
            parents=() if kind is Kind.FULL else (wanted,),
        )
        before = own


def database(rows: Rows, number: int) -> None:
    """Add ten days of one database: a full every day, a log every hour."""
    for hour, facts in sets_of(number):
        kind = Kind.LOG if hour % 24 else Kind.FULL
        at = START + timedelta(hours=hour)
        path = f"sql/db{number}/{at:%Y%m%d%H%M}.bak"
        source = f"SRV/db{number}"
        add(rows, path, "sqlserver_bak", at, kind=kind, source=source, facts=facts)


def sets_of(number: int) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield the hour and the facts of each backup set of one database, one log behind the other."""
    reached = 1000
    for hour in range(HOURS_PER_DATABASE):
        log = hour % 24 != 0
        last = reached + 100
        at = START + timedelta(hours=hour)
        yield (
            hour,
            {
                "BackupSetGUID": f"set-{number}-{hour}",
                "BackupTypeLetter": "L" if log else "D",
                "FirstLSN": str(reached if log else last - 50),
                "LastLSN": str(last),
                "ServerName": "SRV",
                "DatabaseName": f"db{number}",
                "FamilyGUID": f"family-{number}",
                "RecoveryForkID": f"fork-{number}",
                "BackupStartDate": at.isoformat(),
                "BackupFinishDate": (at + timedelta(minutes=1)).isoformat(),
                "HasBackupChecksums": True,
            },
        )
        reached = last if log else reached


def add(rows: Rows, path: str, name: str, at: datetime, **fields: object) -> None:
    """Add one file with one sound image, its evidence and its measure."""
    number = len(rows.files) + 1
    mtime_ns = int(at.timestamp()) * 1_000_000_000
    rows.files.append(
        FileRow(
            number, 1, path, GIB, GIB, mtime_ns, FileState.READ, name, 1, SEEN, SEEN, GIB, at, SEEN
        )
    )
    plain: dict[str, object] = {
        "id": number,
        "file_id": number,
        "image_index": 0,
        "title": None,
        "identities": (),
        "lineage": None,
        "parents": (),
        "position": None,
        "piece": None,
        "source": None,
        "created_at": at,
        "source_bytes": 2 * GIB,
        "used_bytes": None,
        "payload_bytes": GIB // 2,
        "needed_bytes": GIB,
        "payload_seen": PayloadSeen(GIB // 2, GIB // 2, nonzero=True),
        "members": (),
        "in_progress": False,
        "complete": True,
        "facts": {},
    }
    image = ImageRow(**(plain | fields))  # type: ignore[arg-type]
    rows.images.append(image)
    for check in ("bench.head.sum", "bench.block.sum"):
        matched = Evidence(check, Outcome.MATCHED, vouched_bytes=GIB // 2)
        rows.evidence.append(EvidenceRow(number, number, matched, 1, SEEN, None))
    rows.history.append(
        HistoryRow(
            repository_id=1,
            path=path,
            image_index=0,
            format=name,
            kind=image.kind,
            source=image.source,
            piece_number=None,
            piece_count=None,
            created_at=at,
            mtime_ns=mtime_ns,
            source_bytes=image.source_bytes,
            used_bytes=None,
            payload_bytes=image.payload_bytes,
            needed_bytes=GIB,
            nonzero_bytes=GIB // 2,
            file_bytes=GIB,
            complete=True,
            seen_at=SEEN,
        )
    )
