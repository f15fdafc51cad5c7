"""Chains: images of one database, or linked by their first parents, in order from the root."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from scanner.judge.model import Chain, JudgedImage, Verdict
from scanner.judge.sqlserver.databases import Database, databases
from scanner.judge.sqlserver.lsn import BackupSet


def chains(judged: Sequence[JudgedImage], sets: Iterable[BackupSet]) -> Iterator[Chain]:
    """Yield the chains, in the order of the first image of each.

    SQL Server backups are one chain per database, along its log; others follow their parents.
    ``sets`` are the backup sets among all images, whatever was thought of them.
    """
    by_key = {image.key: image for image in judged}
    logged = databases(
        with_verdict(item, by_key[item.key].own.verdict) for item in sets if item.key in by_key
    )
    in_databases = {item.key for database in logged for item in database.sets}
    found = [chain_of(database, by_key) for database in logged]
    found += chains_by_parents([image for image in judged if image.key not in in_databases])
    order = {image.key: place for place, image in enumerate(judged)}
    yield from sorted(found, key=lambda chain: min(order[key] for key in chain.image_keys))


def with_verdict(item: BackupSet, verdict: Verdict) -> BackupSet:
    """Return a backup set with what is thought of it now."""
    return item if item.verdict is verdict else replace(item, verdict=verdict)


def chain_of(database: Database, by_key: Mapping[int, JudgedImage]) -> Chain:
    """Return the chain of one database."""
    verdicts = [by_key[item.key].ruling.verdict for item in database.sets]
    restorable = [
        item
        for item, verdict in zip(database.sets, verdicts, strict=True)
        if verdict <= Verdict.WEAKENED
    ]
    newest = max(restorable, key=lambda item: (item.end, item.last_lsn), default=None)
    return Chain(
        database.full_name,
        tuple(item.key for item in database.sets),
        max(verdicts),
        newest.key if newest else None,
    )


def chains_by_parents(judged: Sequence[JudgedImage]) -> Iterator[Chain]:
    """Yield chains of images that name their parents."""
    by_key = {image.key: image for image in judged}
    placed = places({image.key: first_parent(image, by_key) for image in judged})
    groups: dict[int, list[JudgedImage]] = {}
    for image in judged:
        root, _depth = placed[image.key]
        groups.setdefault(root, []).append(image)
    for root, group in groups.items():
        ordered = sorted(group, key=lambda item: (placed[item.key][1], made(item), item.path))
        yield Chain(
            by_key[root].image.source or by_key[root].path,
            tuple(item.key for item in ordered),
            max(item.ruling.verdict for item in ordered),
            newest_restorable(ordered),
        )


def newest_restorable(ordered: Sequence[JudgedImage]) -> int | None:
    """Return the newest image whose whole path is sound or weakened, of a chain in order.

    Branches of a chain grow at the same time: the last in order may be an old one.
    """
    restorable = [item for item in ordered if item.ruling.verdict <= Verdict.WEAKENED]
    newest = max(enumerate(restorable), key=lambda pair: (made(pair[1]), pair[0]), default=None)
    return newest[1].key if newest else None


def first_parent(image: JudgedImage, by_key: Mapping[int, JudgedImage]) -> int | None:
    """Return the first parent that is there, of an image that may have several."""
    return next((link.image_key for link in image.parents if link.image_key in by_key), None)


def places(parents: Mapping[int, int | None]) -> dict[int, tuple[int, int]]:
    """Return root and depth of each image; a circle counts as one root, its smallest key."""
    placed: dict[int, tuple[int, int]] = {}
    for start in parents:
        path: list[int] = []
        on_path: set[int] = set()
        key: int | None = start
        while key is not None and key not in placed and key not in on_path:
            path.append(key)
            on_path.add(key)
            key = parents[key]
        if key is not None and key not in placed:
            circle = path[path.index(key) :]
            placed.update((member, (min(circle), 0)) for member in circle)
            del path[path.index(key) :]
        for member in reversed(path):
            above = parents[member]
            root, depth = (member, -1) if above is None else placed[above]
            placed[member] = (root, depth + 1)
    return placed


def made(image: JudgedImage) -> str:
    """Return when an image was made, as sortable text; local times sort among themselves."""
    created = image.image.created_at
    return created.isoformat() if created else ""
