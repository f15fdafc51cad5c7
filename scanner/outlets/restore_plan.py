"""Say how a database is restored: for people, as T-SQL, and as JSON."""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from scanner.judge.model import JudgedImage
from scanner.judge.sqlserver.databases import Database, Missing
from scanner.judge.sqlserver.lsn import BackupSet
from scanner.judge.sqlserver.plans import Plan, TimeRange
from scanner.ledger.rows import RepositoryRow
from scanner.outlets import wording
from scanner.results import FileState

SETS_SHOWN_MAX = 40
MISSING_SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class PlanReport:
    """All there is to say of one database. ``plan`` None: nothing restores, or not to ``at``."""

    database: Database
    at: datetime | None
    plan: Plan | None
    newest: Plan | None
    ranges: tuple[TimeRange, ...]
    missing: tuple[Missing, ...]
    images: Mapping[int, JudgedImage]
    repositories: Mapping[int, RepositoryRow]
    now: datetime

    def paths(self, item: BackupSet) -> list[str]:
        """Return the absolute paths of a set's files, one per stripe."""
        files = self.images[item.key].files
        return [posixpath.join(self.repositories[f.repository_id].path, f.path) for f in files]

    def lacking(self, missing: Missing) -> str:
        """Say why nothing can be restored from a set on; of a file that is gone, just that."""
        files = self.images[missing.item.key].files
        gone = any(file.state is FileState.GONE for file in files)
        return "its file is not there any more" if gone else missing.text

    def names(self, item: BackupSet) -> str:
        """Return the quoted paths of a set's files."""
        return ", ".join(map(repr, self.paths(item)))


class StepOut(msgspec.Struct, frozen=True, kw_only=True):
    """One backup set to restore: its files (one per stripe) and its position in them."""

    kind: str
    files: tuple[str, ...]
    set: int
    backup_set_guid: str | None
    first_lsn: str
    last_lsn: str
    started: datetime | None
    finished: datetime | None
    verdict: str
    proof: str


class RangeOut(msgspec.Struct, frozen=True, kw_only=True):
    """Any time from ``begin`` to ``end`` can be restored; a time without offset is the server's."""

    begin: datetime
    end: datetime
    files: tuple[str, ...]


class MissingOut(msgspec.Struct, frozen=True, kw_only=True):
    """From this backup on nothing restores until a later full; ``after`` is the one before it."""

    reason: str
    text: str
    kind: str
    files: tuple[str, ...]
    set: int
    first_lsn: str
    since: datetime | None
    until: datetime | None
    after: tuple[str, ...]


class PlanOut(msgspec.Struct, frozen=True, kw_only=True):
    """The plan of one database. ``complete`` says that ``steps`` restore what was asked for."""

    v: int
    database: str
    servers: tuple[str, ...]
    at: datetime | None
    complete: bool
    reached: datetime | None
    steps: tuple[StepOut, ...]
    ranges: tuple[RangeOut, ...]
    missing: tuple[MissingOut, ...]


def plan_out(report: PlanReport) -> PlanOut:
    """Return a plan for JSON."""
    plan = report.plan
    return PlanOut(
        v=1,
        database=wording.encodable(report.database.full_name),
        servers=tuple(map(wording.encodable, report.database.servers)),
        at=report.at,
        complete=plan is not None,
        reached=None if plan is None else plan.reached,
        steps=() if plan is None else tuple(step_out(report, item) for item in plan.steps),
        ranges=tuple(
            RangeOut(
                begin=item.begin,
                end=item.end,
                files=tuple(path for one in item.sets for path in encodable_paths(report, one)),
            )
            for item in report.ranges
        ),
        missing=tuple(missing_out(report, item) for item in report.missing),
    )


def step_out(report: PlanReport, item: BackupSet) -> StepOut:
    """Return one step for JSON."""
    image = report.images[item.key]
    return StepOut(
        kind=item.kind,
        files=encodable_paths(report, item),
        set=item.number,
        backup_set_guid=item.guid,
        first_lsn=str(item.first_lsn),
        last_lsn=str(item.last_lsn),
        started=item.started,
        finished=item.finished,
        verdict=image.ruling.verdict.word,
        proof=wording.proof(image.proof, report.now),
    )


def missing_out(report: PlanReport, missing: Missing) -> MissingOut:
    """Return what is missing, for JSON."""
    item, after = missing.item, missing.after
    return MissingOut(
        reason=missing.reason,
        text=wording.encodable(report.lacking(missing)),
        kind=item.kind,
        files=encodable_paths(report, item),
        set=item.number,
        first_lsn=str(item.first_lsn),
        since=None if after is None else after.finished,
        until=item.finished,
        after=() if after is None else encodable_paths(report, after),
    )


def encodable_paths(report: PlanReport, item: BackupSet) -> tuple[str, ...]:
    """Return the paths of a set's files as text that can be encoded."""
    return tuple(map(wording.encodable, report.paths(item)))


def plan_text(report: PlanReport) -> Iterator[str]:
    """Yield a plan line by line."""
    name = f"'{wording.clean(report.database.full_name)}'"
    if report.plan is None:
        yield from nothing_reaches(report, name)
    else:
        last = report.plan.steps[-1]
        when = f"to {at_server(report.at)}" if report.at else f"up to {at_server(last.finished)}"
        yield f"{name}: restorable {when}"
        yield from steps_text(report, report.plan.steps)
    yield from ranges_text(report.ranges)
    yield from missing_text(report)


def nothing_reaches(report: PlanReport, name: str) -> Iterator[str]:
    """Yield why there is no plan."""
    if report.newest is None:
        yield f"{name}: nothing is proven restorable"
    else:
        yield f"{name}: {at_server(report.at)} is in no backup that restores"


def steps_text(report: PlanReport, steps: Sequence[BackupSet]) -> Iterator[str]:
    """Yield one line per set to restore; of very many logs the first and the last."""
    shown = range(1, len(steps) + 1)
    for number, item in zip(shown, steps, strict=True):
        if len(steps) > SETS_SHOWN_MAX and SETS_SHOWN_MAX // 2 < number < len(steps):
            if number == SETS_SHOWN_MAX // 2 + 1:
                yield f"   ... {len(steps) - SETS_SHOWN_MAX // 2 - 1} more; --json lists them"
            continue
        image = report.images[item.key]
        yield (
            f"{number:>4}  {item.kind:<12}  {report.names(item)} set {item.number}, "
            f"finished {at_server(item.finished)}, {image.ruling.verdict.word}"
        )


def ranges_text(ranges: Sequence[TimeRange]) -> Iterator[str]:
    """Yield the times that can be restored."""
    yield "restorable times:" if ranges else "restorable times: none"
    for item in ranges:
        if item.begin == item.end:
            yield f"      {at_server(item.begin)}"
        else:
            yield f"      {at_server(item.begin)} to {at_server(item.end)}, any moment"


def missing_text(report: PlanReport) -> Iterator[str]:
    """Yield what is missing, and from when."""
    if report.missing:
        yield "missing:"
    for missing in report.missing[:MISSING_SHOWN_MAX]:
        item, after = missing.item, missing.after
        since = "" if after is None else f"{at_server(after.finished)} to "
        yield (
            f"      {since}{at_server(item.finished)}: {item.kind} {report.names(item)} "
            f"set {item.number} cannot be restored: {report.lacking(missing)}"
        )
    more = len(report.missing) - MISSING_SHOWN_MAX
    if more > 0:
        yield f"      and {more} more; --json lists them"


def at_server(when: datetime | None) -> str:
    """Return a time of the server's clock, with its offset where the backup says it."""
    return wording.UNKNOWN if when is None else when.isoformat(" ")


def tsql(report: PlanReport) -> Iterator[str]:
    """Yield the statements of a plan; paths are those of this machine.

    ``STOPAT`` stands at every log, as Microsoft Learn advises: no log is then applied too far. The
    database is recovered by a statement of its own, which also ends a restore whose last log has
    nothing behind the time to stop at.
    """
    plan = report.plan
    assert plan is not None
    name = identifier(report.database.name)
    yield f"-- {wording.clean(report.database.full_name)}: restored to {at_server(plan.reached)}"
    yield "-- Paths are those of the repository where it was scanned."
    for item in plan.steps:
        what = "LOG" if item.is_log else "DATABASE"
        yield f"RESTORE {what} {name}"
        disks = [f"DISK = {literal(path)}" for path in report.paths(item)]
        yield "    FROM " + ",\n         ".join(disks)
        options = [f"FILE = {item.number}", "NORECOVERY"]
        if item.is_log and plan.at is not None:
            options.append(f"STOPAT = {literal(stop_at(plan.at, item.finished))}")
        yield f"    WITH {', '.join(options)};"
    yield f"RESTORE DATABASE {name} WITH RECOVERY;"


def identifier(name: str) -> str:
    """Return a delimited identifier (Transact-SQL: a closing bracket in it is doubled)."""
    return "[" + name.replace("]", "]]") + "]"


def literal(text: str) -> str:
    """Return a Unicode string constant (Transact-SQL: a quote in it is doubled)."""
    return "N'" + text.replace("'", "''") + "'"


def stop_at(at: datetime, like: datetime | None) -> str:
    """Return a time as ``STOPAT`` takes it, by the server's clock."""
    if at.tzinfo is not None and like is not None and like.tzinfo is not None:
        at = at.astimezone(like.tzinfo)
    return at.replace(tzinfo=None).isoformat("T", "milliseconds")
