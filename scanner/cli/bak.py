"""``bakproof bak``: what a SQL Server would say of its backups, and how it restores them."""

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

import formats
from formats.core.model import Inspection
from formats.core.source import EdgeCached
from scanner.cli.options import World, config_option, json_option, ledger_option, settings_of
from scanner.cli.printing import write_struct, write_text
from scanner.config import PROBE_EDGE_BYTES, Settings
from scanner.engine.storage import FileStorage
from scanner.engine.work import Job, inspect
from scanner.errors import NotThereError, UsageError
from scanner.judge.sqlserver.databases import Database, causes, databases
from scanner.judge.sqlserver.links import SQL_SERVER
from scanner.judge.sqlserver.lsn import instant, judged_sets, ways
from scanner.judge.sqlserver.plans import newest_plan, plan_at, time_ranges
from scanner.judging import judge_ledger
from scanner.ledger.store import Ledger
from scanner.outlets import bak_columns, bak_tables, restore_plan, text, wording
from scanner.outlets.bak_columns import Facts, Rows
from scanner.outlets.exit_codes import ExitCode
from scanner.outlets.restore_plan import PlanReport

csv_option = click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
file_argument = click.argument("file", type=click.Path(path_type=Path))


@click.group("bak")
def bak() -> None:
    """Read SQL Server backups as a SQL Server would, without one."""


@bak.command("headers")
@file_argument
@json_option
@csv_option
def headers_command(*, file: Path, as_json: bool, as_csv: bool) -> int:
    """Print what RESTORE HEADERONLY says of FILE: one row for each backup set."""
    sets = [item.facts for item in inspected(file) if is_set(item.facts)]
    return write_rows(file, bak_columns.headers(sets), as_json=as_json, as_csv=as_csv)


@bak.command("files")
@file_argument
@click.option(
    "--set",
    "number",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Which backup set of FILE, as with FILE = in T-SQL.",
)
@json_option
@csv_option
def files_command(*, file: Path, number: int, as_json: bool, as_csv: bool) -> int:
    """Print what RESTORE FILELISTONLY says of FILE: one row for each file of the database."""
    sets = [item.facts for item in inspected(file) if is_set(item.facts)]
    chosen = [facts for facts in sets if facts.get("Position") == number]
    if sets and not chosen:
        message = f"{str(file)!r} has no backup set {number}; it holds {len(sets)}"
        raise UsageError(message)
    if len(sets) > 1:
        click.echo(f"bakproof: set {number} of {len(sets)}; --set chooses another", err=True)
    rows = bak_columns.files(chosen[0] if chosen else {})
    return write_rows(file, rows, as_json=as_json, as_csv=as_csv)


@bak.command("label")
@file_argument
@json_option
@csv_option
def label_command(*, file: Path, as_json: bool, as_csv: bool) -> int:
    """Print what RESTORE LABELONLY says of FILE: one row, of the medium."""
    facts = inspected(file)[0].facts
    return write_rows(file, bak_columns.label(facts), as_json=as_json, as_csv=as_csv)


def inspected(file: Path) -> Sequence[Inspection]:
    """Read what a backup file says of itself; nothing is written and no ledger is asked."""
    known = formats.by_name(SQL_SERVER)
    assert known is not None
    try:
        real = file.resolve(strict=True)
        with FileStorage(real) as storage:
            if not known.probe(EdgeCached(storage, PROBE_EDGE_BYTES)):
                message = f"{str(file)!r} is no SQL Server backup"
                raise UsageError(message)
            found = inspect(
                known, Job(real.parent, real.name, storage.stamps()), storage, FileStorage
            )
    except OSError as error:
        message = f"{str(file)!r}: {error.strerror}"
        raise NotThereError(message) from error
    bad = [row for item in found for row in item.evidence if row.bad]
    if bad:
        more = f", and {len(bad) - 1} more" if bad[1:] else ""
        click.echo(f"bakproof: {str(file)!r}: {wording.message(bad[0])}{more}", err=True)
    return found


def is_set(facts: Facts) -> bool:
    """Whether facts are of a backup set, not of a medium without one."""
    return facts.get("BackupSetGUID") is not None or facts.get("DatabaseName") is not None


def write_rows(file: Path, rows: Rows, *, as_json: bool, as_csv: bool) -> int:
    """Print a result set in the form that was asked for; nothing to print is a failure."""
    if as_json and as_csv:
        message = "--json and --csv exclude each other"
        raise UsageError(message)
    if as_json:
        write_struct(bak_tables.rows_out(str(file), rows))
    elif as_csv:
        write_text(bak_tables.as_csv(rows))
    elif rows.rows:
        width = text.console(sys.stdout).width if text.is_terminal(sys.stdout) else None
        write_text(bak_tables.as_text(rows, width))
    if not rows.rows:
        click.echo(f"bakproof: {str(file)!r} tells of no {rows.noun}", err=True)
        return ExitCode.DAMAGE
    return ExitCode.SOUND


@bak.command("restore-plan")
@click.argument("database")
@click.option(
    "--at",
    metavar="TIME",
    help="Restore to this time, such as 2026-03-14T12:00:00, by the server's clock.",
)
@click.option("--tsql", "as_tsql", is_flag=True, help="Print the RESTORE statements.")
@ledger_option
@config_option
@json_option
@click.pass_obj
def restore_plan_command(
    world: World,
    *,
    database: str,
    at: str | None,
    as_tsql: bool,
    ledger_path: Path | None,
    config_path: Path | None,
    as_json: bool,
) -> int:
    """Say which backups restore DATABASE, in order, and to which times it can be restored.

    DATABASE is a name, or SERVER/DATABASE. Only backups that were proven are used. Exits with 4
    where nothing restores, or not to that time, with 10 where the ledger knows no such database.
    """
    moment = None if at is None else parse_time(at)
    if as_tsql and as_json:
        message = "--json and --tsql exclude each other"
        raise UsageError(message)
    settings = settings_of(world.expectations(config_path))
    with Ledger.open(world.ledger_place(ledger_path), world.clock, create=False) as ledger:
        report = plan_report(world, ledger, settings, database, moment)
    if as_json:
        write_struct(restore_plan.plan_out(report))
    elif as_tsql and report.plan is not None:
        require_printable([report.database.name, *paths_of(report)])
        write_text("".join(f"{line}\n" for line in restore_plan.tsql(report)))
    else:
        write_text("".join(f"{line}\n" for line in restore_plan.plan_text(report)))
    return ExitCode.SOUND if report.plan is not None else ExitCode.DAMAGE


def parse_time(said: str) -> datetime:
    """Read a time; without an offset it is the server's."""
    try:
        return datetime.fromisoformat(said)
    except ValueError as error:
        message = f"--at {said!r}: expected a time such as 2026-03-14T12:00:00"
        raise UsageError(message) from error


def plan_report(
    world: World, ledger: Ledger, settings: Settings, name: str, at: datetime | None
) -> PlanReport:
    """Put together what is known of a database."""
    repositories, now = ledger.repositories(), world.clock()
    judgement = judge_ledger(ledger, repositories, now, settings=settings)
    sets = judged_sets(judgement.images)
    known = ways(sets)
    found = named(databases(sets), name)
    reports = [
        PlanReport(
            database=item,
            at=at,
            plan=newest_plan(item, known) if at is None else plan_at(item, at),
            newest=newest_plan(item, known),
            ranges=time_ranges(item, known),
            missing=causes(item, known),
            images={image.key: image for image in judgement.images},
            repositories={row.id: row for row in repositories},
            now=now,
        )
        for item in found
    ]
    # A database that was dropped and made anew is two of one name: the one that restores counts.
    return max(reports, key=lambda item: (item.plan is not None, newest_end(item.database)))


def newest_end(database: Database) -> float:
    """Return when the last backup of a database was finished."""
    return max(instant(item.finished) for item in database.sets)


def named(every: Sequence[Database], name: str) -> list[Database]:
    """Return the databases that are meant, all of one server; SQL Server ignores case in names."""
    for alike in (same, same_but_for_case):
        found = [item for item in every if any(alike(name, form) for form in forms(item))]
        if found:
            break
    if not found:
        message = f"the ledger knows no database {name!r}"
        raise NotThereError(message)
    servers = sorted({item.full_name for item in found})
    if len(servers) > 1:
        # Not with repr(): it doubles the backslash of an instance, and this is to be copied.
        choice = ", ".join(f"'{wording.clean(item)}'" for item in servers)
        message = f"{name!r} may mean {choice}: say which"
        raise UsageError(message)
    return found


def forms(database: Database) -> list[str]:
    """Return everything a database may be called on the command line."""
    names = list(database.names)
    return names + [f"{server}/{name}" for server in database.servers for name in names]


def same(one: str, other: str) -> bool:
    """Whether two names are equal."""
    return one == other


def same_but_for_case(one: str, other: str) -> bool:
    """Whether two names are equal to most servers."""
    return one.casefold() == other.casefold()


def paths_of(report: PlanReport) -> list[str]:
    """Return every path a plan names."""
    steps = report.plan.steps if report.plan else ()
    return [path for item in steps for path in report.paths(item)]


def require_printable(names: Sequence[str]) -> None:
    """Refuse names that a script cannot hold: they could say something else to whoever reads it."""
    for name in names:
        if not name.isprintable():
            message = f"{name!r} has characters that cannot stand in a script"
            raise UsageError(message)
