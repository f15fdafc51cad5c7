"""The JSON document, as types: ``schema-v1.json`` is generated from them.

Unknown is null. Times are ISO 8601; those of the scanner are UTC and end in ``Z``, the time of a
backup has no offset where the backup does not say its zone. Offsets, lengths and sizes are bytes.
"""

from datetime import datetime
from typing import Annotated, Any

import msgspec

from scanner.outlets.fit import FitOut
from scanner.outlets.forecast import ForecastOut

VERSION = 1


class RunOut(msgspec.Struct, frozen=True, kw_only=True):
    """The run; for ``status`` the newest one the ledger knows."""

    started: datetime
    finished: datetime | None
    files: int
    bytes_read: int
    interrupted: bool
    bugs: int


class RepositoryOut(msgspec.Struct, frozen=True, kw_only=True):
    """A repository: a file system and a folder in it; ``path`` is where it is mounted today."""

    id: int
    path: str
    filesystem: str
    root: str


class ProofOut(msgspec.Struct, frozen=True, kw_only=True):
    """What was proven, and when; null means not proven. ``text`` sums it up."""

    structure: datetime | None
    read: datetime | None
    unchanged_since: datetime | None
    checksums: datetime | None
    bytes_vouched: int
    bytes_needed: int | None
    content: datetime | None
    restored: datetime | None
    text: str


class FindingOut(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of bad evidence. ``id`` is what ``bakproof ack`` takes."""

    id: str | None
    check: str
    outcome: str
    offset: int | None
    length: int | None
    expected: str | None
    actual: str | None
    redundant: bool
    bearing: str
    count: int
    member: str | None
    path: str
    found: datetime
    acknowledged: bool
    acknowledged_until: datetime | None
    acknowledged_reason: str | None
    text: str


class ParentOut(msgspec.Struct, frozen=True, kw_only=True):
    """A parent the image names; ``key`` and ``path`` are null where it was not found."""

    wanted: str
    key: int | None
    path: str | None
    by: str


class PositionOut(msgspec.Struct, frozen=True, kw_only=True):
    """Place in the chain; decimal text, because log sequence numbers exceed 64 bits."""

    first: str
    last: str


class ImageOut(msgspec.Struct, frozen=True, kw_only=True):
    """One image. ``verdict`` is the worst along its path of parents, ``own_verdict`` its own."""

    key: int
    repository: int
    path: str
    files: tuple[str, ...]
    members: tuple[str, ...]
    image_index: int
    format: str | None
    kind: str | None
    title: str | None
    identities: tuple[str, ...]
    lineage: str | None
    position: PositionOut | None
    parents: tuple[ParentOut, ...]
    source: str | None
    created_at: (
        Annotated[str, msgspec.Meta(description="no offset: local time, zone unknown")] | None
    )
    source_bytes: int | None
    used_bytes: int | None
    payload_bytes: int | None
    needed_bytes: int | None
    file_bytes: int
    bytes_read: int
    bytes_vouched: int
    complete: bool
    in_progress: bool
    verdict: str
    rule: str
    deciding: Annotated[str, msgspec.Meta(description="path of the image that decided")] | None
    own_verdict: str
    own_rule: str
    proof: ProofOut
    findings: tuple[FindingOut, ...]
    facts: dict[str, Any]  # the format's own fields: any JSON value


class MemberOut(msgspec.Struct, frozen=True, kw_only=True):
    """One image of a chain."""

    key: int
    path: str
    verdict: str


class ChainOut(msgspec.Struct, frozen=True, kw_only=True):
    """Images linked by parents, from the root. ``restorable`` is the newest restorable one."""

    name: str
    verdict: str
    images: tuple[MemberOut, ...]
    restorable: MemberOut | None


class OtherOut(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is no known image; ``verdict`` null where nothing calls it a backup."""

    repository: int
    path: str
    format: str | None
    state: str
    file_bytes: int
    bytes_read: int
    read: datetime | None
    unchanged_since: datetime | None
    verdict: str | None
    rule: str | None
    findings: tuple[FindingOut, ...]


class WarningOut(msgspec.Struct, frozen=True, kw_only=True):
    """Something to act on besides verdicts; ``severity`` advice never decides the exit code.

    ``id`` is what ``bakproof ack`` takes, ``source`` the database it is about.
    """

    id: str
    rule: str
    severity: str
    source: str
    acknowledged: bool
    acknowledged_until: datetime | None
    acknowledged_reason: str | None
    text: str


class SummaryOut(msgspec.Struct, frozen=True, kw_only=True):
    """Counts. ``verdicts`` counts images, and other files that have a verdict."""

    verdict: str | None
    verdicts: dict[str, int]
    images: int
    chains: int
    others: int
    others_judged: int
    formats: dict[str, int]
    findings: int
    acknowledged: int
    exit_code: int
    exit_meaning: str


class PointOut(msgspec.Struct, frozen=True, kw_only=True):
    """A time a source can go back to: the image ``key``, and the ``steps`` images it needs.

    ``verdict`` is the worst along the way, decided by ``deciding``. ``dated_by`` says who told the
    time: ``format``, ``name`` or ``file``. ``restore_bytes`` is what a restore has to read, ``fit``
    how the image fits its source.
    """

    key: int
    path: str
    at: datetime
    dated_by: str
    verdict: str
    rule: str
    deciding: str | None
    steps: int
    restore_bytes: int
    by_name: bool
    proof: str
    fit: FitOut | None


class SpanOut(msgspec.Struct, frozen=True, kw_only=True):
    """Any moment from ``begin`` to ``end`` can be restored."""

    begin: datetime
    end: datetime


class SourceOut(msgspec.Struct, frozen=True, kw_only=True):
    """A database or a machine's disk: how it stands, worst state last.

    ``state`` is ``restorable``, ``attention`` (it restores, and something is to be looked into),
    ``behind`` (only an older backup restores), ``unproven`` or ``lost``. ``restorable`` is the
    newest point that is proven to restore, ``failing`` the newest backup where that one does not.
    ``restore_seconds`` is how long reading all it needs takes at least, at the measured pace.
    """

    id: str
    name: str
    kind: str
    machine: str | None
    declared: str | None
    state: str
    restorable: PointOut | None
    oldest: PointOut | None
    failing: PointOut | None
    failed: int
    wrong: str | None
    first: str | None
    points: tuple[PointOut, ...]
    spans: tuple[SpanOut, ...]
    forecasts: tuple[ForecastOut, ...]
    restore_seconds: float | None


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """What a scan found, or what the ledger knows."""

    v: int
    bakproof: str
    created: datetime
    run: RunOut | None
    repositories: tuple[RepositoryOut, ...]
    images: tuple[ImageOut, ...]
    chains: tuple[ChainOut, ...]
    sources: tuple[SourceOut, ...]
    others: tuple[OtherOut, ...]
    warnings: tuple[WarningOut, ...]
    summary: SummaryOut
    notes: tuple[str, ...]


class FileOut(msgspec.Struct, frozen=True, kw_only=True):
    """A file was read; only in ``--ndjson``, while the scan runs. Verdicts come at its end."""

    path: str
    format: str | None
    state: str
    images: int
    findings: int
    file_bytes: int
    bytes_read: int
    bug: str | None


class NoteOut(msgspec.Struct, frozen=True, kw_only=True):
    """Something the operator should know; only in ``--ndjson``."""

    text: str
