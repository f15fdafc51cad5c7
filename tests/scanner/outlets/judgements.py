"""Judgements made by hand: what the outlets are shown in tests, with every clock stopped."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from formats.core.model import Bearing, Evidence, Identity, Kind, Outcome, ParentRef
from scanner.expectations import Expectations
from scanner.judge.advice import Advice, Severity
from scanner.judge.model import (
    Chain,
    JudgedImage,
    JudgedOther,
    Judgement,
    ParentLink,
    Proof,
    Ruling,
    Verdict,
)
from scanner.judge.sources.outlook import Known, Outlook, outlook
from scanner.ledger.rows import (
    AcknowledgementRow,
    EvidenceRow,
    FileRow,
    ImageRow,
    RepositoryRow,
)
from scanner.outlets.exit_codes import ALL_SOUND, ExitCode
from scanner.outlets.report import Report, RunFacts
from scanner.results import FileState, PayloadSeen

NOW = datetime(2026, 3, 14, 12, 0, 0, tzinfo=UTC)
READ = NOW - timedelta(hours=2)
BASELINE = datetime(2025, 10, 3, 4, 5, 6, tzinfo=UTC)
REPOSITORY = RepositoryRow(1, "0c5e-11aa", "backups", "/srv/backups")
SECOND_REPOSITORY = RepositoryRow(2, "77fe-0001", "", "/mnt/usb")
RUN = RunFacts(NOW - timedelta(seconds=12), NOW, 9, 1288490188)
NOTHING = Judgement((), (), ())
ADVICE = (
    Advice(
        "a0",
        "sql.full-too-old",
        Severity.WARNING,
        "SRV-SQL/shop",
        "the last full backup is 40 days old",
    ),
    Advice("a1", "sql.no-checksum", Severity.ADVICE, "SRV-SQL/shop", "1 of 1 backup"),
)


def file_row(
    file_id: int,
    path: str,
    *,
    size: int = 1 << 30,
    kind: str | None = "qcow2",
    state: FileState = FileState.READ,
    repository: RepositoryRow = REPOSITORY,
) -> FileRow:
    return FileRow(
        id=file_id,
        repository_id=repository.id,
        path=path,
        size=size,
        allocated_bytes=size,
        mtime_ns=1_759_464_306_000_000_000,
        state=state,
        format=kind,
        format_revision=1,
        read_at=READ,
        unchanged_since=None,
        bytes_read=size,
        first_seen_at=BASELINE,
        seen_at=NOW,
    )


def image_row(image_id: int, file: FileRow, *, number: int = 0, **changes: object) -> ImageRow:
    fields: dict[str, object] = {
        "id": image_id,
        "file_id": file.id,
        "image_index": number,
        "kind": Kind.FULL,
        "title": None,
        "identities": (Identity("qcow2.name", file.path),),
        "lineage": None,
        "parents": (),
        "position": None,
        "piece": None,
        "source": None,
        "created_at": None,
        "source_bytes": 8 << 30,
        "used_bytes": None,
        "payload_bytes": file.size - 4096,
        "needed_bytes": file.size,
        "payload_seen": PayloadSeen(),
        "members": (),
        "in_progress": False,
        "complete": True,
        "facts": {},
    }
    return ImageRow(**(fields | changes))  # type: ignore[arg-type]


def proof(
    vouched: int, needed: int | None, *, read: datetime | None = READ, since: datetime | None = None
) -> Proof:
    return Proof(READ, read, since, READ if vouched else None, vouched, needed)


def row(file: FileRow, image_id: int | None, evidence: Evidence, name: str | None) -> EvidenceRow:
    return EvidenceRow(file.id, image_id, evidence, 1, READ, name)


def judged(
    image: ImageRow,
    file: FileRow,
    *,
    evidence: Sequence[EvidenceRow] = (),
    own: Ruling | None = None,
    ruling: Ruling | None = None,
    deciding: int | None = None,
    shown: Proof | None = None,
    parents: tuple[ParentLink, ...] = (),
) -> JudgedImage:
    own = own or Ruling(Verdict.SOUND, "proven")
    return JudgedImage(
        key=image.id,
        pieces=(image,),
        files=(file,),
        evidence=tuple(evidence),
        own=own,
        proof=shown or proof(file.size, file.size),
        parents=parents,
        ruling=ruling or own,
        deciding_key=image.id if deciding is None else deciding,
    )


def chain_with_a_damaged_increment() -> tuple[tuple[JudgedImage, ...], Chain]:
    """A full, an increment with wrong bytes, and an increment that needs it."""
    files = [
        file_row(n, f"srv1/{name}.qcow2") for n, name in enumerate(("full", "inc1", "inc2"), 1)
    ]
    made = [datetime(2026, 3, 11 + n, 2, 0, tzinfo=UTC) for n in range(3)]
    rows = [
        image_row(
            file.id,
            file,
            kind=Kind.FULL if n == 0 else Kind.INCREMENTAL,
            source="srv1",
            created_at=made[n],
            parents=() if n == 0 else (ParentRef(names=(files[n - 1].path,)),),
            facts={"backing_file": None if n == 0 else files[n - 1].path, "cluster_bits": 16},
        )
        for n, file in enumerate(files)
    ]
    wrong = [
        Evidence(
            "qcow2.l2.entry",
            Outcome.MISMATCHED,
            0x10000 + 8 * n,
            8,
            "an offset inside the file",
            f"0x{0xFFFF0000 + n:x}",
        )
        for n in range(5)
    ]
    good = Evidence("qcow2.header.magic", Outcome.MATCHED, 0, 4, vouched_bytes=4)
    evidence = [row(files[1], 2, good, None)]
    evidence += [row(files[1], 2, item, f"f{n}") for n, item in enumerate(wrong)]
    damaged = Ruling(Verdict.DAMAGED, "bytes-wrong", evidence[1])
    links = [(ParentLink(f"'{files[n - 1].path}'", n, "name"),) for n in (1, 2)]
    images = (
        judged(rows[0], files[0], shown=proof((1 << 30) - 300_000, 1 << 30)),
        judged(rows[1], files[1], evidence=evidence, own=damaged, parents=links[0]),
        judged(rows[2], files[2], ruling=damaged, deciding=2, parents=links[1]),
    )
    return images, Chain("srv1", (1, 2, 3), Verdict.DAMAGED, 1)


def two_sets_in_one_file() -> tuple[JudgedImage, ...]:
    """An append-only file with two sound images, which have no checksums and a baseline."""
    file = file_row(4, "sql/shop.bak", size=5 << 20, kind="sqlserver_bak")
    unchanged = proof(0, 5 << 20, since=BASELINE)
    return tuple(
        judged(
            image_row(
                4 + n,
                file,
                number=n,
                source="SRV-SQL.shop",
                created_at=datetime(2026, 3, 10 + n, 22, 30),  # noqa: DTZ001 - zone unknown
                facts={"first_lsn": 10**24 + n, "pages": [1, 2], "compressed": False},
            ),
            file,
            shown=unchanged,
        )
        for n in range(2)
    )


def mirror_with_a_lost_copy() -> JudgedImage:
    """Restorable, but one of two copies of the footer is wrong."""
    file = file_row(5, "vhd/mirror.vhd", size=3 << 20, kind="vhd")
    finding = Evidence(
        "vhd.footer_copy.checksum",
        Outcome.MISMATCHED,
        0,
        512,
        "0xffffe7c1",
        "0xffffe7c0",
        Bearing.REDUNDANT,
    )
    found = row(file, 6, finding, "c0ffee")
    return judged(
        image_row(6, file),
        file,
        evidence=(found,),
        own=Ruling(Verdict.WEAKENED, "copy-failing", found),
        shown=proof(1536, 3 << 20),
    )


def orphan() -> JudgedImage:
    """A differencing image whose parent is not there."""
    file = file_row(6, "vhd/child.vhd", size=2 << 20, kind="vhd")
    return judged(
        image_row(7, file, kind=Kind.INCREMENTAL),
        file,
        own=Ruling(Verdict.INCOMPLETE, "bytes-missing"),
        parents=(ParentLink("vhd.uuid:6d1f", None, "identity"),),
    )


def others() -> tuple[JudgedOther, ...]:
    """An empty file, a format that is only recognised, a note, and a file of zeros."""
    empty = file_row(7, "sql/new.bak", size=0, kind=None)
    veeam = file_row(8, "veeam/job.vbk", size=7 << 30, kind="veeam")
    notes = file_row(9, "notes.txt", size=120, kind=None)
    zeros = file_row(10, "spare.img", size=1 << 20, kind=None)
    nothing = row(
        empty, None, Evidence("generic.size", Outcome.TRUNCATED, 0, 0, "bytes", "0"), "e0"
    )
    foreign = row(veeam, None, Evidence("veeam.support", Outcome.UNSUPPORTED), "a1")
    blank = row(
        zeros,
        None,
        Evidence("generic.zeros", Outcome.MISMATCHED, 0, 1 << 20, "content", "zeros"),
        "b2",
    )
    return (
        JudgedOther(empty, (nothing,), Ruling(Verdict.EMPTY, "nothing-stored", nothing)),
        JudgedOther(veeam, (foreign,), Ruling(Verdict.UNPROVEN, "not-judgeable", foreign)),
        JudgedOther(notes, (), None),
        JudgedOther(zeros, (blank,), None),
    )


def judgement() -> Judgement:
    """One of everything."""
    images, chain = chain_with_a_damaged_increment()
    return Judgement(
        (*images, *two_sets_in_one_file(), mirror_with_a_lost_copy(), orphan()), others(), (chain,)
    )


def report(subject: Judgement | None = None, **changes: object) -> Report:
    """Return a report of one scan of one repository."""
    code = changes.get("exit_code", ExitCode.DAMAGE)
    assert isinstance(code, ExitCode)
    found = judgement() if subject is None else subject
    fields: dict[str, object] = {
        "now": NOW,
        "repositories": (REPOSITORY,),
        "judgement": found,
        "outlook": standing(found),
        "exit_code": code,
        "exit_meaning": ALL_SOUND if code is ExitCode.SOUND else code.meaning,
        "acknowledgements": (
            AcknowledgementRow(
                "c0ffee",
                datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC),
                "the copy is rewritten at the next full",
                NOW,
            ),
        ),
        "run": RUN,
        "fresh": True,
        "version": "0.1.0",
    }
    return Report(**(fields | changes))  # type: ignore[arg-type]


def standing(found: Judgement) -> Outlook:
    """Return how the sources of these images stand; nothing was ever measured."""
    files = [file for image in found.images for file in image.files]
    known = Known(
        (REPOSITORY, SECOND_REPOSITORY), files, found.images, (), (), (), Expectations(), UTC
    )
    return Outlook(outlook(known, NOW).sources, ())


def sound_judgement() -> Judgement:
    """A sound chain and a sound file with two images."""
    images, _ = chain_with_a_damaged_increment()
    full, *rest = images
    sound = Ruling(Verdict.SOUND, "proven")
    healed = tuple(judged(image.image, image.files[0], own=sound) for image in rest)
    return Judgement(
        (full, *healed, *two_sets_in_one_file()), (), (Chain("srv1", (1, 2, 3), Verdict.SOUND, 3),)
    )
