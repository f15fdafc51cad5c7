"""Sources found in rows made by hand."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo

from formats.core.model import Kind
from scanner.expectations import Expectations, SourceExpectation
from scanner.judge.sources.grouping import Matter, sources
from scanner.judge.sources.model import Source
from scanner.ledger.rows import FileRow, HistoryRow, ImageRow
from tests.scanner.judge.rows import OLD, REPOSITORIES, Rows

EAST = timezone(timedelta(hours=2))


def remembered(file: FileRow, image: ImageRow, **changes: object) -> HistoryRow:
    """Return the row of history an image left when it was read."""
    piece = image.piece
    fields: dict[str, object] = {
        "repository_id": file.repository_id,
        "path": file.path,
        "image_index": image.image_index,
        "format": file.format,
        "kind": image.kind,
        "source": image.source,
        "piece_number": None if piece is None else piece.number,
        "piece_count": None if piece is None else piece.count,
        "created_at": image.created_at,
        "mtime_ns": file.mtime_ns,
        "source_bytes": image.source_bytes,
        "used_bytes": image.used_bytes,
        "payload_bytes": image.payload_bytes,
        "needed_bytes": image.needed_bytes,
        "nonzero_bytes": image.payload_seen.nonzero_bytes,
        "file_bytes": file.size,
        "complete": image.complete,
        "seen_at": file.seen_at,
    }
    return HistoryRow(**(fields | changes))  # type: ignore[arg-type]


def measured(path: str, at: datetime = OLD, **changes: object) -> HistoryRow:
    """Return the measure of an image that is gone."""
    fields: dict[str, object] = {
        "repository_id": 1,
        "path": path,
        "image_index": 0,
        "format": "qcow2",
        "kind": Kind.FULL,
        "source": None,
        "piece_number": None,
        "piece_count": None,
        "created_at": at,
        "mtime_ns": int(at.timestamp() * 1e9),
        "source_bytes": 100,
        "used_bytes": None,
        "payload_bytes": 50,
        "needed_bytes": None,
        "nonzero_bytes": 50,
        "file_bytes": 60,
        "complete": True,
        "seen_at": at,
    }
    return HistoryRow(**(fields | changes))  # type: ignore[arg-type]


def history_of(rows: Rows) -> list[HistoryRow]:
    """Return what all images in these rows measured."""
    files = {file.id: file for file in rows.files}
    return [remembered(files[image.file_id], image) for image in rows.images]


def found(
    rows: Rows,
    *declared: SourceExpectation,
    history: tuple[HistoryRow, ...] = (),
    zone: tzinfo = UTC,
    shuffle: int | None = None,
) -> tuple[Source, ...]:
    """Return the sources in these rows."""
    matter = Matter(
        REPOSITORIES,
        rows.files,
        rows.judged(shuffle=shuffle).images,
        [*history_of(rows), *history],
        Expectations(sources=declared),
        zone,
    )
    return sources(matter)


def one(rows: Rows, *declared: SourceExpectation, **options: object) -> Source:
    """Return the only source in these rows."""
    (source,) = found(rows, *declared, **options)  # type: ignore[arg-type]
    return source
