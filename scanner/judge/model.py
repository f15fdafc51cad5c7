"""What the judge says. Verdicts are ordered: a larger one is worse."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from scanner.ledger.rows import EvidenceRow, FileRow, ImageRow


class Verdict(IntEnum):
    """Can this be restored? Worst last."""

    SOUND = 0
    WEAKENED = 1  # restorable; a redundant copy or the storage is failing
    UNPROVEN = 2  # not read to the end, not judgeable, still being written
    EMPTY = 3
    INCOMPLETE = 4  # bytes the restore needs are missing
    DAMAGED = 5  # bytes the restore needs are wrong, or the storage refuses them for good

    @property
    def word(self) -> str:
        """The verdict as every outlet spells it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Ruling:
    """A verdict, the name of the rule that decided, and the evidence it decided on, if any."""

    verdict: Verdict
    rule: str
    evidence: EvidenceRow | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """What was proven, and when; a record, not a ladder. None means: not proven.

    ``bytes_vouched`` of ``bytes_needed`` lie under checksums that matched.
    """

    structure_at: datetime | None
    read_at: datetime | None
    unchanged_since: datetime | None
    checksums_at: datetime | None
    bytes_vouched: int
    bytes_needed: int | None
    content_at: datetime | None = None
    restored_at: datetime | None = None


BY_IDENTITY = "identity"
BY_LSN = "lsn"
BY_NAME = "name"
BY_GRAMMAR = "file name"
"""How a parent was found, surest first: the image names its identity; SQL Server's log leads to it;
the image says what its file is called; nothing but the two files' own names suggests it."""


@dataclass(frozen=True, slots=True)
class ParentLink:
    """One parent an image names: ``image_key`` of the image found, or None; how it was linked."""

    wanted: str
    image_key: int | None
    by: str


@dataclass(frozen=True, slots=True)
class JudgedImage:
    """One image with everything known about it.

    ``key`` is the id of its first piece's row. ``pieces`` and ``files`` run in parallel. ``own`` is
    about this image alone; ``ruling`` is the worst along its path of parents, decided by the image
    with ``deciding_key``.
    """

    key: int
    pieces: tuple[ImageRow, ...]
    files: tuple[FileRow, ...]
    evidence: tuple[EvidenceRow, ...]
    own: Ruling
    proof: Proof
    parents: tuple[ParentLink, ...]
    ruling: Ruling
    deciding_key: int

    @property
    def image(self) -> ImageRow:
        """The row of the first piece, which speaks for the image."""
        return self.pieces[0]

    @property
    def path(self) -> str:
        """Where the image lies: its first piece's file, relative to the repository."""
        return self.files[0].path


@dataclass(frozen=True, slots=True)
class JudgedOther:
    """A file that is no known backup, with what generic checks found.

    ``ruling`` is None for files that nothing calls a backup: they are listed and decide nothing.
    """

    file: FileRow
    evidence: tuple[EvidenceRow, ...]
    ruling: Ruling | None


@dataclass(frozen=True, slots=True)
class Chain:
    """Images linked by parents, in order from the root; keys of `JudgedImage`.

    ``restorable_key`` is the newest image whose whole path is sound or weakened.
    """

    name: str
    image_keys: tuple[int, ...]
    verdict: Verdict
    restorable_key: int | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """Everything the judge says of a set of repositories."""

    images: tuple[JudgedImage, ...]
    others: tuple[JudgedOther, ...]
    chains: tuple[Chain, ...]
