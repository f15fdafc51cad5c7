"""Run contenders in turn, each in a process of its own, and keep what each run cost.

All contenders of one table run once per round, one after the other (A B C A B C …), so that a
machine that becomes slower meanwhile becomes slower for all of them.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.timing import Cost

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Contender:
    """Something to measure: an action of `benchmarks.driver`, or another program.

    ``beside`` names the contender of ours this one is held against, ``aim`` the share of its speed
    that ours should reach. A ``driver`` times its own work and leaves out starting up; of other
    programs the whole run counts.
    """

    name: str
    command: tuple[str, ...]
    driver: bool = False
    beside: str | None = None
    aim: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One run. ``command_seconds`` is the whole process, from its start to its end."""

    cost: Cost
    command_seconds: float


@dataclass
class Measured:
    """All runs of one contender, in order."""

    contender: Contender
    samples: list[Sample] = field(default_factory=list)

    @property
    def seconds(self) -> list[float]:
        """Wall time of every run."""
        return [sample.cost.seconds for sample in self.samples]

    @property
    def cpu_seconds(self) -> float:
        """Median of user and system time."""
        return median(sample.cost.cpu_seconds for sample in self.samples)

    @property
    def command_seconds(self) -> float:
        """Median of the whole command, starting up included."""
        return median(sample.command_seconds for sample in self.samples)

    @property
    def peak_bytes(self) -> int:
        """The most memory any run held."""
        return max(sample.cost.peak_bytes for sample in self.samples)


class Failed(Exception):
    """A contender did not do its work: the exit code and the last line it wrote."""


def driver(
    name: str,
    *arguments: object,
    beside: str | None = None,
    aim: float | None = None,
    action: str | None = None,
) -> Contender:
    """Return a contender of ours; its action is called as it is unless ``action`` says another."""
    command = (sys.executable, "-m", "benchmarks.driver", action or name, *map(str, arguments))
    return Contender(name, command, driver=True, beside=beside, aim=aim)


def interleaved(
    contenders: Sequence[Contender], rounds: int, before_each: Callable[[], None]
) -> list[Measured]:
    """Run all contenders ``rounds`` times in turn, each after ``before_each``."""
    measured = [Measured(contender) for contender in contenders]
    for _ in range(rounds):
        for item in measured:
            before_each()
            item.samples.append(run(item.contender))
    return measured


def run(contender: Contender) -> Sample:
    """Run one contender once."""
    before = time.perf_counter()
    output, status, peak, cpu = run_child(contender.command, keep_output=contender.driver)
    seconds = time.perf_counter() - before
    if status:
        message = f"{contender.name}: expected exit 0, found {status}"
        raise Failed(message)
    if contender.driver:
        return Sample(Cost(**json.loads(output.splitlines()[-1])), seconds)
    return Sample(Cost(seconds, cpu, peak, 0), seconds)


def run_child(command: Sequence[str], *, keep_output: bool) -> tuple[str, int, int, float]:
    """Run a command; return its output, exit code, peak memory and CPU time, itself alone.

    A child's peak is never below this process's own size when it started the child, so this
    process stays small: it imports nothing of what it measures.
    """
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if keep_output else subprocess.DEVNULL,
        stderr=None if keep_output else subprocess.DEVNULL,
        text=True,
    ) as process:
        output = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    cpu = usage.ru_utime + usage.ru_stime
    return output, process.returncode, usage.ru_maxrss * 1024, cpu


def ratio(ours: Measured, other: Measured) -> float:
    """Return how fast ours is beside the other: above 1 is faster. Rounds are compared singly."""
    pairs = zip(ours.seconds, other.seconds, strict=True)
    return median(theirs / mine for mine, theirs in pairs)


def make(kind: str, path: Path, number: int) -> None:
    """Let the driver make a file of so many bytes, or a tree of so many files."""
    run(driver(f"make-{kind}", path, number))
