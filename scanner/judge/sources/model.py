"""What the judge says of sources: a machine's disk, or a database, and the times it can go back to.

Files are not what an administrator restores; points in time of a source are. All times here have a
zone: a local time of the backup's machine is read in the zone the judge is told.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from formats.core.model import Kind
from scanner.expectations import SourceExpectation
from scanner.judge.model import JudgedImage, Proof, Ruling, Verdict

USABLE = Verdict.WEAKENED
"""The worst verdict with which a backup still restores."""


class SourceKind(StrEnum):
    """What was backed up."""

    DATABASE = "database"
    DISK = "disk"


class DatedBy(StrEnum):
    """Where the time of a backup comes from, surest first."""

    FORMAT = "format"  # the backup says when it was made
    NAME = "name"  # its file name does
    FILE = "file"  # the file was last written then


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """A time a source can go back to: one image, and all it needs.

    Of several ways to restore it the best counts; `points.path_to` lists the images on it.
    ``ruling`` is the worst along it, decided by the image ``deciding_key``; ``proof`` the least
    that was proven of any image on it. ``steps`` is how many images a restore has to read,
    ``restore_bytes`` how many bytes. ``by_name`` says that only file names link some of them.
    """

    key: int
    at: datetime
    dated_by: DatedBy
    ruling: Ruling
    deciding_key: int
    proof: Proof
    steps: int
    restore_bytes: int
    by_name: bool = False

    @property
    def usable(self) -> bool:
        """Whether a restore to this point is proven to work."""
        return self.ruling.verdict <= USABLE


@dataclass(frozen=True, slots=True)
class Span:
    """Any moment from ``begin`` to ``end`` can be restored; a single point has equal ends."""

    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Measure:
    """What one image measured when it was read; sizes are bytes, unknown is None.

    ``key`` is the image's where it is still there. ``whole`` says that nothing of it was missing,
    so that others may be compared with it.
    """

    at: datetime
    path: str
    key: int | None
    kind: Kind | None
    source_bytes: int | None
    used_bytes: int | None
    payload_bytes: int | None
    nonzero_bytes: int | None
    file_bytes: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Source:
    """A machine's disk or a database, with everything known of its backups.

    ``id`` is the same in every run. ``images`` are those still there, ``points`` one for each of
    them that is no mere piece of another, ``history`` every measure taken, also of images that are
    gone; each oldest first. ``spans`` are the stretches of time that can be restored, from usable
    points alone. ``declared`` is what the configuration says of it, if anything, ``database``
    what a database is called by its own backups.
    """

    id: str
    name: str
    kind: SourceKind
    machine: str | None
    declared: SourceExpectation | None
    repository_ids: tuple[int, ...]
    images: tuple[JudgedImage, ...]
    points: tuple[RestorePoint, ...]
    spans: tuple[Span, ...]
    history: tuple[Measure, ...]
    database: str | None = None

    @property
    def newest(self) -> RestorePoint | None:
        """The newest point that is proven to restore."""
        return next((point for point in reversed(self.points) if point.usable), None)

    @property
    def oldest(self) -> RestorePoint | None:
        """The oldest point that is proven to restore."""
        return next((point for point in self.points if point.usable), None)

    @property
    def last(self) -> RestorePoint | None:
        """The newest point of all, whatever it is worth."""
        return self.points[-1] if self.points else None


def when(point: RestorePoint) -> tuple[datetime, int]:
    """Return what points are sorted by."""
    return point.at, point.key


def total(sizes: Iterable[int | None]) -> int | None:
    """Return a sum; None where any part of it is not known."""
    whole = 0
    for size in sizes:
        if size is None:
            return None
        whole += size
    return whole
