"""The backups of one machine side by side: images of its disks, and of its databases.

Images that come every night make nobody ask for the database on them, whose own backup may have
stopped years ago.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from scanner.expectations import Expectations
from scanner.findings import finding_id
from scanner.judge.advice import Advice, Severity
from scanner.judge.expected.rules import restorable_until
from scanner.judge.expected.words import moment, old
from scanner.judge.names.reading import read_name
from scanner.judge.sources.model import Source, SourceKind


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine under the name people know it by, with its sources."""

    name: str
    disks: list[Source] = field(default_factory=list)
    databases: list[Source] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Newest:
    """The source with the newest of several backups, and when that was made."""

    source: Source
    at: datetime


def machine_advice(
    sources: Iterable[Source], expectations: Expectations, now: datetime, zone: tzinfo
) -> Iterator[Advice]:
    """Yield what is to be said of machines; each sentence is filed under the source that lacks."""
    oldest = now - expectations.defaults.database_age
    for key, machine in sorted(machines(sources).items()):
        for rule, severity, found in (
            ("machine.no-database", Severity.WARNING, without_database(machine, oldest, now, zone)),
            ("machine.no-image", Severity.ADVICE, without_image(machine, oldest, now, zone)),
        ):
            if found is not None:
                source, sentence = found
                name = finding_id("machine", key, "", None, rule, None)
                yield Advice(name, rule, severity, source.name, sentence)


# Which sources are of one machine


def machines(sources: Iterable[Source]) -> dict[str, Machine]:
    """Return machines by their plain name, with their sources in the order of their names."""
    ordered = sorted(sources, key=lambda one: (one.name, one.id))
    found: dict[str, Machine] = {}
    for source in ordered:
        if source.machine is not None:
            machine = found.setdefault(plain(source.machine), Machine(source.machine))
            members = machine.databases if is_database(source) else machine.disks
            members.append(source)
    with_database = {key for key, machine in found.items() if machine.databases}
    for source in ordered if with_database else ():
        key = named_by_place(source, with_database)
        if key is not None:
            found[key].disks.append(source)
    return found


def is_database(source: Source) -> bool:
    """Whether a source is a database."""
    return source.kind is SourceKind.DATABASE


def plain(machine: str) -> str:
    """Return a machine's name without its domain; an address has none."""
    label = machine.partition(".")[0]
    return (machine if label.isdigit() else label).casefold()


def named_by_place(source: Source, known: Collection[str]) -> str | None:
    """Return the machine that a disk, or a folder it lies in, is called like; the last one counts.

    ``known`` are the machines asked for, by their plain names.
    """
    if is_database(source) or source.machine is not None:
        return None
    parts = source.name.split("/")
    if parts[-1].endswith(")"):  # it may carry what tells it from another of the same name
        parts += [read_name(image.path).stem for image in source.images[-1:]]
    keys = (part.casefold() for part in reversed(parts))
    return next((key for key in keys if key in known), None)


# What one layer has, and the other lacks


def without_database(
    machine: Machine, oldest: datetime, now: datetime, zone: tzinfo
) -> tuple[Source, str] | None:
    """Images of a machine are fresh, and what can be restored of its databases is not."""
    image = newest_made(machine.disks)
    meant = [one for one in machine.databases if one.images or is_required(one)]
    if image is None or image.at < oldest or not meant:
        return None
    there = f"image backups of {machine.name} are there up to {moment(image.at, zone)}"
    newest = newest_restorable(meant)
    if newest is None:
        state = "proven to restore" if any(one.images for one in meant) else "there"
        return meant[0], f"{there}, no database backup of it is {state}"
    if newest.at >= oldest:
        return None
    return newest.source, f"{there}, the newest database backup is {old(now - newest.at)} old"


def without_image(
    machine: Machine, oldest: datetime, now: datetime, zone: tzinfo
) -> tuple[Source, str] | None:
    """Backups of its databases are fresh, and its images are not, both of them declared."""
    made = newest_made([one for one in machine.databases if one.declared is not None])
    newest = newest_restorable([one for one in machine.disks if one.declared is not None])
    # Where there is no image at all, that is said of its source.
    if made is None or made.at < oldest or newest is None or newest.at >= oldest:
        return None
    there = f"database backups of {machine.name} are there up to {moment(made.at, zone)}"
    return newest.source, f"{there}, the newest image backup is {old(now - newest.at)} old"


def is_required(source: Source) -> bool:
    """Whether a source is declared, and must be there."""
    return source.declared is not None and source.declared.required


def newest_made(sources: Sequence[Source]) -> Newest | None:
    """Return the newest backup of several sources, whatever it is worth."""
    found = [Newest(one, one.last.at) for one in sources if one.last is not None]
    return max(found, key=lambda item: item.at, default=None)


def newest_restorable(sources: Sequence[Source]) -> Newest | None:
    """Return the newest moment that any of several sources can be restored to."""
    until = ((one, restorable_until(one)) for one in sources)
    found = [Newest(one, at) for one, at in until if at is not None]
    return max(found, key=lambda item: item.at, default=None)
