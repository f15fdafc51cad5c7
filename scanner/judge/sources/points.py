"""Restore points: the time each image leads back to, and what a restore of it has to read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

from scanner.judge.model import BY_GRAMMAR, JudgedImage, Proof
from scanner.judge.names.reading import Names
from scanner.judge.paths import circles
from scanner.judge.sources.model import DatedBy, RestorePoint
from scanner.results import FileState

A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Along:
    """What adds up along the way to an image."""

    proof: Proof
    steps: int
    restore_bytes: int
    by_name: bool


def restore_points(
    images: Sequence[JudgedImage], times: Mapping[int, datetime], zone: tzinfo, names: Names
) -> dict[int, RestorePoint]:
    """Return the restore point of each image that is there, by key.

    ``times`` are better known than from the images' own rows: when a database backup ended.
    """
    added = along_the_way(images)
    return {
        image.key: point_of(
            image, added[image.key], made_at(image, times.get(image.key), zone, names)
        )
        for image in images
        if is_there(image)
    }


def is_there(image: JudgedImage) -> bool:
    """Whether any file of an image still lies in the repository."""
    return any(file.state is not FileState.GONE for file in image.files)


def point_of(image: JudgedImage, along: Along, made: tuple[datetime, DatedBy]) -> RestorePoint:
    """Return the restore point of one image."""
    at, dated_by = made
    return RestorePoint(
        image.key,
        at,
        dated_by,
        image.ruling,
        image.deciding_key,
        along.proof,
        along.steps,
        along.restore_bytes,
        along.by_name,
    )


def made_at(
    image: JudgedImage, known: datetime | None, zone: tzinfo, names: Names
) -> tuple[datetime, DatedBy]:
    """Return when an image was made, and who says so."""
    created = known or image.image.created_at
    if created is not None:
        return in_zone(created, zone), DatedBy.FORMAT
    written = written_at(max(file.mtime_ns for file in image.files))
    named = names.read(image.path).at
    if named is not None:
        return on_that_day(named, written, zone), DatedBy.NAME
    return written, DatedBy.FILE


def on_that_day(named: datetime, written: datetime, zone: tzinfo) -> datetime:
    """Return the time a name tells; where that is only a day, the file's time if it is of it."""
    at = in_zone(named, zone)
    only_a_day = named.tzinfo is None and named.time() == time.min
    return written if only_a_day and at <= written < at + A_DAY else at


def in_zone(at: datetime, zone: tzinfo) -> datetime:
    """Return a time in UTC, so that times can be compared; a local time is of the zone given.

    A time at either end of the calendar, which no other zone can hold, is taken as it stands.
    """
    local = at if at.tzinfo is not None else at.replace(tzinfo=zone)
    try:
        return local.astimezone(UTC)
    except OverflowError:
        return at.replace(tzinfo=UTC)


def written_at(mtime_ns: int) -> datetime:
    """Return a file's time of last writing; one that no calendar holds is the beginning of time."""
    try:
        return datetime.fromtimestamp(mtime_ns / 1e9, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def along_the_way(images: Sequence[JudgedImage]) -> dict[int, Along]:
    """Add up what each image needs, however long the way is: every image is met once."""
    by_key = {image.key: image for image in images}
    links = {image.key: needed_keys(image, by_key) for image in images}
    done: dict[int, Along] = {}
    for group in circles(links):
        for key in group:
            # Of images in a circle none restores; what they need of one another is left out.
            done[key] = added_up(by_key[key], [done[near] for near in links[key] if near in done])
    return done


def needed_keys(image: JudgedImage, by_key: Mapping[int, JudgedImage]) -> tuple[int, ...]:
    """Return the images that one needs directly and that are known."""
    keys = (link.image_key for link in image.parents)
    return tuple(key for key in keys if key is not None and key in by_key)


def added_up(image: JudgedImage, before: Iterable[Along]) -> Along:
    """Add an image to the ways that lead to it."""
    proof, steps = image.proof, 1
    restore_bytes = image.proof.bytes_needed or sum(file.size for file in image.files)
    by_name = any(link.by == BY_GRAMMAR for link in image.parents)
    for along in before:
        proof = weaker(proof, along.proof)
        steps += along.steps
        restore_bytes += along.restore_bytes
        by_name = by_name or along.by_name
    return Along(proof, steps, restore_bytes, by_name)


def weaker(one: Proof, other: Proof) -> Proof:
    """Return what was proven of two images together: the oldest times, all bytes."""
    needed = (one.bytes_needed, other.bytes_needed)
    since = [one.unchanged_since, other.unchanged_since]
    return Proof(
        structure_at=both(one.structure_at, other.structure_at),
        read_at=both(one.read_at, other.read_at),
        unchanged_since=None if None in since else max(time for time in since if time),
        checksums_at=both(one.checksums_at, other.checksums_at),
        bytes_vouched=one.bytes_vouched + other.bytes_vouched,
        bytes_needed=None if None in needed else sum(size or 0 for size in needed),
        content_at=both(one.content_at, other.content_at),
        restored_at=both(one.restored_at, other.restored_at),
    )


def both(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the older of two times; None if one is not known."""
    return None if one is None or other is None else min(one, other)


def path_to(key: int, images: Mapping[int, JudgedImage]) -> tuple[int, ...]:
    """Return the images to restore for one, in order; it comes last, each comes once."""
    found: dict[int, None] = {}
    waiting = [(key, False)]
    met = {key}
    while waiting:
        here, above_done = waiting.pop()
        if above_done:
            found[here] = None
            continue
        waiting.append((here, True))
        for near in reversed(needed_keys(images[here], images)):
            if near not in met:
                met.add(near)
                waiting.append((near, False))
    return tuple(found)
