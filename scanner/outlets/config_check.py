"""What a configuration means, in sentences a person can check, and as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from scanner.config import EXCLUDES
from scanner.expectations import (
    Defaults,
    Expectations,
    Limits,
    RepositoryExpectation,
    SourceExpectation,
)
from scanner.expectations.quantities import duration_text, size_text
from scanner.expectations.schedule import in_words
from scanner.outlets import wording

FORM = 1
"""The version of the JSON document."""


@dataclass(frozen=True, slots=True)
class RepositoryFound:
    """A declared repository, and why it is not there, if it is not."""

    declared: RepositoryExpectation
    trouble: str | None


@dataclass(frozen=True, slots=True)
class SourceFound:
    """A declared source: how many images match it, how many of those an earlier source too.

    ``images`` is None where there is no ledger. ``next_at`` is when it is backed up next, in the
    zone of the schedule.
    """

    declared: SourceExpectation
    images: int | None
    shared: int
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class Checked:
    """A configuration beside what is there. ``undeclared`` counts images of no declared source."""

    file: str | None
    looked_for: tuple[str, ...]
    expectations: Expectations
    repositories: tuple[RepositoryFound, ...]
    sources: tuple[SourceFound, ...]
    undeclared: int | None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is declared and not there."""
        missing = (
            f"repository {item.declared.path!r} is not there: {item.trouble}"
            for item in self.repositories
            if item.trouble is not None
        )
        unmatched = (
            f"nothing in the ledger matches source {item.declared.name!r}"
            for item in self.sources
            if item.images == 0
        )
        return (*missing, *unmatched)


def lines(checked: Checked) -> Iterator[str]:
    """Yield the lines for people."""
    if checked.file is None:
        places = " or ".join(repr(place) for place in checked.looked_for)
        yield f"no configuration in {places}: the defaults hold"
    else:
        yield f"configuration {checked.file!r}"
    yield from section("limits", limits_said(checked.expectations.limits))
    yield from section("defaults", defaults_said(checked.expectations.defaults))
    for repository in checked.repositories:
        name = f"repository {repository.declared.path!r}"
        yield from section(name, repository_said(repository))
    for source in checked.sources:
        yield from section(f"source {source.declared.name!r}", source_said(source, checked))
    yield ""
    if checked.sources and checked.undeclared:
        yield f"of no declared source: {wording.counted(checked.undeclared, 'image')} in the ledger"
    if checked.sources and checked.undeclared is None:
        yield "no ledger yet, so nothing is said of what matches"
    yield from (f"warning: {warning}" for warning in checked.warnings)
    yield f"no mistakes, {wording.counted(len(checked.warnings), 'warning')}"


def section(name: str, said: Iterator[str]) -> Iterator[str]:
    """Yield a name and under it what is said of it."""
    yield ""
    yield name
    yield from (f"  {line}" for line in said)


def limits_said(limits: Limits) -> Iterator[str]:
    """Yield what the limits mean."""
    if limits.jobs is None:
        yield "each device has one reader per core, a spinning disk has one"
    else:
        yield f"each device has {wording.counted(limits.jobs, 'reader')}"
    settle, age = duration_text(limits.settle), duration_text(limits.max_proof_age)
    yield f"an unfinished file is being written until {settle} after its last change, then broken"
    yield f"an unchanged file is read again after {age}"
    yield f"left out: {', '.join(map(wording.clean, (*EXCLUDES, *limits.exclude)))}"


def defaults_said(defaults: Defaults) -> Iterator[str]:
    """Yield what holds for sources that do not say."""
    if defaults.rpo is None:
        yield "the newest restorable point may have any age"
    else:
        yield fresh(defaults.rpo)
    if defaults.rto is not None:
        yield quick(defaults.rto)
    age = duration_text(defaults.database_age)
    yield f"beside image backups of a machine a database backup not older than {age} is expected"
    match defaults.undeclared:
        case "warning":
            yield "a source that nobody declared is a warning"
        case "advice":
            yield "a source that nobody declared is mentioned, and does not decide the exit code"
        case "ignore":
            yield "a source that nobody declared is not mentioned"


def repository_said(found: RepositoryFound) -> Iterator[str]:
    """Yield what a repository is to be."""
    yield "it is there" if found.trouble is None else f"it is not there: {found.trouble}"
    if found.declared.allotment is not None:
        yield f"it may take {size_text(found.declared.allotment)}"
    if found.declared.exclude:
        yield f"left out besides: {', '.join(map(wording.clean, found.declared.exclude))}"


def source_said(found: SourceFound, checked: Checked) -> Iterator[str]:
    """Yield what a source is, and what is expected of it."""
    source, expectations = found.declared, checked.expectations
    yield what_matches(source)
    if source.machine is not None:
        yield f"it belongs to machine {source.machine!r}"
    if source.expected is not None:
        yield f"it holds about {size_text(source.expected)}"
    if source.allotment is not None:
        yield f"its backups may take {size_text(source.allotment)}"
    if source.schedule is not None and found.next_at is not None:
        yield f"it is backed up {in_words(source.schedule)} (next: {local(found.next_at)})"
    rpo, rto = expectations.rpo(source), expectations.rto(source)
    if rpo is not None:
        yield fresh(rpo) + ("" if source.rpo is not None else " (default)")
    if rto is not None:
        yield quick(rto) + ("" if source.rto is not None else " (default)")
    if not source.required:
        yield "it may be absent"
    if found.images is not None:
        yield images_said(found.images, found.shared)


def what_matches(source: SourceExpectation) -> str:
    """Return which images are of a source."""
    databases = alternatives(source.database)
    files = alternatives(source.match)
    if databases and files:
        return f"backups of database {databases} in files {files}"
    return f"backups of database {databases}" if databases else f"backups in files {files}"


def images_said(images: int, shared: int) -> str:
    """Return how many images match."""
    if images == 0:
        return "nothing in the ledger matches"
    said = f"it matches {wording.counted(images, 'image')} in the ledger"
    return f"{said}, {shared:,} of them matched by a source above too" if shared else said


def alternatives(globs: Sequence[str]) -> str:
    """Return globs as a choice; not with repr(), which doubles the backslash of an instance."""
    return " or ".join(f"'{wording.clean(glob)}'" for glob in globs)


def fresh(rpo: timedelta) -> str:
    """Return what an RPO means."""
    return f"a restorable point not older than {duration_text(rpo)} is expected"


def quick(rto: timedelta) -> str:
    """Return what an RTO means."""
    return f"a restore is expected to take at most {duration_text(rto)}"


def local(at: datetime) -> str:
    """Return a moment by local time, with its distance from UTC."""
    return f"{at:%Y-%m-%d %H:%M} UTC{at:%z}"


class LimitsOut(msgspec.Struct, frozen=True, kw_only=True):
    """Limits; ``jobs`` null: one reader per core, one per spinning disk."""

    jobs: int | None
    settle_seconds: float
    max_proof_age_seconds: float
    excludes: tuple[str, ...]


class DefaultsOut(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for sources that do not say; null: nothing is expected."""

    rpo_seconds: float | None
    rto_seconds: float | None
    database_age_seconds: float
    undeclared: str


class DeclaredRepositoryOut(msgspec.Struct, frozen=True, kw_only=True):
    """A declared repository; ``trouble`` is why it is not there."""

    path: str
    there: bool
    trouble: str | None
    allotment_bytes: int | None
    excludes: tuple[str, ...]


class DeclaredSourceOut(msgspec.Struct, frozen=True, kw_only=True):
    """A declared source; RPO and RTO are what holds, ``images`` null where there is no ledger."""

    name: str
    match: tuple[str, ...]
    database: tuple[str, ...]
    machine: str | None
    expected_bytes: int | None
    allotment_bytes: int | None
    schedule: str | None
    next: datetime | None
    rpo_seconds: float | None
    rto_seconds: float | None
    required: bool
    images: int | None


class ConfigOut(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration beside what is there; with ``mistakes`` all else is null or empty."""

    v: int
    file: str | None
    mistakes: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    limits: LimitsOut | None = None
    defaults: DefaultsOut | None = None
    repositories: tuple[DeclaredRepositoryOut, ...] = ()
    sources: tuple[DeclaredSourceOut, ...] = ()
    undeclared_images: int | None = None


def mistakes_out(file: str, mistakes: Sequence[str]) -> ConfigOut:
    """Return what is wrong with a configuration, for JSON."""
    return ConfigOut(v=FORM, file=wording.encodable(file), mistakes=tuple(mistakes))


def config_out(checked: Checked) -> ConfigOut:
    """Return a configuration for JSON."""
    limits, defaults = checked.expectations.limits, checked.expectations.defaults
    return ConfigOut(
        v=FORM,
        file=None if checked.file is None else wording.encodable(checked.file),
        mistakes=(),
        warnings=checked.warnings,
        limits=LimitsOut(
            jobs=limits.jobs,
            settle_seconds=limits.settle.total_seconds(),
            max_proof_age_seconds=limits.max_proof_age.total_seconds(),
            excludes=(*EXCLUDES, *limits.exclude),
        ),
        defaults=DefaultsOut(
            rpo_seconds=seconds(defaults.rpo),
            rto_seconds=seconds(defaults.rto),
            database_age_seconds=defaults.database_age.total_seconds(),
            undeclared=defaults.undeclared,
        ),
        repositories=tuple(
            DeclaredRepositoryOut(
                path=item.declared.path,
                there=item.trouble is None,
                trouble=item.trouble,
                allotment_bytes=item.declared.allotment,
                excludes=item.declared.exclude,
            )
            for item in checked.repositories
        ),
        sources=tuple(source_out(item, checked.expectations) for item in checked.sources),
        undeclared_images=checked.undeclared,
    )


def source_out(found: SourceFound, expectations: Expectations) -> DeclaredSourceOut:
    """Return one source for JSON."""
    source = found.declared
    return DeclaredSourceOut(
        name=source.name,
        match=source.match,
        database=source.database,
        machine=source.machine,
        expected_bytes=source.expected,
        allotment_bytes=source.allotment,
        schedule=source.schedule,
        next=found.next_at,
        rpo_seconds=seconds(expectations.rpo(source)),
        rto_seconds=seconds(expectations.rto(source)),
        required=source.required,
        images=found.images,
    )


def seconds(duration: timedelta | None) -> float | None:
    """Return a duration in seconds."""
    return None if duration is None else duration.total_seconds()
