"""Sources made by hand, without a ledger: say what was backed up when, and how large it was."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from formats.core.model import Kind
from scanner.expectations import SourceExpectation
from scanner.judge.model import JudgedImage, Proof, Ruling, Verdict
from scanner.judge.sources.model import (
    DatedBy,
    Measure,
    RestorePoint,
    Source,
    SourceKind,
)
from scanner.ledger.rows import FileRow, ImageRow
from scanner.results import FileState, PayloadSeen

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)  # a Sunday
UNPROVEN_BYTES = Proof(None, None, None, None, 0, None)


@dataclass(frozen=True)
class Backup:
    """One backup that was made once. It lies there still unless it is ``gone``.

    ``allocated`` is what it takes on the disk where that is not its size. What is not ``whole``
    broke off. Backups at one ``path`` that lie there still are images of one file.
    """

    at: datetime
    size: int
    kind: Kind | None = Kind.FULL
    path: str | None = None
    payload: int | None = None
    source: int | None = None
    used: int | None = None
    nonzero: int | None = None
    needed: int | None = None
    allocated: int | None = None
    whole: bool = True
    gone: bool = False
    verdict: Verdict = Verdict.SOUND
    written: datetime | None = None
    repository: int = 1
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def place(self) -> str:
        return self.path or f"vm/{self.at:%Y%m%d-%H%M}-{self.kind}.disk"


def days(*ago: float, now: datetime = NOW) -> list[datetime]:
    """Return moments so many days ago."""
    return [now - timedelta(days=number) for number in ago]


def weekly(sizes: Iterable[int], *, last: datetime = NOW, **same: object) -> list[Backup]:
    """Return fulls a week apart, the last one at a time."""
    every = list(sizes)
    return [
        Backup(last - timedelta(weeks=len(every) - 1 - index), size, **same)  # type: ignore[arg-type]
        for index, size in enumerate(every)
    ]


def source_of(
    *backups: Backup,
    name: str = "vm",
    kind: SourceKind = SourceKind.DISK,
    declared: SourceExpectation | None = None,
    repositories: tuple[int, ...] | None = None,
) -> Source:
    """Return a source with these backups, in whatever order they are given."""
    ordered = sorted(backups, key=lambda item: (item.at, item.place))
    living = [item for item in ordered if not item.gone]
    places = sorted({(item.repository, item.place) for item in living})
    numbers = {place: offset + 1 for offset, place in enumerate(places)}
    images: list[JudgedImage] = []
    keys: dict[int, int] = {}
    for item in living:
        number = numbers[item.repository, item.place] + 100 * sum(map(ord, name))
        held = sum(one.files[0].id == number for one in images)
        key = 1000 * number + held
        keys[id(item)] = key
        images.append(judged(item, key, number, held))
    points = [point_of(item, keys[id(item)]) for item in living]
    return Source(
        id=f"id of {name}",
        name=name,
        kind=kind,
        machine=None,
        declared=declared,
        repository_ids=repositories or tuple(sorted({item.repository for item in backups})),
        images=tuple(images),
        points=tuple(points),
        spans=(),
        history=tuple(measure_of(item, keys.get(id(item))) for item in ordered),
    )


def judged(item: Backup, key: int, file_id: int, held: int) -> JudgedImage:
    """Return a living image of a backup."""
    written = item.written or item.at
    file = FileRow(
        id=file_id,
        repository_id=item.repository,
        path=item.place,
        size=item.size,
        allocated_bytes=item.size if item.allocated is None else item.allocated,
        mtime_ns=int(written.timestamp()) * 1_000_000_000,
        state=FileState.READ,
        format="toy",
        format_revision=1,
        read_at=item.at,
        unchanged_since=None,
        bytes_read=item.size,
        first_seen_at=item.at,
        seen_at=item.at,
    )
    row = ImageRow(
        id=key,
        file_id=file_id,
        image_index=held,
        kind=item.kind,
        title=None,
        identities=(),
        lineage=None,
        parents=(),
        position=None,
        piece=None,
        source=None,
        created_at=item.at,
        source_bytes=item.source,
        used_bytes=item.used,
        payload_bytes=item.payload,
        needed_bytes=item.needed,
        payload_seen=PayloadSeen(item.size, item.size, nonzero=True),
        members=(),
        in_progress=False,
        complete=item.whole,
        facts=item.facts,
    )
    verdict = item.verdict if item.whole else Verdict.INCOMPLETE
    ruling = Ruling(verdict, "by hand")
    return JudgedImage(key, (row,), (file,), (), ruling, UNPROVEN_BYTES, (), ruling, key)


def point_of(item: Backup, key: int) -> RestorePoint:
    """Return the restore point of a living backup."""
    verdict = item.verdict if item.whole else Verdict.INCOMPLETE
    ruling = Ruling(verdict, "by hand")
    return RestorePoint(
        key, item.at, DatedBy.FORMAT, ruling, key, UNPROVEN_BYTES, steps=1, restore_bytes=item.size
    )


def measure_of(item: Backup, key: int | None) -> Measure:
    """Return what a backup measured."""
    return Measure(
        at=item.at,
        path=item.place,
        key=key,
        kind=item.kind,
        source_bytes=item.source,
        used_bytes=item.used,
        payload_bytes=item.payload,
        nonzero_bytes=item.nonzero,
        file_bytes=item.size,
        whole=item.whole,
    )
