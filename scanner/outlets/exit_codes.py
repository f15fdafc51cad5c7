"""What a command ends with. The first that applies decides; the order is the users' contract."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from scanner.judge.model import JudgedImage, Judgement, Verdict


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
    ExitCode.NOT_THERE: "the repository or the ledger is not there, or cannot be looked into",
    ExitCode.LOCKED: "locked by another run",
    ExitCode.INTERRUPTED: "stopped by SIGINT, progress kept",
    ExitCode.TERMINATED: "stopped by SIGTERM, progress kept",
    ExitCode.DAMAGE: "damaged, incomplete or empty",
    ExitCode.BUG: "a bug of bakproof",
    ExitCode.UNPROVEN: "unproven, or nothing recognised to scan",
    ExitCode.WEAKENED: "weakened, left over by a retention, or warnings",
    ExitCode.SOUND: "everything in scope is sound, accepted, or milder than --fail-on",
}
"""Every code in order of precedence, with its sentence; the help text is made of it."""

ALL_SOUND = "everything in scope is sound"


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
    """What besides verdicts has a say. ``stopped_by`` is the exit code of the signal, if any.

    ``accepted_warnings`` are those that somebody acknowledged; ``warnings`` are all others.
    """

    stopped_by: ExitCode | None = None
    bugs: int = 0
    warnings: int = 0
    accepted_warnings: int = 0


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
    verdicts = [weight(image) for image in judgement.images]
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


def weight(image: JudgedImage) -> Verdict:
    """Return the verdict an image has a say with.

    What a retention left over of a database restores nothing and is missed by nobody: it is worth
    tidying up, and no alarm every night.
    """
    verdict = image.ruling.verdict
    return Verdict.WEAKENED if image.ruling.rule == "left-over" else verdict


def exit_meaning(
    judgement: Judgement, effective: Judgement, circumstances: Circumstances, fail_on: FailOn
) -> str:
    """Return the sentence of the code that ``effective`` gives.

    ``judgement`` is all that was found, ``effective`` leaves out what somebody acknowledged. The
    sentence of 0 counts what was accepted or silenced, so that it never says more than is so.
    """
    code = exit_code(effective, circumstances, fail_on)
    if code is not ExitCode.SOUND:
        return code.meaning
    found, left = verdicts_of(judgement), verdicts_of(effective)
    accepted = Counter(
        verdict for subject, verdict in found.items() if verdict > left.get(subject, Verdict.SOUND)
    )
    silenced: Counter[Verdict] = Counter(
        verdict for verdict in left.values() if verdict is not Verdict.SOUND
    )
    what = "unaccepted" if accepted else "in scope"
    worst = max(silenced, default=Verdict.SOUND)
    said = f"nothing {what} is worse than {worst.word}" if accepted or silenced else ALL_SOUND
    for label, verdicts, warnings in (
        ("accepted", accepted, circumstances.accepted_warnings),
        (f"let pass by --fail-on {fail_on}", silenced, circumstances.warnings),
    ):
        parts = [f"{verdicts[verdict]:,} {verdict.word}" for verdict in sorted(verdicts)[::-1]]
        parts += [f"{warnings:,} warning{'' if warnings == 1 else 's'}"] if warnings else []
        said += f"; {label}: {', '.join(parts)}" if parts else ""
    return said


def verdicts_of(judgement: Judgement) -> dict[tuple[str, int], Verdict]:
    """Return the verdict of each image, and of each other file that has one."""
    images = {("image", item.key): item.ruling.verdict for item in judgement.images}
    others = {
        ("other", item.file.id): item.ruling.verdict
        for item in judgement.others
        if item.ruling is not None
    }
    return images | others


def help_text() -> str:
    """Return the table of codes for ``--help``, one a line."""
    return "\n".join(f"{code:>5}  {meaning}" for code, meaning in MEANINGS.items())
