"""The command line: it parses, calls and prints. All it decides is the exit code.

Results go to standard output, everything about the run itself to standard error.
"""

from collections.abc import Sequence

import click

from scanner.cli.ack import ack
from scanner.cli.bak import bak
from scanner.cli.calendar import calendar_command
from scanner.cli.config import config
from scanner.cli.forecast import forecast_command
from scanner.cli.options import World
from scanner.cli.questions import explain, formats_command, status
from scanner.cli.scan import scan_command
from scanner.config import CARRY_BYTES_MAX, MIB, WINDOW_BYTES
from scanner.errors import ScannerError
from scanner.outlets.exit_codes import ExitCode, help_text
from scanner.outlets.version import version

EPILOG = f"""\b
Exit codes; the first that applies, from the top:
{help_text()}

\b
Memory is about {(WINDOW_BYTES + CARRY_BYTES_MAX) // MIB} MiB for each reader and 100 MiB besides.
The repository is opened for reading only."""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version(), prog_name="bakproof")
def commands() -> None:
    """Prove that the backups in a repository are really there.

    Every byte is read once and everything the formats let us check is checked. Each answer says
    what was proven, how and when, and what could not be proven.
    """


for command in (
    scan_command,
    status,
    explain,
    calendar_command,
    forecast_command,
    ack,
    formats_command,
    bak,
    config,
):
    command.epilog = EPILOG if command in (scan_command, status) else None
    commands.add_command(command)


def run(arguments: Sequence[str], world: World | None = None) -> int:
    """Run a command line and return its exit code. A bug of ours passes, with its traceback."""
    try:
        code = commands.main(
            args=list(arguments),
            prog_name="bakproof",
            standalone_mode=False,
            obj=world or World(),
        )
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except ScannerError as error:
        click.echo(f"bakproof: {error}", err=True)
        return error.exit_code
    return int(code or 0)
