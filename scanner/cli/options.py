"""What several commands share: the world they run in, and options."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from scanner import config_file
from scanner.clock import Clock, utc_now
from scanner.config import EXCLUDES, Settings
from scanner.config_file import Configuration
from scanner.expectations import Expectations
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

    def configuration(self, explicit: Path | None) -> Configuration:
        """Read the configuration and say where it lies, or raise `ConfigError`."""
        return config_file.load(explicit, self.environment)

    def expectations(self, explicit: Path | None) -> Expectations:
        """Read what the configuration says, or raise `ConfigError`; a command asks once."""
        return self.configuration(explicit).expectations

    def zone(self) -> tzinfo:
        """Return the zone of this machine's local time: schedules are meant in it."""
        return local_zone(self.environment, LOCAL_TIME)


LOCAL_TIME = Path("/etc/localtime")


def local_zone(environment: Mapping[str, str], file: Path) -> tzinfo:
    """Return the zone that ``TZ`` names, else the one in a file (localtime(5)), else UTC."""
    name = environment.get("TZ", "").removeprefix(":")
    try:
        if name:
            return ZoneInfo(name)
        with file.open("rb") as opened:
            return ZoneInfo.from_file(opened)
    except (OSError, ValueError, KeyError):
        return UTC


def settings_of(
    expectations: Expectations,
    *,
    jobs: int | None = None,
    excludes: Sequence[str] = (),
    reread: bool = False,
) -> Settings:
    """Return what a scan is told: by the configuration, and first of all by the command line."""
    limits = expectations.limits
    return Settings(
        jobs=limits.jobs if jobs is None else jobs,
        excludes=(*EXCLUDES, *limits.exclude, *excludes),
        reread=reread,
        max_proof_age=limits.max_proof_age,
        settle=limits.settle,
        # The survey knows a repository by its real path.
        excludes_below={
            os.path.realpath(item.path): item.exclude
            for item in expectations.repositories
            if item.exclude
        },
    )


ledger_option = click.option(
    "--ledger",
    "ledger_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where what is known is kept. Default: $STATE_DIRECTORY, else the user's state folder.",
)
config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, readable=False),
    metavar="FILE",
    help="What is expected. Default: $BAKPROOF_CONFIG, else the user's, else the system's file.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
fail_on_option = click.option(
    "--fail-on",
    type=click.Choice([level.value for level in FailOn]),
    default=FailOn.WEAKENED.value,
    show_default=True,
    help="Verdicts below this one exit 0.",
)
