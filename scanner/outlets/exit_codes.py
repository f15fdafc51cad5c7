"""What a command ends with. The first that applies decides; the order is the users' contract."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from scanner.judge.model import Judgement, Verdict


class ExitCode(IntEnum):
    """In order of precedence, as `MEANINGS` lists them."""

    USAGE = 2
    NOT_THERE = 10
    LOCKED = 11
    INTERRUPTED = 130
    TERMINATED = 143
    DAMAGE = 4
    BUG = 1
    UNPROVEN = 5
    WEAKENED = 3
    SOUND = 0

    @property
    def meaning(self) -> str:
        """The code in words."""
        return MEANINGS[self]


MEANINGS: Mapping[ExitCode, str] = {
    ExitCode.USAGE: "usage",
    ExitCode.NOT_THERE: "the repository or the ledger is not there",
    ExitCode.LOCKED: "locked by another run",
    ExitCode.INTERRUPTED: "stopped by SIGINT, progress kept",
    ExitCode.TERMINATED: "stopped by SIGTERM, progress kept",
    ExitCode.DAMAGE: "damaged, incomplete or empty",
    ExitCode.BUG: "a bug of bakproof",
    ExitCode.UNPROVEN: "unproven, or nothing recognised to scan",
    ExitCode.WEAKENED: "weakened, or warnings",
    ExitCode.SOUND: "everything in scope is sound",
}
"""Every code in order of precedence, with its sentence; the help text is made of it."""


class FailOn(StrEnum):
    """The mildest verdict that still decides the exit code."""

    WEAKENED = "weakened"
    UNPROVEN = "unproven"
    DAMAGE = "damage"

    @property
    def mildest(self) -> Verdict:
        """The verdict from which on a command fails."""
        match self:
            case FailOn.WEAKENED:
                return Verdict.WEAKENED
            case FailOn.UNPROVEN:
                return Verdict.UNPROVEN
            case FailOn.DAMAGE:
                return Verdict.EMPTY


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What besides verdicts has a say. ``stopped_by`` is the exit code of the signal, if any."""

    stopped_by: ExitCode | None = None
    bugs: int = 0
    warnings: int = 0


def exit_code(
    judgement: Judgement, circumstances: Circumstances, fail_on: FailOn = FailOn.WEAKENED
) -> ExitCode:
    """Return the first code that applies; refusals to start are exceptions with codes of their own.

    ``judgement`` leaves out what somebody acknowledged. ``fail_on`` silences verdicts only: a
    signal, a bug, and a repository in which nothing was recognised (an unmounted disk looks like
    that) are no verdicts.
    """
    if circumstances.stopped_by is not None:
        return circumstances.stopped_by
    verdicts = [image.ruling.verdict for image in judgement.images]
    verdicts += [other.ruling.verdict for other in judgement.others if other.ruling is not None]
    worst = max((verdict for verdict in verdicts if verdict >= fail_on.mildest), default=None)
    if worst is not None and worst >= Verdict.EMPTY:
        return ExitCode.DAMAGE
    if circumstances.bugs:
        return ExitCode.BUG
    if worst is Verdict.UNPROVEN or not verdicts:
        return ExitCode.UNPROVEN
    if worst is Verdict.WEAKENED or (circumstances.warnings and fail_on is FailOn.WEAKENED):
        return ExitCode.WEAKENED
    return ExitCode.SOUND


def help_text() -> str:
    """Return the table of codes for ``--help``, one a line."""
    return "\n".join(f"{code:>5}  {meaning}" for code, meaning in MEANINGS.items())
