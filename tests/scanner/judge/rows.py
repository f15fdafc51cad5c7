"""Rows of a ledger made by hand, and what the judge says of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

from formats.core.model import Bearing, Evidence, Identity, Kind, Outcome, ParentRef
from scanner.judge.cases import Shelf, shelve
from scanner.judge.judge import Vocabulary, judge
from scanner.judge.model import JudgedImage, JudgedOther, Judgement, Verdict
from scanner.ledger.rows import EvidenceRow, FileRow, ImageRow, RepositoryRow
from scanner.results import FileState, PayloadSeen

REPOSITORIES = (
    RepositoryRow(1, "fs", "backups", "/srv/backups"),
    RepositoryRow(2, "fs", "more", "/srv/more"),
)
SEEN = datetime(2026, 3, 14, 12, tzinfo=UTC)
READ = SEEN - timedelta(hours=1)
OLD = SEEN - timedelta(days=100)
SETTLE = timedelta(minutes=15)
VOCABULARY = Vocabulary(frozenset({"qcow2", "vhdx"}), frozenset({".qcow2", ".vhdx"}))
GOOD = Evidence("toy.head.sum", Outcome.MATCHED, vouched_bytes=100)


def bad(
    outcome: Outcome = Outcome.MISMATCHED,
    bearing: Bearing = Bearing.NEEDED,
    check: str = "toy.block.sum",
    offset: int | None = 4096,
) -> Evidence:
    return Evidence(check, outcome, offset, 512, "a", "b", bearing)


def named(*names: str) -> tuple[ParentRef, ...]:
    """Return a parent that only its names tell."""
    return (ParentRef(names=names),)


def wanted(identity: str, *names: str) -> tuple[ParentRef, ...]:
    """Return a parent with an identity."""
    return (ParentRef((Identity("toy", identity),), names),)


@dataclass
class Rows:
    """A ledger's rows under construction; numbers are given in order."""

    files: list[FileRow] = field(default_factory=list)
    images: list[ImageRow] = field(default_factory=list)
    evidence: list[EvidenceRow] = field(default_factory=list)
    held: dict[int, int] = field(default_factory=dict)

    def file(
        self,
        path: str,
        rows: Iterable[Evidence] = (),
        *,
        repository: int = 1,
        state: FileState = FileState.READ,
        known_as: str | None = "qcow2",
        mtime: datetime = OLD,
        **changes: object,
    ) -> FileRow:
        """Add a file with evidence about itself."""
        made = FileRow(
            id=len(self.files) + 1,
            repository_id=repository,
            path=path,
            size=1 << 20,
            allocated_bytes=1 << 20,
            mtime_ns=int(mtime.timestamp() * 1e9),
            state=state,
            format=known_as,
            format_revision=1,
            read_at=READ if state is FileState.READ else None,
            unchanged_since=None,
            bytes_read=1 << 20,
            first_seen_at=OLD,
            seen_at=SEEN,
        )
        made = replace(made, **changes)
        self.files.append(made)
        self.add(made, None, rows)
        return made

    def image(
        self, file: FileRow, rows: Iterable[Evidence] = (GOOD,), **changes: object
    ) -> ImageRow:
        """Add an image of a file, with evidence about it."""
        fields: dict[str, object] = {
            "id": 1000 + len(self.images) + 1,
            "file_id": file.id,
            "image_index": self.held.get(file.id, 0),
            "kind": Kind.FULL,
            "title": None,
            "identities": (),
            "lineage": None,
            "parents": (),
            "position": None,
            "piece": None,
            "source": None,
            "created_at": None,
            "source_bytes": None,
            "used_bytes": None,
            "payload_bytes": None,
            "needed_bytes": None,
            "payload_seen": PayloadSeen(100, 100, nonzero=True),
            "members": (),
            "in_progress": False,
            "complete": True,
            "facts": {},
        }
        identity = changes.pop("identity", None)
        if identity is not None:
            fields["identities"] = (Identity("toy", str(identity)),)
        made = ImageRow(**(fields | changes))  # type: ignore[arg-type]
        self.images.append(made)
        self.held[file.id] = made.image_index + 1
        self.add(file, made, rows)
        return made

    def backup(
        self,
        path: str,
        rows: Iterable[Evidence] = (GOOD,),
        about_file: Iterable[Evidence] = (),
        *,
        file: Mapping[str, object] | None = None,
        **image: object,
    ) -> ImageRow:
        """Add a file with one image."""
        return self.image(self.file(path, about_file, **(file or {})), rows, **image)

    def add(self, file: FileRow, image: ImageRow | None, rows: Iterable[Evidence]) -> None:
        for row in rows:
            number = len(self.evidence) + 1
            name = f"finding-{number}" if row.bad else None
            made = EvidenceRow(file.id, image.id if image else None, row, 1, READ, name)
            self.evidence.append(made)

    def shelf(self) -> Shelf:
        return shelve(REPOSITORIES, self.files, self.images, self.evidence)

    def judged(self, *, acknowledged: Iterable[str] = (), shuffle: int | None = None) -> Judgement:
        """Judge everything; ``shuffle`` is the seed of another order of discovery."""
        files, images, evidence = list(self.files), list(self.images), list(self.evidence)
        if shuffle is not None:
            random = Random(shuffle)  # noqa: S311 - an order of rows is no secret
            random.shuffle(files)
            random.shuffle(images)
            # Evidence of one image keeps its order, which is the order it was recorded in.
            groups: dict[tuple[int, int | None], list[EvidenceRow]] = {}
            for row in evidence:
                groups.setdefault((row.file_id, row.image_id), []).append(row)
            order = list(groups)
            random.shuffle(order)
            evidence = [row for key in order for row in groups[key]]
        return judge(
            REPOSITORIES, files, images, evidence, VOCABULARY, SETTLE, frozenset(acknowledged)
        )


def of(judgement: Judgement, path: str) -> JudgedImage:
    """Return the one image at a path."""
    (found,) = [item for item in judgement.images if item.path == path]
    return found


def ruled(judgement: Judgement, path: str) -> tuple[Verdict, str]:
    """Return verdict and rule about the one image at a path."""
    ruling = of(judgement, path).ruling
    return ruling.verdict, ruling.rule


def other(judgement: Judgement, path: str) -> JudgedOther:
    (found,) = [item for item in judgement.others if item.file.path == path]
    return found
