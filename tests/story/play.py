"""What is on the stage while the story is told: files with their truth, and a clock that obeys."""

import io
import json
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

from scanner.cli import run
from scanner.cli.options import World
from tests.story import jobs
from tests.story.jobs import Ran
from tests.story.stage import Stage, resize

ZONE = ZoneInfo("Europe/Berlin")
EVENING_HOUR = 22
MORNING_HOUR = 7
CONFIG = "bakproof.toml"
QUIET = "--no-progress"
INDENT = "    "


class State(StrEnum):
    """What really is in a file, as only the story knows."""

    WHOLE = "whole"
    EMPTY = "empty"
    CUT = "cut"


@dataclass(frozen=True)
class Truth:
    """What one file really is, and what it needs."""

    state: State
    parent: str | None = None


@dataclass(frozen=True)
class Told:
    """What one command of bakproof said."""

    exit_code: int
    said: str

    @property
    def document(self) -> dict:
        """What it said in JSON."""
        return json.loads(self.said)


@dataclass(frozen=True)
class Morning:
    """What bakproof said after a night, and what is true.

    ``usable`` says of each path whether it restores with all that it needs.
    """

    night: int
    day: str
    states: dict[str, State]
    usable: dict[str, bool]
    told: dict[str, Told]


@dataclass
class Play:
    """The clinic's backups. ``gb`` is how many bytes stand for a gigabyte."""

    stage: Stage
    gb: int
    say: Callable[[str], object]
    first_day: datetime
    night: int = 0
    truth: dict[str, Truth] = field(default_factory=dict)
    mornings: list[Morning] = field(default_factory=list)
    now: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.first_day

    # Evenings

    def evening(self, title: str) -> None:
        """Begin the next night."""
        self.night += 1
        self.now = self.at(EVENING_HOUR)
        self.say(f"\n=== Night {self.night}, {self.now:%A %d %B %Y}: {title}")

    def at(self, hour: int) -> datetime:
        """Return an hour of the evening's day, in the clinic's zone."""
        day = self.first_day + timedelta(self.night - 1)
        return day.replace(hour=hour, tzinfo=ZONE)

    def narrate(self, text: str) -> None:
        """Say what happens, before it does."""
        self.say(f"\n{text}")

    def path(self, name: str) -> Path:
        """Return a path below the backups, whose folder is there."""
        found = self.stage.backups / name
        found.parent.mkdir(parents=True, exist_ok=True)
        return found

    def size(self, gigabytes: float) -> int:
        """Return so many of the story's gigabytes, in whole sectors."""
        return int(gigabytes * self.gb) // 512 * 512

    def named(self, disk: str, kind: str) -> str:
        """Return what the job calls tonight's backup."""
        return f"srv1/{disk}-{kind}-{self.now:%Y-%m-%dT%H%M}.qcow2"

    def ran(self, *every: Ran) -> bool:
        """Show commands; return whether all went well."""
        for one in every:
            self.say(f"{INDENT}$ {one.command}")
            for line in one.said.splitlines():
                self.say(f"{INDENT}{line}")
            if one.exit_code:
                self.say(f"{INDENT}(exit code {one.exit_code})")
        return not any(one.exit_code for one in every)

    def left(self, name: str, state: State, parent: str | None = None) -> str:
        """Note what a job left behind, if anything, and date it."""
        path = self.stage.backups / name
        self.now += timedelta(minutes=10)
        if path.exists():
            self.truth[name] = Truth(state, parent)
            jobs.stamp(path, self.now)
        return name

    def full(self, disk: str) -> str:
        """Let the job make a full backup; what it leaves where it fails is cut."""
        name = self.named(disk, "full")
        source = self.stage.machine / f"{disk}.raw"
        done = self.ran(jobs.full(self.path(name).parent, source, Path(name).name))
        return self.left(name, State.WHOLE if done else State.CUT)

    def increment(self, disk: str, parent: str, gigabytes: float) -> str:
        """Let the job make an increment over a parent."""
        name = self.named(disk, "inc")
        folder = self.path(name).parent
        start = self.size(self.night)
        base = Path(parent).name
        every = jobs.increment(folder, Path(name).name, base, start, self.size(gigabytes))
        return self.left(name, State.WHOLE if self.ran(*every) else State.CUT, parent)

    def empty(self, disk: str, gigabytes: float) -> str:
        """Let a misconfigured job make an image and never write to it."""
        name = self.named(disk, "full")
        self.ran(jobs.empty(self.path(name).parent, Path(name).name, self.size(gigabytes)))
        return self.left(name, State.EMPTY)

    def cut_copy(self, disk: str, gigabytes: float) -> str:
        """Make a full backup elsewhere and copy it until the connection breaks down."""
        name = self.named(disk, "full")
        elsewhere = self.stage.machine / Path(name).name
        source = self.stage.machine / f"{disk}.raw"
        self.ran(jobs.full(elsewhere.parent, source, elsewhere.name))
        self.ran(jobs.cut_copy(elsewhere, self.path(name), self.size(gigabytes)))
        elsewhere.unlink()
        return self.left(name, State.CUT)

    def database(self, finished: datetime, gigabytes: float) -> str:
        """Put a database backup there that was finished at a local time."""
        name = f"sql/Clinic_{finished:%Y-%m-%d}.bak"
        jobs.database_backup(self.path(name), finished, self.size(gigabytes))
        jobs.stamp(self.path(name), finished.replace(tzinfo=ZONE))
        self.truth[name] = Truth(State.WHOLE)
        return name

    def remove(self, *names: str) -> None:
        """Delete files of the repository."""
        for name in names:
            self.say(f"{INDENT}$ rm {name}")
            (self.stage.backups / name).unlink()
            del self.truth[name]

    def allot(self, gigabytes: float) -> None:
        """Give the backups so much room, and write it down."""
        resize(self.stage, self.size(gigabytes))
        self.expect(gigabytes)

    def expect(self, gigabytes: float) -> None:
        """Write down what is expected."""
        text = expectations(self.stage.backups, self.size(gigabytes), self.size(800))
        (self.stage.root / CONFIG).write_text(text)
        for line in text.splitlines():
            self.say(f"{INDENT}{line}".rstrip())

    # Mornings

    def morning(self, *, calendar: bool = False) -> None:
        """Ask bakproof at seven, and remember every word."""
        self.now = self.at(MORNING_HOUR) + timedelta(1)
        self.narrate(f"{self.now:%A, %H:%M}. What bakproof says:")
        told = {"scan": self.ask("scan", QUIET, str(self.stage.backups))}
        told["status"] = self.show("status")
        told["forecast"] = self.show("forecast")
        told["calendar"] = self.show("calendar") if calendar else self.ask("calendar")
        for name in ("status", "forecast", "calendar"):
            told[f"{name} json"] = self.ask(name, "--json")
        self.mornings.append(
            Morning(
                self.night,
                f"{self.now:%Y-%m-%d}",
                {name: truth.state for name, truth in self.truth.items()},
                {name: self.usable(name) for name in self.truth},
                told,
            )
        )

    def usable(self, name: str | None) -> bool:
        """Whether a file restores with everything it needs: the truth."""
        while name is not None:
            truth = self.truth.get(name)
            if truth is None or truth.state is not State.WHOLE:
                return False
            name = truth.parent
        return True

    def show(self, *arguments: str) -> Told:
        """Ask bakproof and show what it answers."""
        self.say(f"{INDENT}$ bakproof {' '.join(arguments)}")
        told = self.ask(*arguments)
        for line in told.said.splitlines():
            self.say(f"{INDENT}{line}".rstrip())
        self.say(f"{INDENT}(exit code {told.exit_code})")
        return told

    def ask(self, *arguments: str) -> Told:
        """Run bakproof in this process, on the story's clock."""
        world = World(
            clock=lambda: self.now.astimezone(UTC_ZONE),
            monotonic=lambda: 0.0,
            environment={
                "STATE_DIRECTORY": str(self.stage.state),
                "BAKPROOF_CONFIG": str(self.stage.root / CONFIG),
                "TZ": ZONE.key,
            },
        )
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in "oe")
        with redirect_stdout(out), redirect_stderr(err):
            code = run(arguments, world)
        said = "".join(stream.buffer.getvalue().decode() for stream in (out, err))
        return Told(code, said)


UTC_ZONE = ZoneInfo("UTC")


def expectations(backups: Path, allotment: int, expected: int) -> str:
    """Return the clinic's configuration."""
    return f"""\
[[repository]]
path = "{backups}"
allotment = {allotment}

[[source]]
name = "SRV1 data"
match = ["srv1/data-*"]
machine = "SRV1"
expected = {expected}
schedule = "0 {EVENING_HOUR} * * FRI"
rpo = "26 h"

[[source]]
name = "SRV1 system"
match = ["srv1/system-*"]
machine = "SRV1"
schedule = "0 {EVENING_HOUR} * * THU"
rpo = "26 h"

[[source]]
name = "Clinic"
database = ["SRV1/Clinic"]
machine = "SRV1"
"""


def recorded(mornings: Sequence[Morning]) -> str:
    """Return mornings as JSON."""
    return json.dumps([asdict(morning) for morning in mornings])


def remembered(text: str) -> tuple[Morning, ...]:
    """Return mornings as they were recorded."""
    return tuple(
        Morning(
            night=row["night"],
            day=row["day"],
            states={name: State(state) for name, state in row["states"].items()},
            usable=row["usable"],
            told={name: Told(**told) for name, told in row["told"].items()},
        )
        for row in json.loads(text)
    )
