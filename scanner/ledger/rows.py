"""Rows of the ledger as the judge and the outlets see them; unknown is None."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from formats.core.model import Evidence, Identity, Kind, ParentRef, PieceOf, Position
from scanner.results import FileState, PayloadSeen, Stamps


@dataclass(frozen=True, slots=True)
class RepositoryRow:
    """A repository: a file system and a folder in it, wherever it is mounted today."""

    id: int
    filesystem: str
    root: str
    path: str


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of the scanner over one repository."""

    id: int
    repository_id: int
    started_at: datetime
    finished_at: datetime | None
    files: int
    bytes_read: int
    exit_code: int | None


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file of a repository; ``path`` is relative to the repository's root.

    ``read_at`` is when the oldest byte of the last complete reading was read, ``unchanged_since``
    when the baseline it equals was first taken, ``rewritten_at`` when a reading last found that
    proven bytes had been written over. ``cramped`` says that no room was left on its file system
    right after it was last written. ``seen_at`` is the last survey that found it (for
    a gone file: the last that found it while it was there). ``format`` None means no known format.
    """

    id: int
    repository_id: int
    path: str
    size: int
    allocated_bytes: int | None
    mtime_ns: int
    state: FileState
    format: str | None
    format_revision: int | None
    read_at: datetime | None
    unchanged_since: datetime | None
    bytes_read: int
    first_seen_at: datetime
    seen_at: datetime
    rewritten_at: datetime | None = None
    cramped: bool = False


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One image of one file, or one piece of an image that lies in several files."""

    id: int
    file_id: int
    image_index: int
    kind: Kind | None
    title: str | None
    identities: tuple[Identity, ...]
    lineage: str | None
    parents: tuple[ParentRef, ...]
    position: Position | None
    piece: PieceOf | None
    source: str | None
    created_at: datetime | None
    source_bytes: int | None
    used_bytes: int | None
    payload_bytes: int | None
    needed_bytes: int | None
    payload_seen: PayloadSeen
    members: tuple[str, ...]
    in_progress: bool
    complete: bool
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """Evidence as recorded: about an image, or (``image_id`` None) about the file itself.

    ``finding_id`` names bad evidence for acknowledging; it is the same in every run that finds the
    same thing in the same place.
    """

    file_id: int
    image_id: int | None
    evidence: Evidence
    revision: int | None
    found_at: datetime
    finding_id: str | None


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """What one image measured when it was read; kept when the image is gone or written over.

    An image in several files has a row for each piece: ``piece_number`` of ``piece_count``.
    Sizes are bytes, unknown is None; ``nonzero_bytes`` counts blocks that are not all zeros.
    """

    repository_id: int
    path: str
    image_index: int
    format: str | None
    kind: Kind | None
    source: str | None
    piece_number: int | None
    piece_count: int | None
    created_at: datetime | None
    mtime_ns: int
    source_bytes: int | None
    used_bytes: int | None
    payload_bytes: int | None
    needed_bytes: int | None
    nonzero_bytes: int | None
    file_bytes: int
    complete: bool
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class SpaceRow:
    """How much a repository's file system holds, and what a quota allows; unknown is None."""

    repository_id: int
    total_bytes: int
    available_bytes: int
    quota_bytes: int | None
    quota_used_bytes: int | None
    read_only: bool
    measured_at: datetime


@dataclass(frozen=True, slots=True)
class AcknowledgementRow:
    """Somebody accepted a finding until a day; it is shown, but does not decide the exit code."""

    finding_id: str
    until: datetime
    reason: str
    made_at: datetime


class KnownFile(NamedTuple):
    """What the survey needs to decide whether a file must be read; one per known path.

    A plain tuple, because there are as many as files. ``stamps`` are those of the last finished
    reading, however it ended; of the first one also while it lasts. ``read_at`` as in `FileRow`.
    ``storage_bad`` says that bad ``storage.*`` evidence is on record.
    """

    path: str
    stamps: Stamps
    state: FileState
    format: str | None
    format_revision: int | None
    read_at: datetime | None
    identity_key: str | None
    storage_bad: bool


@dataclass(frozen=True, slots=True)
class Baseline:
    """Our digests of a file, taken after its structure was proven.

    ``digests`` holds one digest per block of `DIGEST_BLOCK_BYTES`, joined in order; sixteen zero
    bytes stand for a block that was never read. ``path`` is where the file lay then, ``stamps`` are
    those it had when its bytes were last found equal (or taken): bytes that differ under these
    same stamps were changed by nobody. ``size`` is the size then.
    """

    identity_key: str | None
    size: int
    taken_at: datetime
    digests: bytes
    path: str
    stamps: Stamps
