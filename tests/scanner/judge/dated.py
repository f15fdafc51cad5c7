"""Sources of which nothing but points in time matters, and sources found in judged images."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo

from formats.core.model import Kind
from scanner.expectations import Expectations
from scanner.judge.model import JudgedImage, Proof, Ruling, Verdict
from scanner.judge.sources.grouping import Matter, sources
from scanner.judge.sources.model import (
    DatedBy,
    Measure,
    RestorePoint,
    Source,
    SourceKind,
    Span,
)
from scanner.ledger.rows import RepositoryRow

NOTHING_PROVEN = Proof(None, None, None, None, 0, None)


def sources_in(
    images: Sequence[JudgedImage], repositories: Sequence[RepositoryRow], zone: tzinfo = UTC
) -> tuple[Source, ...]:
    """Return the sources of judged images, as an outlook finds them."""
    files = tuple({file.id: file for image in images for file in image.files}.values())
    return sources(Matter(repositories, files, images, (), Expectations(), zone))


def a_point(
    key: int, at: datetime, verdict: Verdict = Verdict.SOUND, **changes: object
) -> RestorePoint:
    """Return a restore point that needs nothing but its own image."""
    fields: dict[str, object] = {
        "key": key,
        "at": at,
        "dated_by": DatedBy.FORMAT,
        "ruling": Ruling(verdict, "by hand"),
        "deciding_key": key,
        "proof": NOTHING_PROVEN,
        "steps": 1,
        "restore_bytes": 1 << 30,
    }
    return RestorePoint(**(fields | changes))  # type: ignore[arg-type]


def a_measure(at: datetime, key: int | None = None) -> Measure:
    """Return what an image measured; without a key it is gone."""
    path = f"{at:%Y%m%d-%H%M}.disk"
    return Measure(at, path, key, Kind.FULL, None, None, None, None, 1 << 30, whole=True)


def a_source(
    points: Iterable[RestorePoint] = (),
    *,
    name: str = "srv1/disk0",
    spans: Sequence[Span] | None = None,
    history: Sequence[Measure] = (),
) -> Source:
    """Return a source; of spans not given there is one for each usable point."""
    known = tuple(points)
    single = tuple(Span(point.at, point.at) for point in known if point.usable)
    return Source(
        id=f"id of {name}",
        name=name,
        kind=SourceKind.DISK,
        machine=None,
        declared=None,
        repository_ids=(1,),
        images=(),
        points=known,
        spans=single if spans is None else tuple(spans),
        history=tuple(history),
    )
