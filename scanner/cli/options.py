"""What several commands share: the world they run in, and options."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from scanner.clock import Clock, utc_now
from scanner.ledger.place import choose_place
from scanner.outlets.exit_codes import FailOn
from scanner.outlets.meter import Monotonic
from scanner.survey.filesystems import place_of


@dataclass(frozen=True, slots=True)
class World:
    """What a command needs of the world besides files; tests hand in their own.

    ``leave`` ends the process at once, for whoever asks a second time.
    """

    clock: Clock = utc_now
    monotonic: Monotonic = time.monotonic
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    leave: Callable[[int], object] = os._exit

    def ledger_place(self, explicit: Path | None, repositories: Sequence[Path] = ()) -> Path:
        """Return where the ledger lies, or raise `LedgerPlaceError`."""
        return choose_place(explicit, repositories, self.environment, place_of)


ledger_option = click.option(
    "--ledger",
    "ledger_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where what is known is kept. Default: $STATE_DIRECTORY, else the user's state folder.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
fail_on_option = click.option(
    "--fail-on",
    type=click.Choice([level.value for level in FailOn]),
    default=FailOn.WEAKENED.value,
    show_default=True,
    help="Verdicts below this one exit 0.",
)
