"""How much room single backups of a source took, from what was measured of them.

A measure gives the size of the files an image lies in. A file may hold several backups (appended
sets), and then each of them took a part of it.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from formats.core.model import Kind
from scanner.judge.model import JudgedImage, Verdict
from scanner.judge.sources.model import Measure, Source, total
from scanner.ledger.rows import FileRow
from scanner.results import FileState

SPARSE_SHARE_MAX = 0.98
"""Files that take less than this share of their size are stored sparsely or compressed."""

HOLLOW = frozenset({Verdict.EMPTY, Verdict.INCOMPLETE})
"""Verdicts of backups whose size says nothing of what the next one will need."""


@dataclass(frozen=True, slots=True)
class Sized:
    """One backup. ``file_bytes`` is what it takes in its files, None where nobody can tell.

    ``stored_bytes`` and ``needed_bytes`` are how much is there and how much its own map refers to;
    both matter of backups that are not whole. ``packed`` is whether it is compressed.
    """

    at: datetime
    kind: Kind | None
    key: int | None
    path: str
    file_bytes: int | None
    stored_bytes: int
    needed_bytes: int | None
    payload_bytes: int | None
    source_bytes: int | None
    used_bytes: int | None
    whole: bool
    packed: bool


def backups(source: Source) -> tuple[Sized, ...]:
    """Return every backup ever measured of a source, oldest first."""
    images = {image.key: image for image in source.images}
    newest: dict[tuple[object, ...], Measure] = {}
    for measure in sorted(source.history, key=lambda item: (item.at, item.path, item.file_bytes)):
        # A file may have been read while it was still being written: the last time counts.
        gone = measure.key is None
        newest[(measure.path, measure.at) if gone else (measure.key,)] = measure
    parts = parts_of_files(source.images)
    shared = places_shared(newest.values())
    found = (sized(measure, images, parts, shared) for measure in newest.values())
    return tuple(sorted(found, key=lambda item: (item.at, item.path, item.stored_bytes)))


def sized(
    measure: Measure,
    images: Mapping[int, JudgedImage],
    parts: Mapping[int, int | None],
    shared: frozenset[tuple[str, int]],
) -> Sized:
    """Return one backup."""
    image = images.get(measure.key) if measure.key is not None else None
    room: int | None = measure.file_bytes
    if image is not None and image.key in parts:
        room = parts[image.key]
    elif image is None and (measure.path, measure.file_bytes) in shared:
        room = measure.payload_bytes
    payload = measure.payload_bytes
    hollow = payload == 0 or measure.nonzero_bytes == 0
    return Sized(
        at=measure.at,
        kind=measure.kind,
        key=measure.key,
        path=measure.path,
        file_bytes=room,
        stored_bytes=measure.file_bytes if room is None else min(room, measure.file_bytes),
        needed_bytes=needed_by(image),
        payload_bytes=payload,
        source_bytes=measure.source_bytes,
        used_bytes=measure.used_bytes,
        whole=measure.whole and not hollow and not (image and image.own.verdict in HOLLOW),
        packed=is_packed(image) or is_smaller(measure, needed_by(image)),
    )


def largest(sizes: Iterable[int | None]) -> int | None:
    """Return the largest of what is known."""
    return max((size for size in sizes if size is not None), default=None)


def is_packed(image: JudgedImage | None) -> bool:
    """Whether an image says that what it holds is compressed."""
    return image is not None and bool(image.image.facts.get("Compressed"))


def is_smaller(measure: Measure, needed: int | None) -> bool:
    """Whether a file takes less than what it stores; one that was cut would have been longer."""
    length = max(measure.file_bytes, needed or 0)
    known = measure.whole or needed is not None
    return known and measure.payload_bytes is not None and length < measure.payload_bytes


def needed_by(image: JudgedImage | None) -> int | None:
    """Return how many bytes an image's own map refers to, as far as its pieces say.

    Of a file that holds several images that is where this one ends, not its size.
    """
    if image is None or image.image.image_index > 0:
        return None
    return total(piece.needed_bytes for piece in image.pieces)


def parts_of_files(images: Sequence[JudgedImage]) -> dict[int, int | None]:
    """Return what each image takes of its files, of those that share one with others."""
    ends: dict[int, list[int]] = {}
    for image in images:
        for piece in image.pieces:
            ends.setdefault(piece.file_id, []).append(piece.needed_bytes or 0)
    for every in ends.values():
        every.sort()
    return {
        image.key: total(part_of(piece.needed_bytes, ends[piece.file_id]) for piece in image.pieces)
        for image in images
        if any(len(ends[piece.file_id]) > 1 for piece in image.pieces)
    }


def part_of(end: int | None, ends: Sequence[int]) -> int | None:
    """Return how much of a file lies before one image's end and after that of the one before."""
    if end is None:
        return None
    place = bisect_left(ends, end)
    return end - (ends[place - 1] if place else 0)


def places_shared(history: Iterable[Measure]) -> frozenset[tuple[str, int]]:
    """Return path and size of files, now gone, that seem to have held several backups."""
    met: dict[tuple[str, int], set[datetime]] = {}
    for measure in history:
        if measure.key is None:
            met.setdefault((measure.path, measure.file_bytes), set()).add(measure.at)
    return frozenset(place for place, times in met.items() if len(times) > 1)


# What lies on the disk


def living_files(images: Iterable[JudgedImage]) -> dict[int, FileRow]:
    """Return the files of images that are there, each once."""
    return {
        file.id: file
        for image in images
        for file in image.files
        if file.state is not FileState.GONE
    }


def taken_by(file: FileRow) -> int:
    """Return the room a file takes: less than its size where it has holes.

    A file that takes nothing at all has been moved to other storage, or its size is too small to
    need a block; both are no reason to expect the same of the next.
    """
    return file.allocated_bytes or file.size


def stored_share(source: Source, sizes: Sequence[Sized], *, whole: bool) -> float:
    """Return which share of their size fulls take on the disk: the whole ones, or the others.

    One is all of it.
    """
    keys = {item.key for item in sizes if item.whole is whole and item.kind is Kind.FULL}
    counted = [image for image in source.images if image.key in keys]
    shares = [
        taken_by(file) / file.size for file in living_files(counted).values() if file.size > 0
    ]
    share = median(shares) if shares else 1.0
    return share if share < SPARSE_SHARE_MAX else 1.0
