"""``bakproof calendar``: which days can be restored, source by source."""

import difflib
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import click

from scanner.cli.options import World, config_option, json_option, ledger_option
from scanner.cli.printing import write_rendered, write_struct
from scanner.cli.reports import ledger_report
from scanner.errors import UsageError
from scanner.expectations.globs import name_glob
from scanner.judge.sources.calendar import calendar, gaps, local_day
from scanner.judge.sources.model import Source
from scanner.ledger.store import Ledger
from scanner.outlets import calendar as outlet
from scanner.outlets import text, wording
from scanner.outlets.report import index

DAYS = 35
DAYS_MAX = 3660
NAMES_SHOWN_MAX = 5


@click.command("calendar")
@click.argument("source", required=False)
@click.option(
    "--days",
    type=click.IntRange(min=1, max=DAYS_MAX),
    default=DAYS,
    show_default=True,
    help="How many days to show, up to today.",
)
@ledger_option
@config_option
@json_option
@click.pass_obj
def calendar_command(
    world: World,
    *,
    source: str | None,
    days: int,
    ledger_path: Path | None,
    config_path: Path | None,
    as_json: bool,
) -> None:
    """Show which days can be restored: of every source, or of SOURCE with its restore points.

    SOURCE is a name, a part of one name, or a glob. Days are those of this machine's zone.
    """
    expectations = world.expectations(config_path)
    with Ledger.open(world.ledger_place(ledger_path), world.clock, create=False) as ledger:
        report = ledger_report(world, ledger, expectations=expectations)
    every = [one.source for one in report.outlook.sources]
    meant = every if source is None else chosen(every, source)
    zone = report.zone
    last = local_day(report.now, zone)
    first = last - timedelta(days - 1)
    calendars = tuple(
        outlet.SourceCalendar(item, calendar(item, first, last, zone), gaps(item)) for item in meant
    )
    shown = outlet.CalendarReport(index(report), calendars, first, last, report.now, zone)
    if as_json:
        write_struct(outlet.calendar_out(shown))
    elif source is None:
        write_rendered(outlet.overview(shown, text.console(sys.stdout).width))
    else:
        for item in calendars:
            write_rendered(outlet.detail(shown, item))


def chosen(every: Sequence[Source], wanted: str) -> list[Source]:
    """Return the sources that are meant; case counts only where it tells two apart."""
    folded = wanted.casefold()
    exact = [item for item in every if item.name == wanted]
    exact = exact or [item for item in every if item.name.casefold() == folded]
    if exact:
        return exact
    if any(letter in wanted for letter in "*?["):
        found = matching(every, wanted)
    else:
        found = [item for item in every if folded in item.name.casefold()]
        if len(found) > 1:
            message = f"{wanted!r} may mean {names([item.name for item in found])}: say which"
            raise UsageError(message)
    if not found:
        message = f"no source is called {wanted!r}{nearest(every, folded)}"
        raise UsageError(message)
    return found


def matching(every: Sequence[Source], glob: str) -> list[Source]:
    """Return the sources whose names a glob matches."""
    try:
        pattern = name_glob(glob)
    except ValueError as error:
        message = f"{glob!r}: {error}"
        raise UsageError(message) from error
    return [item for item in every if pattern.fullmatch(item.name)]


def nearest(every: Sequence[Source], folded: str) -> str:
    """Return the names that are most like what was asked for, as the end of a sentence."""
    by_folded = {item.name.casefold(): item.name for item in every}
    close = difflib.get_close_matches(folded, by_folded, n=NAMES_SHOWN_MAX, cutoff=0.0)
    if not close:
        return ": no source is known"
    return f"; the nearest are {names([by_folded[name] for name in close])}"


def names(every: Sequence[str]) -> str:
    """Return a few names, quoted to be copied, and how many more."""
    shown = ", ".join(f"'{wording.clean(name)}'" for name in every[:NAMES_SHOWN_MAX])
    more = len(every) - NAMES_SHOWN_MAX
    return f"{shown} and {more:,} more" if more > 0 else shown
