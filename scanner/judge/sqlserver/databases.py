"""Which backup sets are of the same database, and what each of them lacks.

A database is known by its server and name; both change. Replicas of an availability group are
backed up on whichever server it is, a renamed database goes on under its new name: backups on one
recovery fork that share server or name are of one database. A copy restored elsewhere starts a fork
of its own.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from scanner.judge.sqlserver.lsn import USABLE, BackupSet, Way, families, followed


@dataclass(frozen=True, slots=True)
class Database:
    """One database: its own sets, and all of its family that a restore may use, along the log.

    ``server`` and ``name`` are those of the newest set, ``servers`` and ``names`` all there were.
    """

    server: str
    name: str
    servers: tuple[str, ...]
    names: tuple[str, ...]
    sets: tuple[BackupSet, ...]
    family: tuple[BackupSet, ...]

    @property
    def full_name(self) -> str:
        """Server and name as every outlet spells them."""
        return f"{self.server}/{self.name}"


class Reason(StrEnum):
    """Why nothing can be restored from a set on."""

    BASE = "base-missing"  # a differential whose full is not there
    FULL = "full-missing"  # no full of this database at all
    OLDER = "older-than-every-full"  # left over: the full it belonged to is not there
    GAP = "log-missing"  # log between an earlier set and this one is in no backup
    FORK = "other-fork"  # what reaches it lies on another recovery fork
    UNUSABLE = "unusable"  # the set itself is damaged, incomplete or not proven


@dataclass(frozen=True, slots=True)
class Missing:
    """From ``item`` on nothing restores, until a later full. ``after`` is the set before it."""

    item: BackupSet
    reason: Reason
    after: BackupSet | None = None

    @property
    def text(self) -> str:
        """What is there instead of what the set needs."""
        match self.reason:
            case Reason.BASE:
                return "the full backup it is based on is not there"
            case Reason.FULL:
                return "no full backup of this database"
            case Reason.OLDER:
                return "every full backup of this database is newer"
            case Reason.GAP:
                assert self.after is not None
                return f"no log from LSN {self.after.last_lsn} on, where {self.after.path!r} ends"
            case Reason.FORK:
                return "only backups on another recovery fork"
            case Reason.UNUSABLE:
                return f"it is {self.item.verdict.word} itself"


def databases(sets: Iterable[BackupSet]) -> tuple[Database, ...]:
    """Group backup sets by database, sorted by name."""
    found: list[Database] = []
    for family in families(sets):
        usable = tuple(item for item in family if followed(item))
        by_owner: dict[tuple[str, str], list[BackupSet]] = {}
        owners = joined_owners(family)
        for item in family:
            by_owner.setdefault(owners[item.server, item.database], []).append(item)
        found.extend(database(group, usable) for group in by_owner.values())
    return tuple(sorted(found, key=lambda item: (item.full_name, item.sets[0].family)))


def database(sets: Sequence[BackupSet], family: tuple[BackupSet, ...]) -> Database:
    """Return one database, called as it was last."""
    newest = max(sets, key=lambda item: (item.end, item.last_lsn, item.server, item.database))
    return Database(
        newest.server,
        newest.database,
        tuple(sorted({item.server for item in sets})),
        tuple(sorted({item.database for item in sets})),
        tuple(sets),
        family,
    )


def joined_owners(sets: Iterable[BackupSet]) -> dict[tuple[str, str], tuple[str, str]]:
    """Map each server and name to the one that speaks for all that are the same database."""
    owner: dict[tuple[str, str], tuple[str, str]] = {}
    met: dict[tuple[object, ...], tuple[str, str]] = {}
    # Most sets of a family say the same of these as the one before.
    for fork, server, name in dict.fromkeys((i.fork, i.server, i.database) for i in sets):
        here = (server, name)
        owner.setdefault(here, here)
        for sign in ((fork, "server", server), (fork, "name", name)):
            join(owner, met.setdefault(sign, here), here)
    return {here: root(owner, here) for here in owner}


def join(
    owner: dict[tuple[str, str], tuple[str, str]], one: tuple[str, str], other: tuple[str, str]
) -> None:
    """Let two be the same; the one that sorts first speaks for both."""
    first, second = sorted((root(owner, one), root(owner, other)))
    owner[second] = first


def root(owner: dict[tuple[str, str], tuple[str, str]], here: tuple[str, str]) -> tuple[str, str]:
    """Return who speaks for a server and name."""
    while owner[here] != here:
        owner[here] = owner[owner[here]]
        here = owner[here]
    return here


def causes(database: Database, known: Mapping[int, Way]) -> tuple[Missing, ...]:
    """Return the sets from which on nothing restores, along the log; not those that only follow."""
    atlas = Atlas.of(database.family)
    found = []
    for item in database.sets:
        way = known.get(item.key)
        if way is None:
            continue
        if not way.reached and way.after is None:
            found.append(atlas.lacking(item))
        elif item.verdict > USABLE:
            found.append(Missing(item, Reason.UNUSABLE, way.after))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Atlas:
    """Where the sets of one family end, by recovery fork, and where its first full does."""

    by_fork: Mapping[str | None, Sequence[BackupSet]]
    everywhere: Sequence[BackupSet]
    first_full: int | None

    @classmethod
    def of(cls, family: Sequence[BackupSet]) -> "Atlas":
        """Index a family, given along the log."""
        by_fork: dict[str | None, list[BackupSet]] = {}
        for item in family:
            by_fork.setdefault(item.fork, []).append(item)
        fulls = [item.last_lsn for item in family if item.is_full]
        return cls(by_fork, family, min(fulls, default=None))

    def is_older(self, item: BackupSet) -> bool:
        """Whether a set ends before every full of the family."""
        return self.first_full is not None and item.last_lsn < self.first_full

    def lacking(self, item: BackupSet) -> Missing:
        """Say why nothing leads to a set."""
        if item.is_differential:
            return Missing(item, Reason.OLDER if self.is_older(item) else Reason.BASE)
        if self.first_full is None:
            return Missing(item, Reason.FULL)
        if self.is_older(item):
            return Missing(item, Reason.OLDER)
        before = [
            found
            for fork in {item.fork, item.first_fork}
            if (found := last_before(self.by_fork.get(fork, ()), item.first_lsn)) is not None
        ]
        if before:
            after = max(before, key=lambda found: (found.last_lsn, found.path))
            return Missing(item, Reason.GAP, after)
        return Missing(item, Reason.FORK)


def last_before(sets: Sequence[BackupSet], lsn: int) -> BackupSet | None:
    """Return the last set that ends before an LSN; ``sets`` come along the log."""
    index = bisect_left(sets, lsn, key=lambda item: item.last_lsn)
    return sets[index - 1] if index else None
