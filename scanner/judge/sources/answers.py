"""What to tell a person at seven in the morning: one answer per source.

Up to when it can be restored; what is wrong, worst first; and what to do first about it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from scanner.judge.advice import Advice, Severity
from scanner.judge.model import JudgedImage, Verdict
from scanner.judge.rules import rule_meanings
from scanner.judge.sources.model import RestorePoint, Source, when


class State(IntEnum):
    """How a source stands, worst last."""

    RESTORABLE = 0  # its newest backup restores, and nothing is to be done
    ATTENTION = 1  # its newest backup restores; something is to be looked into
    BEHIND = 2  # an older backup restores; the newest does not
    UNPROVEN = 3  # nothing is proven to restore, and nothing is known to be broken
    LOST = 4  # nothing restores

    @property
    def word(self) -> str:
        """The state as every outlet spells it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to be said of a source.

    ``newest`` is the newest point that restores, ``failing`` the newest backup where that one does
    not, ``failed`` how many backups after ``newest`` do not restore. ``wrong`` and ``first`` are
    sentences, None where nothing is wrong. ``writing`` is whether a newer one is being written.
    """

    state: State
    newest: RestorePoint | None
    failing: RestorePoint | None
    failed: int
    wrong: str | None
    first: str | None
    writing: bool = False


def answer(
    source: Source,
    images: Mapping[int, JudgedImage],
    advice: Sequence[Advice],
) -> Answer:
    """Return the answer for a source; ``advice`` is what the rules say of it."""
    newest = source.newest
    after = [point for point in source.points if not point.usable and later(point, newest)]
    writing = any(point.ruling.rule in STILL_WRITTEN for point in after)
    if newest is not None:
        # What is still being written has not failed, and what there was before still restores.
        after = [point for point in after if point.ruling.rule not in STILL_WRITTEN]
    failing = max(after, key=when, default=None)
    warnings = [item for item in advice if item.severity is Severity.WARNING]
    state = state_of(newest, failing, after, warnings)
    return Answer(
        state,
        newest,
        failing,
        len(after),
        wrong(failing, images, warnings, source),
        first(failing, images, warnings, source),
        writing,
    )


def later(point: RestorePoint, newest: RestorePoint | None) -> bool:
    """Whether a point lies behind the newest that restores."""
    return newest is None or point.at > newest.at


def state_of(
    newest: RestorePoint | None,
    failing: RestorePoint | None,
    after: Iterable[RestorePoint],
    warnings: Sequence[Advice],
) -> State:
    """Return how a source stands."""
    if newest is None:
        verdicts = [point.ruling.verdict for point in after]
        unproven = bool(verdicts) and max(verdicts) <= Verdict.UNPROVEN
        return State.UNPROVEN if unproven else State.LOST
    if failing is not None:
        return State.BEHIND
    weak = newest.ruling.verdict is not Verdict.SOUND
    return State.ATTENTION if warnings or weak else State.RESTORABLE


def wrong(
    failing: RestorePoint | None,
    images: Mapping[int, JudgedImage],
    warnings: Sequence[Advice],
    source: Source,
) -> str | None:
    """Say what is wrong: the newest backup first, then the first warning."""
    said = []
    if not source.points and not warnings:
        said.append("there is no backup of it")
    if failing is not None:
        said.append(failure(failing, images))
    elif source.newest is not None and source.newest.ruling.verdict is not Verdict.SOUND:
        said.append(failure(source.newest, images))
    telling = [item for item in warnings if item.rule not in IMPLIED or source.newest is not None]
    telling.sort(key=lambda item: item.rule not in PRESSING)
    said += [item.text for item in telling[:WARNINGS_TOLD_MAX]]
    more = len(telling) - WARNINGS_TOLD_MAX
    if more > 0:
        said.append(f"{more} more warning{'' if more == 1 else 's'} below")
    return "; ".join(said) or None


def failure(point: RestorePoint, images: Mapping[int, JudgedImage]) -> str:
    """Say why the newest backup does not restore, and whose fault it is."""
    image = images[point.key]
    meaning = MEANINGS.get(point.ruling.rule, point.ruling.rule)
    row = point.ruling.evidence
    if point.ruling.rule == "doubtful" and row is not None and row.evidence.check in TELLING:
        meaning = row.evidence.actual or meaning
    said = f"newest backup {image.path!r} is {point.ruling.verdict.word}: "
    if point.deciding_key == point.key or point.deciding_key not in images:
        return said + meaning
    other = f"{images[point.deciding_key].path!r}, which it needs"
    # Of a file that is gone nothing can be wrong in it.
    gone = point.ruling.rule == "gone"
    return said + (f"{other}, is not there any more" if gone else f"{meaning} in {other}")


def first(
    failing: RestorePoint | None,
    images: Mapping[int, JudgedImage],
    warnings: Sequence[Advice],
    source: Source,
) -> str | None:
    """Say what to do first: make room, without which no new backup can come; then the rest."""
    for item in warnings:
        if item.rule in PRESSING:
            return ADVICE_STEPS[item.rule]
    point = failing or source.newest
    if point is None and not warnings:
        return "find out why no backup of it arrives"
    step = None if point is None else STEPS.get(point.ruling.rule)
    if point is not None and step is not None:
        return step(images.get(point.deciding_key, images[point.key]))
    steps = (ADVICE_STEPS.get(item.rule, f"look into {item.rule}") for item in warnings)
    return next(steps, None)


STILL_WRITTEN = frozenset({"being-written", "changing"})
"""Rules of a backup that a writer is at."""

MEANINGS: Mapping[str, str] = rule_meanings()


def named(image: JudgedImage) -> str:
    """Return a file's path as every message quotes it."""
    return repr(image.path)


def missing_parent(image: JudgedImage) -> str:
    """Say which image is to be looked for."""
    wanted = next((link.wanted for link in image.parents if link.image_key is None), None)
    what = "what it needs" if wanted is None else wanted
    return f"look for {what}, else {NEW_FULL}"


def missing_piece(image: JudgedImage) -> str:
    """Say which pieces are to be looked for."""
    pieces = [piece.piece for piece in image.pieces if piece.piece is not None]
    there = {piece.number for piece in pieces}
    count = max((piece.count for piece in pieces), default=0)
    lost = [number for number in range(1, count + 1) if number not in there][:PIECES_NAMED_MAX]
    which = ", ".join(map(str, lost)) or "missing"
    return f"look for piece {which} of {count}, as {named(image)} is one, else {NEW_FULL}"


PIECES_NAMED_MAX = 8

NEW_FULL = "start a new full backup"
WAIT = "nothing yet: the next scan looks again"

STEPS: Mapping[str, Callable[[JudgedImage], str]] = {
    "gone": lambda image: f"look for {named(image)}, else {NEW_FULL}",
    "changing": lambda _image: WAIT,
    "being-written": lambda _image: WAIT,
    "not-read": lambda _image: "let a scan run to its end",
    "storage-fails": lambda image: f"replace the disk under {named(image)}, then {NEW_FULL}",
    "bytes-wrong": lambda image: f"{NEW_FULL}, and look for another copy of {named(image)}",
    "left-over": lambda image: f"remove {named(image)}: nothing leads to it any more",
    "piece-missing": missing_piece,
    "member-missing": missing_parent,
    "bytes-missing": lambda _image: f"see why the backup job ended early, then {NEW_FULL}",
    "stalled": lambda _image: f"see why the backup job never finished, then {NEW_FULL}",
    "nothing-stored": lambda _image: "see what the backup job is set to back up: it stores nothing",
    "only-zeros": lambda _image: "see what the backup job is set to back up: it stores only zeros",
    "bug": lambda image: f"report what `bakproof explain {image.path}` prints",
    "refused": lambda image: f"let this program read {named(image)}",
    "misnamed": lambda image: f"see what {named(image)} is: it is not what its name says",
    "no-room": lambda _image: f"make room, then {NEW_FULL}",
    "doubtful": lambda image: f"try a restore: {named(image)} alone cannot tell",
    "not-judgeable": lambda image: f"try a restore: {named(image)} cannot be judged from outside",
    "nothing-proven": lambda image: f"try a restore: nothing in {named(image)} can be proven",
    "unsteady": lambda image: f"check memory, cable and disk: {named(image)} reads differently",
    "copy-failing": lambda image: f"{NEW_FULL}: {named(image)} has lost a spare part",
    "parent-cycle": lambda _image: NEW_FULL,
}
"""What to do first about the rule that decided."""

TELLING: frozenset[str] = frozenset(
    {"chain.parent.present", "chain.parent.unmodified", "chain.sequence.present"}
)
"""Doubts that say more by what was found than by their rule."""

IMPLIED = frozenset({"source.rpo"})
"""Rules that say no more than that nothing restores."""

WARNINGS_TOLD_MAX = 1
"""Warnings in the line of a source; all of them are listed with the others."""

PRESSING = frozenset({"forecast.cannot-fit", "forecast.will-not-fit"})

ADVICE_STEPS: Mapping[str, str] = {
    "forecast.cannot-fit": "allot more room: the next full backup cannot fit",
    "forecast.will-not-fit": "make room before the next full backup",
    "chain.swapped": "see which files were swapped or renamed, and put them back",
    "source.stranger": "see why the backup job left a file that is no backup",
    "source.missing": "see whether its backup job was ever set up, and where it writes to",
    "source.gone": "see who removed its backups, and start a new full backup",
    "source.rpo": "see why its backup job brings nothing newer",
    "source.ahead": "set the clock right, and the file's date",
    "source.late": "see why its backup job did not run",
    "source.overdue": "see why its backup job does not run any more",
    "source.rto": "keep fewer images in a chain, or a copy on a faster disk",
    "source.undeclared": "declare it in the configuration, or remove its backups",
    "machine.no-database": "set up a backup of the database itself",
    "fit.partial": "see whether the backup job reaches all of its source",
    "fit.smaller-than-usual": "see whether the backup job still reaches all of its source",
    "fit.larger-than-usual": "see what changed so much at once, before old backups are removed",
    "fit.source-shrank": "see whether the source itself lost data, or another disk is backed up",
    "sql.log-backups-missing": "set up log backups, or the simple recovery model",
    "sql.full-too-old": f"{NEW_FULL}, and see why none came",
    "sql.stored-too-little": f"try a restore, then {NEW_FULL}",
    "sql.only-copy-only": "take a full backup without COPY_ONLY",
}
"""What to do first about a warning."""
