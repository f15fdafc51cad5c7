"""What dies with a file: the restore points, and stretches of time, that cannot do without it.

A disk image dies with any image it needs, unless another copy of that one is there. A backup of a
database dies when no way leads to it any more: another full, or a differential, may save what
comes after. What does not restore today cannot die.

Each image, and each link between two, is looked at a fixed number of times.
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import NamedTuple

from formats.core.model import Identity
from scanner.judge.cases import member_path
from scanner.judge.model import BY_IDENTITY, JudgedImage, ParentLink, Verdict
from scanner.judge.sources.calendar import ordered, utc
from scanner.judge.sources.model import USABLE, RestorePoint, Source, Span, when
from scanner.judge.sources.points import in_zone, is_there
from scanner.judge.sqlserver.databases import Database, databases
from scanner.judge.sqlserver.lsn import BackupSet, Way, families, followed, judged_sets, ways
from scanner.judge.sqlserver.plans import time_ranges
from scanner.ledger.rows import FileRow


class Need(NamedTuple):
    """What an image cannot do without: one image, or any that carries one of these identities."""

    identities: tuple[Identity, ...]
    image_key: int | None


@dataclass(frozen=True, slots=True)
class Loss:
    """What one source loses; points are oldest first.

    ``points`` restore today and would not any more. ``unproven`` are not proven today, and would
    be lost as well. ``spared`` are restored with the file today and would be by another way.
    ``spans`` are the stretches of time no moment of which could be restored any more.
    ``newest`` and ``newest_left`` are the newest restorable point, today and then.
    """

    source: Source
    points: tuple[RestorePoint, ...]
    unproven: tuple[RestorePoint, ...]
    spared: tuple[RestorePoint, ...]
    spans: tuple[Span, ...]
    newest: RestorePoint | None
    newest_left: RestorePoint | None


def held_in(files: Iterable[FileRow], images: Iterable[JudgedImage]) -> frozenset[int]:
    """Return the keys of the images that lie in any of these files, wholly or in part."""
    places = {(file.repository_id, file.path) for file in files}
    return frozenset(image.key for image in images if not places.isdisjoint(places_of(image)))


def places_of(image: JudgedImage) -> Iterator[tuple[int, str]]:
    """Yield where an image lies: the files of its pieces, and the further files of each."""
    for piece, file in zip(image.pieces, image.files, strict=True):
        yield file.repository_id, file.path
        for name in piece.members:
            yield file.repository_id, member_path(file.path, name)


def dies_with(
    keys: Collection[int], images: Sequence[JudgedImage], sources: Iterable[Source], zone: tzinfo
) -> tuple[Loss, ...]:
    """Return what each source loses if these images are gone; only sources that are concerned.

    ``images`` are all that are known: what one needs may be of another source. Local times are read
    in ``zone``.
    """
    living = [image for image in images if is_there(image)]
    logged = Logged.of(keys, living)
    fate = Fate(
        lost_with(keys, living, logged, USABLE),
        lost_with(keys, living, logged, Verdict.UNPROVEN),
        following(keys, living),
    )
    return tuple(
        loss_of(source, fate, logged.spans_lost(source, zone))
        for source in sources
        if any(point.key in fate.led or point.key in fate.possible for point in source.points)
    )


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of images, by key: of those that restore, and of those that may as well.

    ``led`` are all that are restored through the lost ones today.
    """

    restorable: frozenset[int]
    possible: frozenset[int]
    led: frozenset[int]


def loss_of(source: Source, fate: Fate, spans: tuple[Span, ...]) -> Loss:
    """Return what one source loses."""
    points = ordered(source.points)
    unproven = [point for point in points if point.ruling.verdict is Verdict.UNPROVEN]
    usable = [point for point in points if point.usable]
    left = [point for point in usable if point.key not in fate.restorable]
    return Loss(
        source,
        tuple(point for point in usable if point.key in fate.restorable),
        tuple(point for point in unproven if point.key in fate.possible),
        tuple(point for point in left if point.key in fate.led),
        spans,
        source.newest,
        max(left, key=when, default=None),
    )


def following(keys: Collection[int], living: Iterable[JudgedImage]) -> frozenset[int]:
    """Return these images and all that are restored through them today."""
    children: dict[int, list[int]] = {}
    for image in living:
        for link in image.parents:
            if link.image_key is not None:
                children.setdefault(link.image_key, []).append(image.key)
    found = set(keys)
    waiting = list(keys)
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in found:
                found.add(child)
                waiting.append(child)
    return frozenset(found)


def lost_with(
    keys: Collection[int], living: Sequence[JudgedImage], logged: "Logged", limit: Verdict
) -> frozenset[int]:
    """Return what is lost, of the images whose verdict is no worse than ``limit`` today."""
    alive = {image.key for image in living if image.ruling.verdict <= limit}
    by_ways = {key for key in alive if key in logged.today and leads(logged.today[key], limit)}
    fallen = {key for key in by_ways if not leads(logged.then[key], limit)}
    known = [image for image in living if image.key in alive]
    needs = Needs.of([image for image in known if image.key not in by_ways], known)
    return spread(alive.intersection(keys) | fallen, needs)


# Databases


@dataclass(frozen=True, slots=True)
class Logged:
    """The databases that are concerned, and the ways to their backup sets, today and then."""

    databases: tuple[Database, ...]
    today: Mapping[int, Way]
    then: Mapping[int, Way]

    @classmethod
    def of(cls, keys: Collection[int], living: Sequence[JudgedImage]) -> "Logged":
        """Find the ways with some images, and without them."""
        concerned = concerned_sets(keys, living)
        then = ways(damaged(item) if item.key in keys else item for item in concerned)
        return cls(databases(concerned), ways(concerned), then)

    def spans_lost(self, source: Source, zone: tzinfo) -> tuple[Span, ...]:
        """Return the stretches of time a source loses; of a disk only points are."""
        own = {point.key for point in source.points}
        return tuple(
            span
            for database in self.databases
            if any(item.key in own for item in database.sets)
            for span in without(
                spans_by(database, self.today, zone), spans_by(database, self.then, zone)
            )
        )


def concerned_sets(keys: Collection[int], living: Sequence[JudgedImage]) -> tuple[BackupSet, ...]:
    """Return the backup sets of the families to which any of the images belongs."""
    return tuple(
        item
        for family in families(judged_sets(living))
        if any(item.key in keys and followed(item) for item in family)
        for item in family
    )


def damaged(item: BackupSet) -> BackupSet:
    """Return a set as it is when nothing of it can be read."""
    return replace(item, verdict=Verdict.DAMAGED)


def leads(way: Way, limit: Verdict) -> bool:
    """Whether a way leads to its set over none that is worse than a verdict."""
    return way.reached and way.worst <= limit


# Images that need others


@dataclass(frozen=True, slots=True)
class Needs:
    """Who has each need, and which images serve it."""

    dependents: Mapping[Need, Sequence[int]]
    serving: Mapping[Need, frozenset[int]]

    @classmethod
    def of(cls, images: Iterable[JudgedImage], everything: Sequence[JudgedImage]) -> "Needs":
        """Collect the needs of some images, which any of ``everything`` may serve."""
        by_key = {image.key: image for image in everything}
        dependents: dict[Need, list[int]] = {}
        for image in images:
            for link in image.parents:
                if link.image_key is not None:
                    need = need_of(image, link, by_key.get(link.image_key))
                    dependents.setdefault(need, []).append(image.key)
        by_identity: dict[Identity, list[int]] = {}
        for image in everything:
            for identity in image.image.identities:
                by_identity.setdefault(identity, []).append(image.key)
        return cls(dependents, {need: serving(need, by_identity) for need in dependents})


def need_of(image: JudgedImage, link: ParentLink, parent: JudgedImage | None) -> Need:
    """Return what an image needs by one link; the same for all that the same copies serve.

    Copies are told by identity alone: of two files of one name either may be another image. An
    image that calls itself as its parent is called would serve itself: it keeps to its parent.
    """
    if link.by == BY_IDENTITY and parent is not None:
        for wanted in image.image.parents:
            known = wanted.identities and str(wanted.identities[0]) == link.wanted
            shared = not set(wanted.identities).isdisjoint(parent.image.identities)
            itself = not set(wanted.identities).isdisjoint(image.image.identities)
            if known and shared and not itself:
                return Need(wanted.identities, None)
    return Need((), link.image_key)


def serving(need: Need, by_identity: Mapping[Identity, Sequence[int]]) -> frozenset[int]:
    """Return the images of which any one serves a need."""
    if need.image_key is not None:
        return frozenset({need.image_key})
    return frozenset(key for item in need.identities for key in by_identity.get(item, ()))


def spread(first: Collection[int], needs: Needs) -> frozenset[int]:
    """Return what is lost with the first: an image is when nothing serves one of its needs."""
    served: dict[int, list[Need]] = {}
    for need, keys in needs.serving.items():
        for key in keys:
            served.setdefault(key, []).append(need)
    left = {need: len(keys) for need, keys in needs.serving.items()}
    lost = set(first)
    waiting = deque(first)
    while waiting:
        for need in served.get(waiting.popleft(), ()):
            left[need] -= 1
            fallen = [] if left[need] else [x for x in needs.dependents[need] if x not in lost]
            lost.update(fallen)
            waiting.extend(fallen)
    return frozenset(lost)


# Stretches of time


def spans_by(database: Database, known: Mapping[int, Way], zone: tzinfo) -> tuple[Span, ...]:
    """Return the stretches of time a database can go back to by certain ways, oldest first."""
    found = (
        Span(utc(in_zone(item.begin, zone)), utc(in_zone(item.end, zone)))
        for item in time_ranges(database, known)
    )
    return tuple(sorted(found, key=lambda span: (span.begin, span.end)))


def without(spans: Sequence[Span], others: Sequence[Span]) -> Iterator[Span]:
    """Yield what of some spans lies in none of the others, leaving out single points.

    Both are given oldest first, and none overlaps the next.
    """
    position = 0
    for span in spans:
        while position < len(others) and others[position].end <= span.begin:
            position += 1
        begin = span.begin
        index = position
        while index < len(others) and others[index].begin < span.end:
            yield from stretch(begin, others[index].begin)
            begin = max(begin, others[index].end)
            index += 1
        yield from stretch(begin, span.end)


def stretch(begin: datetime, end: datetime) -> Iterator[Span]:
    """Yield a span, if it has a length."""
    if begin < end:
        yield Span(begin, end)
