"""Which images are backups of the same thing: a database, or a disk of a machine.

A database is known by what its backups say. A disk image rarely says what it is of: images that
need one another are of one disk, and so are images of one format in one folder whose names differ
only in date, kind and number. To split one disk in two is the lesser evil: two disks taken for one
would hide that one of them has no backup. What the configuration declares goes first.
"""

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from typing import NamedTuple, TypeAlias

from scanner.expectations import Expectations, SourceExpectation
from scanner.expectations.matching import Matcher, matcher
from scanner.findings import finding_id
from scanner.judge.model import JudgedImage
from scanner.judge.names.reading import UNNAMED, Names
from scanner.judge.sources.model import Measure, RestorePoint, Source, SourceKind, Span, total, when
from scanner.judge.sources.points import in_zone, is_there, on_that_day, restore_points, written_at
from scanner.judge.sqlserver.databases import Database, databases
from scanner.judge.sqlserver.lsn import judged_sets, ways
from scanner.judge.sqlserver.plans import time_ranges
from scanner.ledger.rows import FileRow, HistoryRow, RepositoryRow
from scanner.results import FileState

Key: TypeAlias = tuple[str, ...]
"""What images of one source have in common: its kind first."""

DATABASE = "database"
DISK = "disk"
DECLARED = "declared"


@dataclass(frozen=True, slots=True)
class Matter:
    """Everything sources are found in. Local times are read in ``zone``.

    ``names`` is what the files' names say, as far as anybody asked.
    """

    repositories: Sequence[RepositoryRow]
    files: Sequence[FileRow]
    images: Sequence[JudgedImage]
    history: Sequence[HistoryRow]
    expectations: Expectations
    zone: tzinfo
    names: Names = field(default_factory=Names)


@dataclass
class Draft:
    """A source while it is put together."""

    key: Key
    images: list[JudgedImage]
    history: list[HistoryRow]
    database: Database | None = None
    declared: SourceExpectation | None = None
    name: str | None = None


def sources(matter: Matter, logged: Sequence[Database] | None = None) -> tuple[Source, ...]:
    """Return every source, by name; those whose backups are all gone, and those never seen, too.

    ``logged`` are the databases of the images that are there, where they were grouped already.
    """
    living = [image for image in matter.images if is_there(image) and not hidden(image.path)]
    if logged is None:
        logged = databases(judged_sets(image for image in matter.images if is_there(image)))
    in_databases = {item.key for database in logged for item in database.sets}
    places = {
        image.key: disk_key(image, matter.names)
        for image in living
        if image.key not in in_databases
    }
    keys = joined(living, logged, places)
    drafts = drafted(living, keys, logged)
    add_history(drafts, matter, keys, logged, places)
    declared = tuple(declare(drafts, matter))
    points = restore_points(matter.images, finished(logged), matter.zone, matter.names)
    spans = {database.full_name: spans_of(database, matter.zone) for database in logged}
    found = [source_of(draft, points, spans, matter) for draft in declared]
    return tuple(sorted(told_apart(found), key=lambda item: (item.name, item.id)))


def hidden(path: str) -> bool:
    """Whether a file lies in a hidden folder: chunks of a store, no backup of anything alone."""
    dotted = path.startswith(".") or "/." in path
    return dotted and any(part.startswith(".") for part in path.split("/")[:-1])


def finished(logged: Iterable[Database]) -> dict[int, datetime]:
    """Return when each database backup ended, by image key."""
    return {
        item.key: item.finished
        for database in logged
        for item in database.sets
        if item.finished is not None
    }


def spans_of(database: Database, zone: tzinfo) -> tuple[Span, ...]:
    """Return the stretches of time a database can go back to."""
    found = time_ranges(database, ways(database.family))
    return tuple(Span(in_zone(item.begin, zone), in_zone(item.end, zone)) for item in found)


# Which images belong together


def joined(
    living: Sequence[JudgedImage], logged: Sequence[Database], places: Mapping[int, Key]
) -> dict[int, Key]:
    """Return the key of each image's source: its database's, or that of its chain.

    ``places`` are the keys that names give, by image.
    """
    keys: dict[int, Key] = {
        item.key: database_key(database) for database in logged for item in database.sets
    }
    own = {number: place for number, place in places.items() if number not in keys}
    owner = {key: key for key in own.values()}
    for image in living:
        for link in image.parents:
            if image.key in own and link.image_key in own:
                join(owner, own[link.image_key], own[image.key])
    return keys | {number: root(owner, key) for number, key in own.items()}


def database_key(database: Database) -> Key:
    """Return what images of one database have in common."""
    return (DATABASE, database.sets[0].family, database.full_name)


def disk_key(image: JudgedImage, names: Names) -> Key:
    """Return what images of one disk have in common, as far as names tell."""
    file = image.files[0]
    return place_key(file.repository_id, file.path, file.format, names)


def place_key(repository_id: int, path: str, format_name: str | None, names: Names) -> Key:
    """Return the key of a disk image by where it lies and what it is called."""
    reading = names.read(path)
    return (DISK, str(repository_id), reading.home, reading.stem, format_name or "")


def join(owner: dict[Key, Key], one: Key, other: Key) -> None:
    """Make two keys one; the smaller speaks for both, so that the order changes nothing."""
    first, second = sorted((root(owner, one), root(owner, other)))
    owner[second] = first


def root(owner: dict[Key, Key], key: Key) -> Key:
    """Return the key that speaks for another."""
    while owner[key] != key:
        owner[key] = owner[owner[key]]
        key = owner[key]
    return key


def drafted(
    living: Sequence[JudgedImage], keys: Mapping[int, Key], logged: Sequence[Database]
) -> dict[Key, Draft]:
    """Group images by their source."""
    by_name: dict[Key, Database] = {database_key(item): item for item in logged}
    drafts: dict[Key, Draft] = {}
    for image in living:
        key = keys[image.key]
        drafts.setdefault(key, Draft(key, [], [], by_name.get(key))).images.append(image)
    return drafts


def add_history(
    drafts: dict[Key, Draft],
    matter: Matter,
    keys: Mapping[int, Key],
    logged: Sequence[Database],
    places: Mapping[int, Key],
) -> None:
    """Give every source what its images measured, also those that are gone.

    A source of which nothing is left is one of its own.
    """
    by_source = {
        f"{server}/{name}": database_key(database)
        for database in logged
        for server in database.servers
        for name in database.names
    }
    by_place = {
        places[image.key]: keys[image.key]
        for draft in drafts.values()
        for image in draft.images
        if draft.database is None
    }
    by_file = {
        (file.repository_id, file.path, piece.image_index): keys[image.key]
        for draft in drafts.values()
        for image in draft.images
        for piece, file in zip(image.pieces, image.files, strict=True)
    }
    there = {
        (file.repository_id, file.path) for file in matter.files if file.state is not FileState.GONE
    }
    for row in matter.history:
        if hidden(row.path):
            continue
        key = by_file.get((row.repository_id, row.path, row.image_index))
        if row.source is not None:
            key = by_source.get(row.source) or key or (DATABASE, "", row.source)
        elif key is None:
            place = place_key(row.repository_id, row.path, row.format, matter.names)
            key = by_place.get(place, place)
        if key not in drafts and (row.repository_id, row.path) in there:
            continue  # the file is part of another image now
        drafts.setdefault(key, Draft(key, [], [])).history.append(row)


# What the configuration says


def declare(drafts: Mapping[Key, Draft], matter: Matter) -> Iterator[Draft]:
    """Yield the drafts with what is declared of them.

    Disk images that one declared source claims are put together: it says that they are of one
    disk. Databases stay what they are, as each needs a restore point of its own. A declared source
    of which nothing was ever seen is an empty one.
    """
    roots = {row.id: row.path for row in matter.repositories}
    questions = [(item, matcher(item)) for item in declared(matter)]
    claimed: dict[str, list[Draft]] = {item.name: [] for item in declared(matter)}
    for _key, draft in sorted(drafts.items()):
        item = claimant(draft, questions, roots)
        if item is None:
            yield draft
        else:
            claimed[item.name].append(draft)
    for item in declared(matter):
        yield from put_together(item, claimed[item.name])


def put_together(item: SourceExpectation, drafts: Sequence[Draft]) -> Iterator[Draft]:
    """Yield the sources one declaration is about."""
    logged = [draft for draft in drafts if draft.key[0] == DATABASE]
    disks = [draft for draft in drafts if draft.key[0] != DATABASE]
    alone = len(logged) + bool(disks) == 1
    for draft in logged:
        yield replace(draft, declared=item, name=item.name if alone else None)
    if disks or not logged:
        images = [image for draft in disks for image in draft.images]
        history = [row for draft in disks for row in draft.history]
        yield Draft((DECLARED, item.name), images, history, None, item, item.name)


def declared(matter: Matter) -> Sequence[SourceExpectation]:
    """Return the sources the configuration names."""
    return matter.expectations.sources


def claimant(
    draft: Draft,
    questions: Sequence[tuple[SourceExpectation, Matcher]],
    roots: Mapping[int, str],
) -> SourceExpectation | None:
    """Return the declared source that these images are of: the first that claims any of them."""
    name = draft.key[-1] if draft.key[0] == DATABASE else None
    rows = [(image.files[0].repository_id, image.path) for image in draft.images]
    rows = rows or [(row.repository_id, row.path) for row in draft.history]
    places = [(path, roots.get(number, "")) for number, path in rows]
    for item, is_of in questions:
        if any(is_of(path, root, name) for path, root in places):
            return item
    return None


# Putting together


def source_of(
    draft: Draft,
    points: Mapping[int, RestorePoint],
    spans: Mapping[str, tuple[Span, ...]],
    matter: Matter,
) -> Source:
    """Return the source of a draft."""
    own = sorted((points[image.key] for image in draft.images), key=when)
    order = {point.key: place for place, point in enumerate(own)}
    images = sorted(draft.images, key=lambda image: order[image.key])
    numbers = {image.files[0].repository_id for image in images}
    numbers |= {row.repository_id for row in draft.history}
    known = spans.get(draft.database.full_name) if draft.database else None
    return Source(
        id=source_id(draft, matter),
        name=draft.name or name_of(draft, {row.id: row.path for row in matter.repositories}),
        kind=kind_of(draft),
        machine=machine_of(draft),
        declared=draft.declared,
        repository_ids=tuple(sorted(numbers)),
        images=tuple(images),
        points=tuple(own),
        spans=known if known is not None else single(own),
        history=measures(draft, points, matter),
        database=None if draft.database is None else draft.database.full_name,
    )


def single(points: Iterable[RestorePoint]) -> tuple[Span, ...]:
    """Return the moments of points that restore, as spans."""
    return tuple(Span(point.at, point.at) for point in points if point.usable)


def source_id(draft: Draft, matter: Matter) -> str:
    """Return what a source is called in every run, whatever the ledger's numbers are."""
    parts = list(draft.key)
    if draft.key[0] == DISK:
        places = {str(row.id): f"{row.filesystem}\0{row.root}" for row in matter.repositories}
        parts[1] = places.get(parts[1], "")
    return finding_id("source", "\0".join(parts), "", None, "source", None)


def name_of(draft: Draft, roots: Mapping[int, str]) -> str:
    """Return what people call a source: its database, or folder and name of its images."""
    if draft.key[0] == DATABASE:
        return draft.key[-1]
    _kind, number, folder, stem, _format = draft.key
    if stem == UNNAMED:
        return posixpath.basename(roots.get(int(number), "")) or "/"
    return posixpath.join(folder, stem)


def kind_of(draft: Draft) -> SourceKind:
    """Return what was backed up; a declared source nothing was seen of is what it is called."""
    declared = draft.declared
    wanted = declared is not None and bool(declared.database) and not draft.images
    named = draft.key[0] == DATABASE or draft.database is not None or wanted
    return SourceKind.DATABASE if named else SourceKind.DISK


def machine_of(draft: Draft) -> str | None:
    """Return the machine a source is of, where it is declared or the backups say it."""
    if draft.declared is not None and draft.declared.machine is not None:
        return draft.declared.machine
    if draft.database is not None:
        # A named instance is SERVER\INSTANCE: the machine is the part before the backslash.
        return draft.database.server.partition("\\")[0]
    return None


def told_apart(found: Sequence[Source]) -> Iterator[Source]:
    """Yield sources under names of their own: where two share one, what differs is added."""
    alike: dict[str, list[Source]] = {}
    for item in found:
        alike.setdefault(item.name, []).append(item)
    for name, group in alike.items():
        formats = {format_of(item) for item in group}
        for item in group:
            if len(group) == 1:
                yield item
            elif len(formats) == len(group):
                yield replace(item, name=f"{name} ({format_of(item)})")
            else:
                numbers = ", ".join(map(str, item.repository_ids))
                yield replace(item, name=f"{name} ({format_of(item)}, repository {numbers})")


def format_of(source: Source) -> str:
    """Return the format of a source's images."""
    return (source.images[0].files[0].format if source.images else None) or "no image left"


def measures(
    draft: Draft, points: Mapping[int, RestorePoint], matter: Matter
) -> tuple[Measure, ...]:
    """Return what a source's images measured, oldest first; the last reading of each counts."""
    living = {
        (file.repository_id, file.path, piece.image_index): image.key
        for image in draft.images
        for piece, file in zip(image.pieces, image.files, strict=True)
    }
    newest: dict[tuple[object, ...], Dated] = {}
    for row in draft.history:
        at = made_at_row(row, matter)
        # Another time of making at the same place is another backup, written over the first.
        newest[row.repository_id, row.path, row.image_index, at] = Dated(at, row)
    found = (measure_of(rows, living, points) for rows in whole_images(newest.values()))
    return tuple(sorted(found, key=lambda item: (item.at, item.path)))


class Dated(NamedTuple):
    """What was measured of one piece, and when its image was made."""

    at: datetime
    row: HistoryRow


def whole_images(rows: Iterable[Dated]) -> Iterator[list[Dated]]:
    """Yield the rows of each image: one, or one for each piece; of copies each for itself."""
    groups: dict[tuple[object, ...], list[Dated]] = {}
    for dated in rows:
        row = dated.row
        if row.piece_number is None:
            yield [dated]
            continue
        sign = (row.repository_id, row.image_index, row.kind, row.created_at, row.piece_count)
        copy = 0
        while any(
            one.row.piece_number == row.piece_number for one in groups.get((*sign, copy), ())
        ):
            copy += 1
        groups.setdefault((*sign, copy), []).append(dated)
    yield from groups.values()


def measure_of(
    pieces: Sequence[Dated],
    living: Mapping[tuple[int, str, int], int],
    points: Mapping[int, RestorePoint],
) -> Measure:
    """Return what all pieces of one image measured together."""
    at, first = pieces[0]
    if len(pieces) > 1:
        at, first = min(pieces, key=lambda one: (one.row.piece_number or 0, one.row.path))
    rows = [piece.row for piece in pieces]
    places = [(row.repository_id, row.path, row.image_index) for row in rows]
    keys = [key for place in places if (key := living.get(place)) is not None]
    point = points.get(keys[0]) if keys else None
    # An older state of a file that was written over is not the image that is there now.
    same = point is not None and abs((point.at - at).total_seconds()) < SAME_SECONDS
    return Measure(
        at,
        first.path,
        keys[0] if same else None,
        first.kind,
        first.source_bytes,
        first.used_bytes,
        total(row.payload_bytes for row in rows),
        total(row.nonzero_bytes for row in rows),
        sum(row.file_bytes for row in rows),
        len(rows) >= (first.piece_count or 1) and all(map(is_whole, rows)),
    )


def is_whole(row: HistoryRow) -> bool:
    """Whether nothing of a piece was missing when it was read."""
    return row.complete and (row.needed_bytes is None or row.file_bytes >= row.needed_bytes)


def made_at_row(row: HistoryRow, matter: Matter) -> datetime:
    """Return when an image of the past was made."""
    if row.created_at is not None:
        return in_zone(row.created_at, matter.zone)
    written = written_at(row.mtime_ns)
    named = matter.names.read(row.path).at
    return written if named is None else on_that_day(named, written, matter.zone)


SAME_SECONDS = 86_400
"""A database backup is dated by its end, its measure by its beginning."""
