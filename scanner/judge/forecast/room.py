"""How much room the backups of a source are allotted, by whom, and how much of it is left.

Three have a say, and the tightest counts: what the configuration allots to the source or to its
repository, a quota, and the size of the file system.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from scanner.expectations import Expectations
from scanner.judge.forecast.sizes import living_files, taken_by
from scanner.judge.sources.model import Source
from scanner.ledger.rows import FileRow, RepositoryRow, SpaceRow
from scanner.results import FileState

ALLOTMENT = "allotment"
QUOTA = "quota"
FILE_SYSTEM = "file system"


@dataclass(frozen=True, slots=True)
class Room:
    """What is allotted, and what may still be written now; ``by`` and ``free_by`` say by whom.

    The two may differ: an allotment of 500 GB on a file system with 10 GB left. ``over_bytes`` is
    how much more than allotted is taken already: so much must go before anything is free.
    """

    allotted_bytes: int
    free_bytes: int | None
    by: str
    free_by: str
    over_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Ground:
    """What all sources lie on; made by `ground_of`.

    ``taken_bytes`` is what known files take in each repository, ``declared_bytes`` what those of
    each declared source take, ``sharing`` how many sources lie on each file system.
    """

    repositories: Mapping[int, RepositoryRow]
    spaces: Mapping[int, SpaceRow]
    taken_bytes: Mapping[int, int]
    declared_bytes: Mapping[str, int]
    sharing: Mapping[str, int]
    expectations: Expectations
    now: datetime
    zone: tzinfo


def ground_of(
    sources: Iterable[Source],
    repositories: Sequence[RepositoryRow],
    files: Iterable[FileRow],
    spaces: Iterable[SpaceRow],
    expectations: Expectations,
    now: datetime,
    zone: tzinfo,
) -> Ground:
    """Return what all sources lie on; ``files`` are all that are known."""
    known = {row.id: row for row in repositories}
    taken: Counter[int] = Counter()
    for file in files:
        if file.state is not FileState.GONE:
            taken[file.repository_id] += taken_by(file)
    declared: Counter[str] = Counter()
    sharing: Counter[str] = Counter()
    for source in sources:
        own = living_files(source.images).values()
        if source.declared is not None:
            declared[source.declared.name] += sum(map(taken_by, own))
        numbers = {file.repository_id for file in own}
        sharing.update({known[number].filesystem for number in numbers if number in known})
    by_repository = {row.repository_id: row for row in spaces}
    return Ground(known, by_repository, taken, declared, sharing, expectations, now, zone)


def repository_of(source: Source, ground: Ground) -> int | None:
    """Return where the next backup will be written: where the newest lies.

    Of a source nobody saw yet that is known only where there is one repository.
    """
    for point in sorted(source.points, key=lambda item: (item.at, item.key), reverse=True):
        for image in source.images:
            if image.key == point.key:
                return image.files[0].repository_id
    choice = source.repository_ids or tuple(ground.repositories)
    return choice[0] if len(choice) == 1 else None


def room_for(source: Source, number: int | None, ground: Ground) -> Room | None:
    """Return the room a source's next backup has; None where nobody says.

    One declared source may be several databases; they share what is allotted to it.
    """
    said = list(room_in(number, ground))
    declared = source.declared
    if declared is not None and declared.allotment is not None:
        taken = ground.declared_bytes.get(declared.name, 0)
        said.append((declared.allotment, declared.allotment - taken, ALLOTMENT))
    return tightest(said)


Said = tuple[int, int | None, str]
"""How much is allotted, how much of it is left, and who says so."""


def room_in(number: int | None, ground: Ground) -> Iterator[Said]:
    """Yield the rooms of a repository, whatever source is meant."""
    allotment = repository_allotment(number, ground)
    if number is not None and allotment is not None:
        yield allotment, allotment - ground.taken_bytes.get(number, 0), ALLOTMENT
    space = ground.spaces.get(number) if number is not None else None
    if space is not None:
        yield from room_on(space)


def repository_allotment(number: int | None, ground: Ground) -> int | None:
    """Return what the configuration allots to a repository."""
    row = ground.repositories.get(number) if number is not None else None
    if row is None:
        return None
    every = (item for item in ground.expectations.repositories if item.path == row.path)
    return next((item.allotment for item in every if item.allotment is not None), None)


def room_on(space: SpaceRow) -> Iterator[Said]:
    """Yield the rooms that the storage itself gives."""
    if space.quota_bytes is not None:
        used = space.quota_used_bytes
        yield space.quota_bytes, None if used is None else space.quota_bytes - used, QUOTA
    yield space.total_bytes, space.available_bytes, FILE_SYSTEM


def tightest(said: Sequence[Said]) -> Room | None:
    """Return the least that is allotted, and the least that is left."""
    if not said:
        return None
    allotted, _, by = min(said, key=lambda item: item[0])
    left = [(free, name) for _, free, name in said if free is not None]
    if not left:
        return Room(allotted, None, by, by)
    free, free_by = min(left, key=lambda item: item[0])
    return Room(allotted, max(free, 0), by, free_by, max(-free, 0))
