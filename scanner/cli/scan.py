"""``bakproof scan``."""

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from scanner.cli.options import (
    World,
    config_option,
    fail_on_option,
    json_option,
    ledger_option,
    settings_of,
)
from scanner.cli.printing import write_bytes, write_rendered, write_struct
from scanner.cli.reports import scan_report
from scanner.cli.signals import stopping
from scanner.config import EXCLUDES
from scanner.errors import UsageError
from scanner.ledger.store import Ledger
from scanner.outlets import document, ndjson, text
from scanner.outlets.exit_codes import FailOn
from scanner.outlets.progress import Bugs, LiveProgress, PlainProgress, Several
from scanner.outlets.report import Report
from scanner.progress import Watcher
from scanner.scan import record_exit_code, scan
from scanner.scopes import real_path
from scanner.uncollected import uncollected


@click.command("scan")
@click.argument(
    "paths",
    nargs=-1,
    # Whether a path can be read is no matter of usage: it has an exit code of its own.
    type=click.Path(path_type=Path, readable=False),
    metavar="[PATH]...",
)
@ledger_option
@config_option
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Readers per device.")
@json_option
@click.option("--ndjson", "as_ndjson", is_flag=True, help="Print one JSON object a line.")
@click.option("--no-progress", is_flag=True, help="Say nothing while the scan runs.")
@click.option(
    "--exclude",
    "excludes",
    multiple=True,
    metavar="GLOB",
    help=f"Leave out what matches; may be repeated. Always left out: {', '.join(EXCLUDES)}.",
)
@click.option("--reread", is_flag=True, help="Read everything again, however young its proof is.")
@fail_on_option
@click.pass_obj
def scan_command(
    world: World,
    *,
    paths: tuple[Path, ...],
    ledger_path: Path | None,
    config_path: Path | None,
    jobs: int | None,
    as_json: bool,
    as_ndjson: bool,
    no_progress: bool,
    excludes: tuple[str, ...],
    reread: bool,
    fail_on: str,
) -> int:
    """Survey, read and judge everything under the paths.

    Without PATH these are the repositories of the configuration.
    """
    if as_json and as_ndjson:
        message = "--json and --ndjson exclude each other"
        raise UsageError(message)
    expectations = world.expectations(config_path)
    paths = paths or tuple(Path(item.path) for item in expectations.repositories)
    if not paths:
        raise click.MissingParameter(param_hint="'PATH...'", param_type="argument")
    for path in paths:
        real_path(path)  # before a ledger is begun for a repository that cannot be looked into
    settings = settings_of(expectations, jobs=jobs, excludes=excludes, reread=reread)
    bugs = Bugs()
    quiet: list[Watcher] = [bugs]
    if as_ndjson:
        quiet.append(ndjson.FileEvents(write_bytes))
    with Ledger.open(world.ledger_place(ledger_path, paths), world.clock) as ledger:
        stop = threading.Event()
        with (
            stopping(stop, world.leave) as caught,
            watching(world, quiet, shown=not no_progress) as watcher,
        ):
            outcome = scan(paths, ledger, settings, watcher=watcher, stop=stop, clock=world.clock)
        report = scan_report(
            world, ledger, settings, outcome, FailOn(fail_on), caught.code, expectations
        )
        record_exit_code(ledger, outcome, report.exit_code)
    for met in bugs.met():
        click.echo(met, err=True)
    write_report(report, as_json=as_json, as_ndjson=as_ndjson)
    return report.exit_code


def write_report(report: Report, *, as_json: bool, as_ndjson: bool = False) -> None:
    """Write a report in the form that was asked for."""
    with uncollected():
        if as_ndjson:
            for line in ndjson.lines(report):
                write_bytes(line)
        elif as_json:
            write_struct(document.build(report))
        else:
            write_rendered(text.report_text(report))


@contextmanager
def watching(world: World, quiet: Sequence[Watcher], *, shown: bool) -> Iterator[Watcher]:
    """Give what a scan is to tell, and show it on standard error while the block runs."""
    if not shown:
        yield Several(quiet)
    elif text.is_terminal(sys.stderr):
        with LiveProgress(Console(file=sys.stderr), world.monotonic) as live:
            yield Several((*quiet, live))
    else:
        yield Several((*quiet, PlainProgress(_write_error, world.monotonic)))


def _write_error(line: str) -> None:
    sys.stderr.write(line)
    sys.stderr.flush()
