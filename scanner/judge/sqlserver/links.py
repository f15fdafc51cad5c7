"""Give SQL Server backups the parents that nothing in them names, and say what leads to none.

A log names no parent: what it continues is told by log sequence numbers, and may be one of several.
A differential names its full by GUID, of which there may be copies. The best way counts, so that a
damaged backup condemns only what cannot do without it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from formats.core.model import Bearing, Outcome
from scanner.judge.cases import Case, Shelf, synthetic
from scanner.judge.model import BY_IDENTITY, BY_LSN, ParentLink, Ruling
from scanner.judge.sqlserver.databases import Atlas, Missing, Reason
from scanner.judge.sqlserver.lsn import (
    BackupSet,
    Way,
    backup_set,
    families,
    family_ways,
    followed,
    lsn,
)
from scanner.ledger.rows import EvidenceRow

SQL_SERVER = "sqlserver_bak"
LOG_BASE = "chain.log.base"
LEFT_OVER = "chain.backup.left-over"
"""Kept longer than the full it needs, as a retention does that counts each kind for itself."""


@dataclass(frozen=True, slots=True)
class Linked:
    """The parent of one image, and evidence if it has none."""

    links: tuple[ParentLink, ...]
    missing: tuple[EvidenceRow, ...] = ()


def link_backups(
    everything: Iterable[Case], every_set: Iterable[BackupSet], shelf: Shelf
) -> Iterator[tuple[int, Linked]]:
    """Yield the parents of each log backup, and of each differential whose full is there.

    ``every_set`` are those of all images, with the verdict on each by itself.
    """
    backups = {case.key: case for case in everything if case.files[0].format == SQL_SERVER}
    sets = [item for item in every_set if item.key in backups]
    doubt = Doubt.about(backups.values(), sets)
    for family in families(sets):
        order = [item for item in family if followed(item)]
        known, atlas = dict(family_ways(order)), Atlas.of(order)
        for item in family:
            way = known.get(item.key)
            if way is None or item.is_full:
                continue
            if way.after is not None:
                yield item.key, Linked((link_to(way, way.after),))
            elif item.is_log:
                row = evidence(backups[item.key], atlas.lacking(item), doubt, shelf)
                yield item.key, Linked((ParentLink(wanted(item), None, BY_LSN),), (row,))
            elif atlas.is_older(item):
                row = left_over(backups[item.key], shelf)
                yield item.key, Linked((ParentLink(base_of(item), None, BY_IDENTITY),), (row,))


def sets_of(everything: Iterable[Case], own: Mapping[int, Ruling]) -> list[BackupSet]:
    """Return what restores must know of the backups that say enough.

    ``own`` are the rulings on each image by itself.
    """
    found = (
        backup_set(case.key, case.image, case.files[0].path, own[case.key].verdict)
        for case in everything
    )
    return [item for item in found if item is not None]


def link_to(way: Way, parent: BackupSet) -> ParentLink:
    """Return the link to the set restored before another one."""
    if way.item.is_differential:
        return ParentLink(base_of(way.item), parent.key, BY_IDENTITY)
    return ParentLink(wanted(way.item), parent.key, BY_LSN)


def base_of(item: BackupSet) -> str:
    """Say which full a differential is applied to."""
    return f"sqlserver.backup_set_guid:{item.base_guid}"


def left_over(case: Case, shelf: Shelf) -> EvidenceRow:
    """Return evidence that a backup is older than every full of its database."""
    return synthetic(
        shelf,
        case.image,
        LEFT_OVER,
        "a full backup of this database as old as this one",
        "every full backup of this database is newer",
    )


def wanted(item: BackupSet) -> str:
    """Say what a log is applied to."""
    return f"a backup of {item.server}/{item.database} that reaches LSN {item.first_lsn}"


@dataclass(frozen=True, slots=True)
class Doubt:
    """What may reach a log and cannot be told: encrypted backups, and backups of single files."""

    locked: int
    file_backups: frozenset[str]

    @classmethod
    def about(cls, backups: Iterable[Case], sets: Iterable[BackupSet]) -> "Doubt":
        """Count what is not followed."""
        return cls(
            sum(is_locked(case) for case in backups),
            frozenset(item.family for item in sets if not followed(item)),
        )

    def on(self, missing: Missing) -> str | None:
        """Say what may reach a set after all; None where nothing may.

        Where other fulls of the database can be read, those that cannot are hardly of it.
        """
        if missing.item.family in self.file_backups:
            return "backups of its single files are there and not followed"
        if self.locked and missing.reason is Reason.FULL:
            kind = "backup that does" if self.locked == 1 else "backups that do"
            return f"{self.locked} {kind} not tell of which database"
        return None


def is_locked(case: Case) -> bool:
    """Whether a backup is there, and this version cannot read what it is of."""
    silent = lsn(case.image.facts, "LastLSN") is None
    return silent and any(row.evidence.outcome is Outcome.UNSUPPORTED for row in case.evidence)


def evidence(case: Case, missing: Missing, doubt: Doubt, shelf: Shelf) -> EvidenceRow:
    """Return evidence that nothing leads to a log."""
    if missing.reason is Reason.OLDER:
        return left_over(case, shelf)
    expected = f"a backup that ends at LSN {missing.item.first_lsn} or behind it"
    row = synthetic(shelf, case.image, LOG_BASE, expected, missing.text)
    may = doubt.on(missing)
    if may is None:
        return row
    doubtful = replace(row.evidence, bearing=Bearing.DOUBTFUL, actual=f"{missing.text}; {may}")
    return replace(row, evidence=doubtful)
