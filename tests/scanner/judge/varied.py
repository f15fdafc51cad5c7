"""A ledger in which everything happens to backups at once, made by a seed.

Disks in chains by identity, by name and by nothing but file names; databases with logs, copies and
forks; pieces of sets; files that are damaged, cut, gone, being written, or no backup at all.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from random import Random

from formats.core.model import Bearing, Evidence, Identity, Kind, Outcome, ParentRef, PieceOf
from scanner.expectations import Expectations, SourceExpectation
from scanner.expectations.model import Defaults, RepositoryExpectation
from scanner.judge.judge import Vocabulary, judge
from scanner.judge.model import Judgement
from scanner.judge.sources.outlook import Known, Outlook, outlook
from scanner.ledger.rows import HistoryRow, RunRow, SpaceRow
from scanner.results import FileState, PayloadSeen
from tests.scanner.judge.outlooks import history_of, measured
from tests.scanner.judge.rows import GOOD, REPOSITORIES, SEEN, SETTLE, Rows, bad

NIGHTS = 16
GIB = 1 << 30
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
BEGIN = SEEN - NIGHTS * DAY
ZONE = timezone(timedelta(hours=1))
VOCABULARY = Vocabulary(
    frozenset({"qcow2", "vhdx", "sqlserver_bak"}),
    frozenset({".qcow2", ".vhdx", ".bak", ".trn", ".vbk", ".vib", ".mrimg"}),
    frozenset({"qcow2", "vhdx"}),
)
STATES = (FileState.CHANGED, FileState.REFUSED, FileState.READING, FileState.FAILED)
NEWS = (
    bad(),
    bad(Outcome.TRUNCATED),
    bad(Outcome.UNREADABLE),
    bad(Outcome.UNSTEADY),
    bad(Outcome.UNSUPPORTED, Bearing.DOUBTFUL),
    bad(Outcome.MISMATCHED, Bearing.REDUNDANT),
    bad(Outcome.MISMATCHED, Bearing.DOUBTFUL),
    bad(Outcome.UNSUPPORTED, Bearing.REDUNDANT),
    bad(check="scanner.bug"),
    bad(check="generic.name", bearing=Bearing.DOUBTFUL),
)
EXPECTED = Expectations(
    defaults=Defaults(rpo=timedelta(days=3), rto=timedelta(minutes=10)),
    repositories=(RepositoryExpectation("/srv/backups", allotment=900 * GIB),),
    sources=(
        SourceExpectation(
            "the first disk", ("disks/vm0/**",), expected=40 * GIB, schedule="0 22 * * *"
        ),
        SourceExpectation("whole paths", ("/srv/more/**/vm3-*", "**/never"), machine="SRV1"),
        SourceExpectation("shops", database=("SRV*/shop*",), machine="SRV0", rpo=HOUR),
        SourceExpectation("never seen", ("nowhere/*",)),
        SourceExpectation("not asked for", ("nowhere/*",), required=False),
    ),
)


def varied(seed: int) -> Rows:
    """Return the rows of one such ledger."""
    rows, random = Rows(), Random(seed)  # noqa: S311 - what happens to backups is no secret
    for number in range(6):
        disk(rows, random, number)
    for number in range(5):
        database(rows, random, number)
    for number in range(4):
        closed(rows, random, number)
    striped(rows, random)
    for number, state in enumerate(FileState):
        suffix = ".bak" if number % 2 else ".txt"
        rows.file(f"others/{number}{suffix}", (random.choice(NEWS),), state=state, known_as=None)
    return rows


def fortune(random: Random, at: datetime) -> dict[str, object]:
    """Return what became of one file: nothing, most of the time."""
    changes: dict[str, object] = {"size": random.randrange(GIB, 60 * GIB), "mtime": at}
    luck = random.randrange(24)
    if luck < len(STATES):
        changes["state"] = STATES[luck]
    elif luck in (5, 6):
        changes["state"] = FileState.GONE
    elif luck == 7:
        changes["mtime"] = SEEN - timedelta(minutes=random.randrange(30))
    elif luck == 8:
        changes["cramped"] = True
    elif luck == 9:
        changes["rewritten_at"] = SEEN - timedelta(hours=2)
    elif luck == 10:
        changes["allocated_bytes"] = 10 * GIB
    elif luck == 11:
        changes["unchanged_since"] = at
    return changes


def news(random: Random, share: int) -> tuple[Evidence, ...]:
    """Return good evidence, and once in so many times some that is not."""
    if random.randrange(share):
        return (GOOD, Evidence("toy.block.sum", Outcome.MATCHED, vouched_bytes=GIB))
    return (GOOD, *random.sample(NEWS, random.randint(1, 3)))


def sizes(random: Random) -> dict[str, object]:
    """Return the sizes of one image, as far as its format knows them."""
    stored = random.choice((None, 0, GIB, random.randrange(GIB, 50 * GIB)))
    seen = PayloadSeen(stored or 0, (stored or 0) // 2, nonzero=bool(random.randrange(12)))
    return {
        "source_bytes": random.choice((None, 60 * GIB)),
        "used_bytes": random.choice((None, 40 * GIB)),
        "payload_bytes": stored,
        "needed_bytes": random.choice((None, GIB, 30 * GIB)),
        "payload_seen": seen,
        "complete": bool(random.randrange(15)),
        "in_progress": not random.randrange(15),
    }


def disk(rows: Rows, random: Random, number: int) -> None:
    """Add the nights of one disk: weekly fulls, increments that name what they need."""
    before = None
    name = "vhdx" if number % 2 else "qcow2"
    for night in range(NIGHTS):
        at = BEGIN + night * DAY + timedelta(minutes=number)
        kind = Kind.INCREMENTAL if night % 7 else Kind.FULL
        path = f"disks/vm{number}/vm{number}-{kind}-{at:%Y-%m-%d}.{name}"
        parents = ()
        if kind is Kind.INCREMENTAL and before is not None:
            wanted = (Identity("toy", random.choice((before[0], before[0], "lost"))),)
            parents = (ParentRef(() if number == 2 else wanted, (before[1].rpartition("/")[2],)),)
        own = f"{number}-{night if random.randrange(9) else night - 1}"
        rows.backup(
            path,
            news(random, 6),
            random.choice(((), (), (), (bad(Outcome.UNREADABLE, check="storage.unreadable"),))),
            file={
                "known_as": name,
                "repository": 2 if number == 3 and night > 7 else 1,
                **fortune(random, at),
            },
            kind=None if number == 4 else kind,
            identities=(Identity("vhdx.data_write_guid" if number == 1 else "toy", own),),
            parents=parents,
            created_at=random.choice((None, at, at.replace(tzinfo=None))),
            members=("data.raw",) if not random.randrange(20) else (),
            **sizes(random),
        )
        before = own, path


def database(rows: Rows, random: Random, number: int) -> None:
    """Add some days of one database: fulls, differentials and logs, some of them copied."""
    reached, base = 1000, None
    for step in range(40):
        at = BEGIN + step * 8 * HOUR
        kind = random.choice((Kind.LOG, Kind.LOG, Kind.DIFFERENTIAL)) if step % 10 else Kind.FULL
        last = reached + random.randrange(1, 100)
        guid = f"set-{number}-{step}"
        facts = {
            "BackupSetGUID": guid,
            "FirstLSN": str(reached if kind is Kind.LOG else last - 1),
            "LastLSN": str(last),
            "ServerName": f"SRV{number % 2}",
            "DatabaseName": f"shop{number}" if step < 30 else f"shop{number}-renamed",
            "FamilyGUID": f"family-{number // 2}",
            "RecoveryForkID": f"fork-{number}{'-b' if step > 25 else ''}",
            "BackupStartDate": at.replace(tzinfo=UTC if number else None).isoformat(),
            "BackupFinishDate": random.choice((None, (at + HOUR / 4).isoformat())),
            "HasBackupChecksums": bool(random.randrange(3)),
            "HasBulkLoggedData": not random.randrange(12),
            "IsCopyOnly": kind is Kind.FULL and not random.randrange(4),
            **more_facts(kind, base, number, step),
        }
        base = guid if kind is Kind.FULL else base
        reached = last if random.randrange(9) else last + 50
        suffix = "trn" if step % 3 else "bak"
        for copy in range(1 + (not random.randrange(8))):
            rows.backup(
                f"sql/{'copies/' * copy}shop{number}_{at:%Y%m%d%H%M}.{suffix}",
                news(random, 10),
                file={"known_as": "sqlserver_bak", "repository": 1 + copy, **fortune(random, at)},
                kind=kind,
                facts=facts,
                source=f"SRV{number % 2}/shop{number}",
                created_at=at,
                parents=(ParentRef((Identity("sqlserver.backup_set_guid", base),)),)
                if kind is Kind.DIFFERENTIAL and base
                else (),
                identities=(Identity("sqlserver.backup_set_guid", guid),),
                **sizes(random),
            )


def more_facts(kind: Kind, base: str | None, number: int, step: int) -> Mapping[str, object]:
    """Return the facts that only some backup sets have."""
    facts: dict[str, object] = {"RecoveryModel": "FULL" if number % 2 else "SIMPLE"}
    if kind is Kind.DIFFERENTIAL:
        facts["DifferentialBaseGUID"] = base
    if kind is Kind.LOG and step == 26:
        facts["ForkPointLSN"] = "1500"
        facts["FirstRecoveryForkID"] = f"fork-{number}"
    if kind is Kind.FULL and number == 1:
        facts["FileList"] = [{"Type": "D", "BackupSizeInBytes": 30 * GIB}]
        facts["DatabaseVersion"] = 1200
    return facts


def closed(rows: Rows, random: Random, number: int) -> None:
    """Add images of formats that are only recognised: nothing but their names links them."""
    for step in range(10):
        at = BEGIN + step * DAY
        if not random.randrange(6):
            continue  # a hole in the sequence
        suffix = "vib" if step % 5 else "vbk"
        path = (
            f"closed/job{number}/job{number}D{at:%Y-%m-%dT%H%M%S}_A{step:03X}.{suffix}",
            f"closed/{number:016X}-{step:02}-{step:02}.mrimg",
            f"closed/{at:%Y-%m-%d}/full/server_{step}.tib",
            f"closed/Server A_inc_b1_s{step + 1}_v1.tib",
        )[number]
        rows.backup(
            path,
            news(random, 8),
            file={"known_as": "closed", **fortune(random, at)},
            kind=None,
            created_at=None,
            **sizes(random),
        )


def striped(rows: Rows, random: Random) -> None:
    """Add sets of three pieces, some of which are missing, and a file that holds several images."""
    for number in range(6):
        for piece in range(1, 4):
            if number and not random.randrange(5):
                continue
            at = BEGIN + number * DAY
            rows.backup(
                f"sets/{number}/piece{piece}.qcow2",
                news(random, 9),
                file=fortune(random, at),
                piece=PieceOf(Identity("toy.set", str(number)), piece, 3),
                created_at=at,
                **sizes(random),
            )
    file = rows.file("sets/appended.qcow2", size=40 * GIB)
    for night in range(6):
        rows.image(file, created_at=BEGIN + night * DAY, **sizes(random))


def measures(rows: Rows) -> Iterator[HistoryRow]:
    """Yield what all images measured, and images that are gone."""
    yield from history_of(rows)
    for night in range(20):
        at = BEGIN - (20 - night) * DAY
        changes = {"payload_bytes": (night % 5) * GIB, "file_bytes": 20 * GIB + night}
        yield measured(f"disks/vm0/vm0-full-{at:%Y-%m-%d}.qcow2", at, **changes)
        yield measured(f"gone/old-{at:%Y-%m-%d}.qcow2", at, created_at=None, **changes)
        yield measured(f"sql/{night}.bak", at, source="SRV0/shop0", **changes)


def judged(rows: Rows, acknowledged: frozenset[str] = frozenset()) -> Judgement:
    """Judge all rows."""
    return judge(
        REPOSITORIES, rows.files, rows.images, rows.evidence, VOCABULARY, SETTLE, acknowledged
    )


def ahead(rows: Rows, judgement: Judgement, expectations: Expectations = EXPECTED) -> Outlook:
    """Look ahead for all sources."""
    known = Known(
        REPOSITORIES,
        rows.files,
        judgement.images,
        tuple(measures(rows)),
        (
            SpaceRow(
                1, 1000 * GIB, 90 * GIB, 950 * GIB, 900 * GIB, read_only=False, measured_at=SEEN
            ),
        ),
        (RunRow(1, 1, SEEN - DAY, SEEN - DAY + HOUR, 1, 400 * GIB, 0),),
        expectations,
        ZONE,
    )
    return outlook(known, SEEN + 3 * HOUR)
