"""Small plain values for tests of the ledger."""

from datetime import UTC, datetime, timedelta

import numpy as np
import xxhash

from formats.core.model import (
    Bearing,
    Evidence,
    Identity,
    Inspection,
    Kind,
    Outcome,
    ParentRef,
    PieceOf,
    Position,
)
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
from scanner.ledger.rows import EvidenceRow
from scanner.ledger.store import Ledger
from scanner.results import (
    BaselineAction,
    BaselineResult,
    FileResult,
    FileState,
    ImageResult,
    PayloadSeen,
    Stamps,
    UnitResult,
)

MIB = 1 << 20
EVENING = datetime(2026, 3, 1, 22, 0, tzinfo=UTC)
NIGHT = timedelta(days=1)
PAGES = np.dtype([("page", "<u4"), ("file", "<u2"), ("sum", "<u4")])


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.now = EVENING

    def __call__(self):
        return self.now

    def next_night(self):
        self.now += NIGHT
        return self.now


def stamps(size=3 * MIB, **changes):
    return Stamps(
        **{"size": size, "mtime_ns": 11, "ctime_ns": 12, "inode": 13, "allocated_bytes": size}
        | changes
    )


def digests_of(*blocks):
    """Return the digests of blocks that are filled with one byte each; None is an unread one."""
    return b"".join(
        bytes(16) if fill is None else xxhash.xxh3_128_digest(bytes([fill]) * MIB)
        for fill in blocks
    )


def unit(offset=0, blocks=(1, 2, 3), *, read_at=EVENING, **changes):
    fields = {
        "offset": offset,
        "length": len(blocks) * MIB,
        "digests": digests_of(*blocks),
        "read_at": read_at,
        "bytes_read": len(blocks) * MIB,
    }
    return UnitResult(**fields | changes)


def damaged(check="vhdx.header.crc32c", offset=4096, **changes):
    fields = {"length": 4, "expected": "0x1", "actual": "0x2"}
    return Evidence(check, Outcome.MISMATCHED, offset, **fields | changes)


MATCHED = Evidence("vhdx.log.crc32c", Outcome.MATCHED, count=7, vouched_bytes=7 * 4096)
REDUNDANT = damaged("vhdx.header.second", 8192, bearing=Bearing.REDUNDANT)

INSPECTION = Inspection(
    kind=Kind.LOG,
    title="Nightly",
    identities=(Identity("vhdx", "aa"), Identity("sql", "bb")),
    lineage="family",
    parents=(ParentRef((Identity("vhdx", "cc"),), ("base.vhdx",)),),
    position=Position(10**24, 10**24 + 5),
    source="SRV1",
    created_at=datetime(2026, 2, 28, 23, 30),  # noqa: DTZ001 - the zone is not known
    source_bytes=100,
    used_bytes=90,
    payload_bytes=80,
    needed_bytes=70,
    members=("base.vhdx",),
    in_progress=True,
    complete=False,
    facts={"flags": [1, 2], "name": "käse", "lsn": 10**24, "none": None, "deep": {"a": 1.5}},
)


def image(inspection=INSPECTION, evidence=(MATCHED, REDUNDANT)):
    return ImageResult(inspection, evidence, PayloadSeen(50, 40, nonzero=True))


def piece(number, count=2):
    return Inspection(piece=PieceOf(Identity("set", "s1"), number, count))


def baseline(action=BaselineAction.ADOPT, taken_at=EVENING):
    return BaselineResult(action, taken_at)


def result(path="a.vhdx", **changes):
    fields = {
        "path": path,
        "stamps": stamps(),
        "state": FileState.READ,
        "format": "vhdx",
        "format_revision": 2,
        "images": (image(),),
        "evidence": (),
        "read_at": EVENING,
        "bytes_read": 3 * MIB,
        "identity_key": "vhdx:aa",
        "baseline": None,
    }
    return FileResult(**fields | changes)


class Story:
    """A ledger with one repository and one run, and the usual ways to fill it."""

    def __init__(self, ledger: Ledger, clock: Clock, filesystem="uuid:one", root="/backups"):
        self.ledger = ledger
        self.clock = clock
        self.repository = ledger.repository(filesystem, root, "/srv/backups")
        self.run = ledger.begin_run(self.repository.id, clock())

    def next_run(self):
        self.run = self.ledger.begin_run(self.repository.id, self.clock.next_night())
        return self.run

    def start(self, path="a.vhdx", seen=None, name="vhdx", revision=2):
        self.ledger.start_file(self.repository.id, self.run, path, seen or stamps(), name, revision)

    def record(self, unit_result, path="a.vhdx"):
        self.ledger.record_unit(self.repository.id, path, unit_result)

    def recorded(self, path="a.vhdx"):
        return self.ledger.recorded_units(self.repository.id, path)

    def finish(self, file_result):
        self.ledger.finish_file(self.repository.id, self.run, file_result)

    def read(self, path="a.vhdx", units=None, **changes):
        """Start, record and finish one file."""
        file_result = result(path, **changes)
        self.start(path, file_result.stamps, file_result.format, file_result.format_revision)
        for one in (unit(),) if units is None else units:
            self.record(one, path)
        self.finish(file_result)

    def baseline(self, path="a.vhdx", identity_key="vhdx:aa"):
        return self.ledger.baseline(self.repository.id, path, identity_key)

    def known(self, path="a.vhdx"):
        return self.ledger.known_files(self.repository.id)[path]

    def file(self, path="a.vhdx"):
        return {row.path: row for row in self.files()}[path]

    def files(self):
        return self.ledger.files([self.repository.id])

    def images(self):
        return self.ledger.images([self.repository.id])

    def evidence(self):
        return self.ledger.evidence([self.repository.id])

    def count(self, table):
        """Count the rows of a table, whoever they belong to."""
        (number,) = self.ledger._reader.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
        return number


PROOF = Proof(
    structure_at=EVENING,
    read_at=EVENING,
    unchanged_since=EVENING - NIGHT,
    checksums_at=EVENING,
    bytes_vouched=7,
    bytes_needed=2**64,
)


def judged(image_rows, files, **changes):
    """Return what the judge might say of an image that lies in these rows."""
    fields = {
        "key": image_rows[0].id,
        "pieces": tuple(image_rows),
        "files": tuple(files),
        "evidence": (),
        "own": Ruling(Verdict.SOUND, "sound"),
        "proof": PROOF,
        "parents": (),
        "ruling": Ruling(Verdict.SOUND, "sound"),
        "deciding_key": image_rows[0].id,
    }
    return JudgedImage(**fields | changes)


def fill(story):
    """Fill a ledger with a bit of everything: two nights, a chain, an alien file, findings."""
    story.read("full.vhdx", images=(image(evidence=(MATCHED,)),), baseline=baseline())
    story.read("child.vhdx", images=(image(evidence=(damaged(),)),))
    story.read(
        "caf\udce9.txt",
        images=(),
        format=None,
        evidence=(Evidence("generic.size.zero", Outcome.TRUNCATED),),
    )
    story.ledger.end_run(story.run, EVENING + NIGHT / 24, 3, 9 * MIB, 4)
    story.next_run()
    files = {row.path: row for row in story.files()}
    images = {row.file_id: row for row in story.images()}
    full, child = (images[files[name].id] for name in ("full.vhdx", "child.vhdx"))
    lost = EvidenceRow(
        child.file_id,
        child.id,
        Evidence("chain.parent.present", Outcome.TRUNCATED, expected="vhdx:cc"),
        None,
        EVENING,
        "0123456789",
    )
    child_row = next(row for row in story.evidence() if row.image_id == child.id)
    judgement = Judgement(
        images=(
            judged([full], [files["full.vhdx"]]),
            judged(
                [child],
                [files["child.vhdx"]],
                evidence=(child_row, lost),
                own=Ruling(Verdict.DAMAGED, "needed bytes are wrong"),
                ruling=Ruling(Verdict.DAMAGED, "needed bytes are wrong"),
                parents=(ParentLink("vhdx:cc", full.id, "identity"), ParentLink("x", None, "name")),
            ),
        ),
        others=(
            JudgedOther(files["caf\udce9.txt"], (), Ruling(Verdict.EMPTY, "zero length")),
            JudgedOther(files["full.vhdx"], (), None),
        ),
        chains=(Chain("SRV1", (full.id, child.id), Verdict.DAMAGED, full.id),),
    )
    story.ledger.save_verdicts(story.repository.id, judgement, EVENING + NIGHT)
    return judgement
