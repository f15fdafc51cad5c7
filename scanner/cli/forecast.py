"""``bakproof forecast``: whether the next backups will fit."""

import sys
from collections.abc import Collection
from pathlib import Path

import click

from scanner.cli.calendar import chosen
from scanner.cli.options import World, config_option, json_option, ledger_option
from scanner.cli.printing import write_rendered, write_struct
from scanner.cli.reports import ledger_report
from scanner.judge.advice import Severity
from scanner.judge.forecast.forecast import forecast_advice
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
    meant = every if source is None else chosen(every, source)
    shown = forecast_report(report, {one.id for one in meant})
    if as_json:
        write_struct(outlet.forecasts_out(shown))
    else:
        write_rendered(outlet.forecast_text(shown, text.console(sys.stdout).width))
    return exit_code(shown)


def forecast_report(report: Report, meant: Collection[str]) -> outlet.ForecastReport:
    """Return the forecasts of the sources that are meant, by id, and of what they share."""
    return outlet.ForecastReport(
        sources=tuple(
            outlet.SourceForecast(
                one.source, one.forecasts, tuple(forecast_advice(one.source, one.forecasts))
            )
            for one in report.outlook.sources
            if one.source.id in meant
        ),
        together=tuple(
            item for item in report.outlook.together if not set(meant).isdisjoint(item.sources)
        ),
        accepted=frozenset(row.finding_id for row in report.acknowledgements),
        now=report.now,
        zone=report.zone,
    )


def exit_code(shown: outlet.ForecastReport) -> ExitCode:
    """Return 3 where a warning is left that nobody acknowledged."""
    warned = any(
        advice.severity is Severity.WARNING and advice.id not in shown.accepted
        for item in shown.sources
        for advice in item.advice
    )
    return ExitCode.WEAKENED if warned else ExitCode.SOUND
