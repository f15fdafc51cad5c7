"""How each SQL Server backup set is reached: by log sequence number, recovery fork and GUID.

Names mean nothing here. A full stands for itself; a differential needs the full whose set GUID it
names; a log can be applied where it begins at or before the point reached and ends at or after it,
on the same recovery fork (Microsoft Learn: "Recovery Paths", RESTORE HEADERONLY). A copy-only full
starts a roll-forward as well as any, and is never the base of a differential.

Of the ways that lead to a set the best counts: the one whose worst backup is least bad, then one
that begins with a full at all, then the shortest. Sets are taken in order of their last LSN, so
that every way to a set is known before the set; each looks up a range of LSNs in a tree of minima,
which costs a logarithm however many logs there are.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import NamedTuple

from formats.core.model import Kind
from scanner.judge.model import JudgedImage, Verdict
from scanner.ledger.rows import ImageRow

USABLE = Verdict.WEAKENED
"""The worst verdict with which a backup still restores."""

LSN_DIGITS_MAX = 25  # numeric(25,0)

# BackupTypeLetter, as in msdb.dbo.backupset.type. File backups restore no database by themselves.
FULLS = frozenset({"D", "P"})
DIFFERENTIALS = frozenset({"I", "Q"})
LETTERS: Mapping[Kind, str] = {
    Kind.FULL: "D",
    Kind.DIFFERENTIAL: "I",
    Kind.INCREMENTAL: "G",
    Kind.LOG: "L",
}


@dataclass(frozen=True, slots=True)
class BackupSet:
    """What a restore must know of one backup set; ``verdict`` is its own, whatever it needs.

    ``fork`` is the recovery fork at its end. A log that goes from one fork to another begins on
    ``first_fork`` and leaves it at ``fork_point``. Times are the server's; without a zone they are
    its local time. ``number`` is its position in the file.
    """

    key: int
    kind: Kind
    letter: str
    path: str
    number: int
    server: str
    database: str
    family: str
    guid: str | None
    base_guid: str | None
    first_lsn: int
    last_lsn: int
    fork: str | None
    first_fork: str | None
    fork_point: int | None
    copy_only: bool
    bulk_logged: bool
    started: datetime | None
    finished: datetime | None
    verdict: Verdict

    @property
    def is_full(self) -> bool:
        """Whether a restore can begin with it."""
        return self.letter in FULLS

    @property
    def is_differential(self) -> bool:
        """Whether it is applied to a full."""
        return self.letter in DIFFERENTIALS

    @property
    def is_log(self) -> bool:
        """Whether it rolls forward."""
        return self.kind is Kind.LOG

    @property
    def end(self) -> float:
        """When it was finished, to be sorted by."""
        return instant(self.finished)


class Rank(NamedTuple):
    """What ways are compared by, best first; ``position`` is that of the set the way ends with."""

    worst: Verdict
    unreached: bool
    steps: int
    before: int  # the negative last LSN: the furthest state first
    position: int


@dataclass(frozen=True, slots=True)
class Way:
    """The best way to a set: the set restored before it, and the worst verdict on the way.

    ``reached`` says that the way begins with a full. Where it does not, nothing restores the set,
    and ``worst`` is at least *incomplete*.
    """

    item: BackupSet
    after: BackupSet | None
    worst: Verdict
    reached: bool
    steps: int

    @property
    def usable(self) -> bool:
        """Whether the set restores, with everything it needs."""
        return self.reached and self.worst <= USABLE


def backup_set(key: int, row: ImageRow, path: str, verdict: Verdict) -> BackupSet | None:
    """Return what a restore must know of an image; None if it is no backup set, or says too little.

    ``verdict`` is the image's own.
    """
    facts = row.facts
    first, last = lsn(facts, "FirstLSN"), lsn(facts, "LastLSN")
    if row.kind is None or "BackupSetGUID" not in facts or first is None or last is None:
        return None
    fork = text(facts, "RecoveryForkID")
    point = lsn(facts, "ForkPointLSN") if row.kind is Kind.LOG else None
    # Seen: the configuration remembers the database's last fork in every set made since. Only a
    # log in which that fork lies crosses it.
    crosses = point is not None and first <= point <= last
    server, database = text(facts, "ServerName") or "?", text(facts, "DatabaseName") or "?"
    return BackupSet(
        key=key,
        kind=row.kind,
        letter=text(facts, "BackupTypeLetter") or LETTERS[row.kind],
        path=path,
        number=position_in_file(row),
        server=server,
        database=database,
        family=text(facts, "FamilyGUID") or f"{server}/{database}",
        guid=text(facts, "BackupSetGUID"),
        base_guid=text(facts, "DifferentialBaseGUID"),
        first_lsn=first,
        last_lsn=last,
        fork=fork,
        first_fork=text(facts, "FirstRecoveryForkID") or fork if crosses else fork,
        fork_point=point if crosses else None,
        copy_only=bool(facts.get("IsCopyOnly")),
        bulk_logged=bool(facts.get("HasBulkLoggedData")),
        started=moment(facts, "BackupStartDate"),
        finished=moment(facts, "BackupFinishDate") or moment(facts, "BackupStartDate"),
        verdict=verdict,
    )


def judged_sets(images: Iterable[JudgedImage]) -> tuple[BackupSet, ...]:
    """Return the backup sets among judged images; images of other formats are passed over."""
    found = (backup_set(image.key, image.image, image.path, image.own.verdict) for image in images)
    return tuple(item for item in found if item is not None)


def lsn(facts: Mapping[str, object], name: str) -> int | None:
    """Return an LSN in SQL Server's decimal form as a number; such numbers sort as LSNs do."""
    value = str(facts.get(name) or "")
    sensible = value.isascii() and value.isdecimal() and len(value) <= LSN_DIGITS_MAX
    return int(value) if sensible else None


def text(facts: Mapping[str, object], name: str) -> str | None:
    """Return a field as text; None where it is not known."""
    value = facts.get(name)
    return str(value) if value else None


def moment(facts: Mapping[str, object], name: str) -> datetime | None:
    """Return a field as a time, which has a zone if the backup says its server's."""
    try:
        return datetime.fromisoformat(text(facts, name) or "")
    except ValueError:
        return None


def position_in_file(row: ImageRow) -> int:
    """Return what ``RESTORE ... WITH FILE =`` calls the set."""
    number = row.facts.get("Position")
    return number if isinstance(number, int) and number > 0 else row.image_index + 1


def instant(when: datetime | None) -> float:
    """Return a time as seconds, to be sorted by; a local time is taken as it stands."""
    if when is None:
        return 0.0
    return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()


def families(sets: Iterable[BackupSet]) -> list[tuple[BackupSet, ...]]:
    """Return the sets by the database they descend from, along the log.

    A database keeps its family when it is restored elsewhere, fails over or is renamed, and backups
    of one can continue those of another: which do is told by their recovery forks.
    """
    groups: dict[str, list[BackupSet]] = {}
    for item in sets:
        groups.setdefault(item.family, []).append(item)
    return [tuple(sorted(group, key=along_the_log)) for _family, group in sorted(groups.items())]


def along_the_log(item: BackupSet) -> tuple[object, ...]:
    """Return what sets are sorted by: where they end, then so that none comes before its ways."""
    return (item.last_lsn, item.is_log, item.first_lsn, item.path, item.number, item.key)


def ways(sets: Iterable[BackupSet]) -> dict[int, Way]:
    """Return the best way to each set, by key. File backups have none: they are not followed."""
    found: dict[int, Way] = {}
    for family in families(sets):
        found.update(family_ways([item for item in family if followed(item)]))
    return found


def followed(item: BackupSet) -> bool:
    """Whether a set has a place in the plans made here."""
    return item.is_full or item.is_differential or item.is_log


def family_ways(order: Sequence[BackupSet]) -> Iterator[tuple[int, Way]]:
    """Yield the best way to each set of one family, given along the log."""
    states = states_by_fork(order)
    bases = best_bases(order)
    # Copies of one log come together: none of them leads to another.
    for _extent, group in groupby(enumerate(order), key=lambda pair: extent(pair[1])):
        members = list(group)
        known = [way_to(item, order, states, bases) for _position, item in members]
        for (position, item), way in zip(members, known, strict=True):
            rank = Rank(way.worst, not way.reached, way.steps, -item.last_lsn, position)
            states[item.fork].append(rank)
            yield item.key, way


def extent(item: BackupSet) -> tuple[int, bool, int]:
    """Return which part of the log a set holds."""
    return item.last_lsn, item.is_log, item.first_lsn


def best_bases(order: Iterable[BackupSet]) -> dict[str, BackupSet]:
    """Return the full of each GUID that differentials may be based on: of copies the soundest."""
    bases: dict[str, BackupSet] = {}
    for item in order:
        if not item.is_full or item.copy_only or item.guid is None:
            continue
        known = bases.get(item.guid)
        if known is None or item.verdict < known.verdict:
            bases[item.guid] = item
    return bases


def way_to(
    item: BackupSet,
    order: Sequence[BackupSet],
    states: Mapping[str | None, "States"],
    bases: Mapping[str, BackupSet],
) -> Way:
    """Return the best way to one set."""
    if item.is_full:
        return Way(item, None, item.verdict, reached=True, steps=1)
    if item.is_differential:
        base = bases.get(item.base_guid or "")
        if base is None:
            return unreached(item)
        return Way(item, base, max(item.verdict, base.verdict), reached=True, steps=2)
    rank = best_state(item, states)
    if rank is None:
        return unreached(item)
    worst = max(item.verdict, rank.worst)
    return Way(item, order[rank.position], worst, not rank.unreached, rank.steps + 1)


def unreached(item: BackupSet) -> Way:
    """Return the way to a set that nothing leads to."""
    return Way(item, None, max(item.verdict, Verdict.INCOMPLETE), reached=False, steps=1)


def best_state(log: BackupSet, states: Mapping[str | None, "States"]) -> Rank | None:
    """Return the best state a log can be applied to.

    A log that crosses to another fork can also be applied to a state of the fork it begins on, if
    that state does not lie behind the point where they part.
    """
    ranks = [states[log.fork].best(log.first_lsn, log.last_lsn)]
    if log.fork_point is not None and log.first_fork in states:
        ranks.append(states[log.first_fork].best(log.first_lsn, log.fork_point))
    return min((rank for rank in ranks if rank is not None), default=None)


def states_by_fork(order: Iterable[BackupSet]) -> dict[str | None, "States"]:
    """Return room for the states of each recovery fork."""
    lasts: dict[str | None, list[int]] = {}
    for item in order:
        lasts.setdefault(item.fork, []).append(item.last_lsn)
    return {fork: States(known) for fork, known in lasts.items()}


class States:
    """The states of one recovery fork: where restored sets leave a database, along the log.

    All LSNs are known from the beginning, how good each state is becomes known in their order.
    """

    def __init__(self, lasts: Sequence[int]) -> None:
        self._lasts = lasts
        self._filled = 0
        # A tree of minima: node i stands for nodes 2i and 2i + 1, the leaves are its second half.
        self._tree: list[Rank | None] = [None] * (2 * len(lasts))

    def append(self, rank: Rank) -> None:
        """Add the next state along the log."""
        node = self._filled + len(self._lasts)
        self._filled += 1
        self._tree[node] = rank
        while node > 1:
            node //= 2
            known = self._tree[node]
            if known is None or rank < known:
                self._tree[node] = rank
            else:
                return

    def best(self, first: int, last: int) -> Rank | None:
        """Return the best state from LSN ``first`` to ``last``, both included."""
        low = bisect_left(self._lasts, first) + len(self._lasts)
        high = min(bisect_right(self._lasts, last), self._filled) + len(self._lasts)
        found: list[Rank | None] = []
        while low < high:
            if low % 2:
                found.append(self._tree[low])
                low += 1
            if high % 2:
                high -= 1
                found.append(self._tree[high])
            low //= 2
            high //= 2
        return min((rank for rank in found if rank is not None), default=None)
