"""``bakproof ack``."""

from datetime import UTC, datetime, time
from pathlib import Path

import click

from scanner.cli.options import World, config_option, ledger_option
from scanner.cli.printing import write_text
from scanner.cli.reports import ledger_report
from scanner.errors import UsageError
from scanner.ledger.store import Ledger
from scanner.outlets import wording
from scanner.outlets.report import Report, advice_named, evidence_named


@click.command("ack")
@click.argument("finding")
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d"]),
    required=True,
    metavar="YYYY-MM-DD",
    help="The last day, in UTC, on which the finding is accepted.",
)
@click.option("--reason", required=True, metavar="TEXT", help="Why; shown with the finding.")
@ledger_option
@config_option
@click.pass_obj
def ack(
    world: World,
    *,
    finding: str,
    until: datetime,
    reason: str,
    ledger_path: Path | None,
    config_path: Path | None,
) -> None:
    """Accept FINDING until a day: it is still shown, and no longer decides the exit code."""
    now = world.clock()
    last_moment = datetime.combine(until.date(), time(23, 59, 59), UTC)
    if last_moment <= now:
        message = f"--until {until.date()} is over: now is {wording.moment(now)}"
        raise UsageError(message)
    if not reason.strip():
        message = "--reason is empty"
        raise UsageError(message)
    expectations = world.expectations(config_path)
    place = world.ledger_place(ledger_path)
    with Ledger.open(place, world.clock, create=False) as ledger:
        report = ledger_report(world, ledger, expectations=expectations)
        said = meaning(report, finding)
        if said is None:
            message = f"the ledger knows no finding {finding!r}"
            raise UsageError(message)
        derived = advice_named(report, finding) is not None
        ledger.acknowledge(finding, last_moment, reason.strip(), now, derived=derived)
    write_text(f"{said}\naccepted until {until.date()}\n")


def meaning(report: Report, name: str) -> str | None:
    """Return what the finding or warning of this name says; None where there is none."""
    found = evidence_named(report.judgement, name)
    if found is not None:
        path, row = found
        return f"{path!r}: {wording.message(row.evidence)}"
    advice = advice_named(report, name)
    return None if advice is None else f"{advice.source!r}: {wording.clean(advice.text)}"
