"""Commands that answer from what is known: ``status``, ``explain``, ``formats``."""

import os
from pathlib import Path

import click
from rich.console import Group
from rich.text import Text

import formats
from scanner.cli.options import World, config_option, fail_on_option, json_option, ledger_option
from scanner.cli.printing import write_rendered, write_struct, write_text
from scanner.cli.reports import ledger_report
from scanner.cli.scan import write_report
from scanner.errors import UsageError
from scanner.ledger.store import Ledger
from scanner.outlets import formats_table
from scanner.outlets.exit_codes import FailOn
from scanner.outlets.explain import (
    Background,
    Subjects,
    explain_text,
    explanation_out,
    find,
    other_names,
)


@click.command("status")
@ledger_option
@config_option
@json_option
@fail_on_option
@click.pass_obj
def status(
    world: World,
    *,
    ledger_path: Path | None,
    config_path: Path | None,
    as_json: bool,
    fail_on: str,
) -> int:
    """Say what is known, without touching any repository."""
    expectations = world.expectations(config_path)
    place = world.ledger_place(ledger_path)
    with Ledger.open(place, world.clock, create=False) as ledger:
        report = ledger_report(world, ledger, FailOn(fail_on), expectations)
    write_report(report, as_json=as_json)
    return report.exit_code


@click.command("explain")
@click.argument("file")
@ledger_option
@config_option
@json_option
@click.pass_obj
def explain(
    world: World, *, file: str, ledger_path: Path | None, config_path: Path | None, as_json: bool
) -> None:
    """Say why FILE has its verdict: every check, what it found, and what was not proven.

    FILE is absolute, relative to the present folder, or relative to its repository.
    """
    expectations = world.expectations(config_path)
    place = world.ledger_place(ledger_path)
    with Ledger.open(place, world.clock, create=False) as ledger:
        report = ledger_report(world, ledger, expectations=expectations)
        places = (os.path.abspath(file), os.path.realpath(file))  # noqa: PTH100 - text compared
        subjects = find(report.judgement, report.repositories, file, places)
        if subjects == Subjects((), ()):
            message = f"the ledger knows no file {file!r}"
            raise UsageError(message)
        background = Background(
            {number: ledger.traceback(number) for number in subjects.file_ids()},
            other_names(subjects, ledger.known_files),
        )
    if as_json:
        write_struct(explanation_out(report, subjects, background))
    else:
        lines = explain_text(report, subjects, background)
        write_rendered(Group(*(Text(line, overflow="fold") for line in lines)))


@click.command("formats")
@click.option("--checks", is_flag=True, help="List every check with what it proves.")
@json_option
@click.option("--markdown", is_flag=True, help="Print the table as it is in the README.")
def formats_command(*, checks: bool, as_json: bool, markdown: bool) -> None:
    """List the formats, and what an undamaged file of each lets us prove."""
    if as_json:
        write_struct(formats_table.formats_out(formats.FORMATS))
    elif checks:
        write_text("".join(f"{line}\n" for line in formats_table.checks(formats.FORMATS)))
    elif markdown:
        write_text(formats_table.markdown(formats.FORMATS))
    else:
        write_rendered(formats_table.table(formats.FORMATS))
