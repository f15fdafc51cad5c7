"""``bakproof forecast``: whether the next backups will fit."""

import sys
from pathlib import Path

import click

from scanner.cli.calendar import chosen
from scanner.cli.options import World, config_option, json_option, ledger_option
from scanner.cli.printing import write_rendered, write_struct
from scanner.cli.reports import ledger_report
from scanner.expectations import Expectations
from scanner.judge.advice import Severity
from scanner.judge.forecast import forecast_advice, forecasts
from scanner.judge.room import Ground, ground_of
from scanner.judge.source_model import Source
from scanner.judge.together import together
from scanner.ledger.store import Ledger
from scanner.outlets import forecast as outlet
from scanner.outlets import text
from scanner.outlets.exit_codes import ExitCode
from scanner.outlets.report import Report


@click.command("forecast")
@click.argument("source", required=False)
@ledger_option
@config_option
@json_option
@click.pass_obj
def forecast_command(
    world: World,
    *,
    source: str | None,
    ledger_path: Path | None,
    config_path: Path | None,
    as_json: bool,
) -> int:
    """Say when the next backups are due, how large they will be, and whether they fit.

    SOURCE is a name, a part of one name, or a glob. Exits with 3 where one cannot or will not fit,
    unless that was acknowledged.
    """
    expectations = world.expectations(config_path)
    with Ledger.open(world.ledger_place(ledger_path), world.clock, create=False) as ledger:
        report = ledger_report(world, ledger, expectations=expectations)
        every = [one.source for one in report.outlook.sources]
        ground = ground_in(ledger, report, every, expectations)
    meant = every if source is None else chosen(every, source)
    shown = forecast_report(report, ground, every, meant)
    if as_json:
        write_struct(outlet.forecasts_out(shown))
    else:
        write_rendered(outlet.forecast_text(shown, text.console(sys.stdout).width))
    return exit_code(shown)


def ground_in(
    ledger: Ledger,
    report: Report,
    every: list[Source],
    expectations: Expectations,
) -> Ground:
    """Return what the sources lie on, as the ledger knows it."""
    repositories = ledger.repositories()
    numbers = [row.id for row in repositories]
    files, spaces = ledger.files(numbers), ledger.spaces(numbers)
    return ground_of(every, repositories, files, spaces, expectations, report.now, report.zone)


def forecast_report(
    report: Report, ground: Ground, every: list[Source], meant: list[Source]
) -> outlet.ForecastReport:
    """Return the forecasts of the sources that are meant; what shares a room needs all of them."""
    found = [(one, forecasts(one, ground)) for one in every]
    wanted = {one.id for one in meant}
    return outlet.ForecastReport(
        sources=tuple(
            outlet.SourceForecast(one, items, tuple(forecast_advice(one, items)))
            for one, items in found
            if one.id in wanted
        ),
        together=tuple(
            item for item in together(found, ground) if wanted.intersection(item.sources)
        ),
        accepted=frozenset(row.finding_id for row in report.acknowledgements),
        now=report.now,
        zone=ground.zone,
    )


def exit_code(shown: outlet.ForecastReport) -> ExitCode:
    """Return 3 where a warning is left that nobody acknowledged."""
    warned = any(
        advice.severity is Severity.WARNING and advice.id not in shown.accepted
        for item in shown.sources
        for advice in item.advice
    )
    return ExitCode.WEAKENED if warned else ExitCode.SOUND
