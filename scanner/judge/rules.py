"""The rule table: evidence in, verdict out. The first rule that applies decides.

A verdict is earned: the last rule gives *unproven*, so that nothing is called sound by default.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from formats.core.model import Bearing, Kind, Outcome
from scanner.judge.cases import Case
from scanner.judge.model import Ruling, Verdict
from scanner.ledger.rows import EvidenceRow, FileRow
from scanner.results import BUG_CHECK, FileState


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a rule applies: the evidence, where a single row says it."""

    evidence: EvidenceRow | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table: what applies, and what it means."""

    name: str
    verdict: Verdict
    applies: Callable[[Case, timedelta], Finding | None]
    meaning: str


def judge_alone(case: Case, settle: timedelta) -> Ruling:
    """Return the verdict on an image by itself, without its parents."""
    for rule in RULES if case.bad else RULES_WITHOUT_BAD:
        found = rule.applies(case, settle)
        if found is not None:
            return Ruling(rule.verdict, rule.name, found.evidence)
    return Ruling(Verdict.UNPROVEN, "nothing-proven")


def first(case: Case, *outcomes: Outcome, bearing: Bearing | None = None) -> Finding | None:
    """Find the first bad evidence with one of these outcomes (and this bearing)."""
    for row in case.bad:
        evidence = row.evidence
        if evidence.outcome in outcomes and bearing in (None, evidence.bearing):
            return Finding(row)
    return None


def named(case: Case, check: str) -> Finding | None:
    """Find bad evidence of one check."""
    for row in case.bad:
        if row.evidence.check == check:
            return Finding(row)
    return None


def gone(case: Case, _settle: timedelta) -> Finding | None:
    """A file of the image is not there any more."""
    return Finding() if case.states == {FileState.GONE} else None


def changing(case: Case, _settle: timedelta) -> Finding | None:
    """Somebody wrote to the file while it was read."""
    changed = FileState.CHANGED in case.states
    return (named(case, "storage.changed") or Finding()) if changed else None


def being_written(case: Case, settle: timedelta) -> Finding | None:
    """Unfinished, and touched a moment ago."""
    if not fresh(case, settle):
        return None
    # A parent that is not there is not what a writer is at: who scans right after every backup
    # would never hear of it.
    own = tuple(row for row in case.bad if not row.evidence.check.startswith("chain."))
    return unfinished(case if len(own) == len(case.bad) else replace(case, evidence=own))


def unfinished(case: Case) -> Finding | None:
    """Something is missing at the end, or a mark says that the writer has not finished."""
    missing = first(case, Outcome.TRUNCATED, bearing=Bearing.NEEDED)
    if missing is not None:
        return missing
    open_end = any(not piece.complete or piece.in_progress for piece in case.pieces)
    return Finding() if open_end else None


def fresh(case: Case, settle: timedelta) -> bool:
    """Whether any file of the image was written to shortly before it was last seen."""
    return any(touched_just_now(file, settle) for file in case.files)


def touched_just_now(file: FileRow, settle: timedelta) -> bool:
    """Whether a file was written to shortly before it was last seen.

    Measured against the survey that saw it, so that judging again later changes nothing. A time
    far in the future is a wrong clock, not a fresh file.
    """
    if file.mtime_ns <= 0:
        return False
    age = file.seen_at.timestamp() - file.mtime_ns / 1e9
    return abs(age) < settle.total_seconds()


def storage_fails(case: Case, _settle: timedelta) -> Finding | None:
    """The storage refuses bytes for good."""
    return first(case, Outcome.UNREADABLE, bearing=Bearing.NEEDED)


def bytes_wrong(case: Case, _settle: timedelta) -> Finding | None:
    """A check of needed bytes failed, twice."""
    return first(case, Outcome.MISMATCHED, bearing=Bearing.NEEDED)


def bytes_missing(case: Case, _settle: timedelta) -> Finding | None:
    """Needed bytes are not there."""
    return first(case, Outcome.TRUNCATED, bearing=Bearing.NEEDED)


def piece_missing(case: Case, settle: timedelta) -> Finding | None:
    """A file that holds a part of this image is not there: a stripe of a backup."""
    return absent_file(case, settle, "set.")


def member_missing(case: Case, settle: timedelta) -> Finding | None:
    """An image that this one needs is not there."""
    return absent_file(case, settle, "chain.")


def absent_file(case: Case, settle: timedelta, checks: str) -> Finding | None:
    """Find that nothing is missing before a file as a whole, by checks of one name."""
    found = bytes_missing(case, settle)
    if found is None or found.evidence is None:
        return None
    return found if found.evidence.evidence.check.startswith(checks) else None


def left_over(case: Case, _settle: timedelta) -> Finding | None:
    """Nothing leads to it any more: it was kept longer than the full it belongs to."""
    return named(case, "chain.backup.left-over")


def stalled(case: Case, _settle: timedelta) -> Finding | None:
    """The writer never finished, and nobody has written for a while."""
    return unfinished(case)


def refused(case: Case, _settle: timedelta) -> Finding | None:
    """The file could not be opened or read."""
    if FileState.REFUSED in case.states:
        return named(case, "storage.refused") or Finding()
    return None


def bug(case: Case, _settle: timedelta) -> Finding | None:
    """Our own code failed on this file."""
    return named(case, BUG_CHECK)


def not_read(case: Case, _settle: timedelta) -> Finding | None:
    """Not every byte was read yet."""
    return None if case.read else Finding()


def nothing_stored(case: Case, _settle: timedelta) -> Finding | None:
    """A full that stores no byte of its source. An increment may: nothing had changed."""
    if case.image.kind in (Kind.FULL, None) and case.payload_bytes == 0:
        return Finding()
    return None


def only_zeros(case: Case, _settle: timedelta) -> Finding | None:
    """A full whose source data is nothing but zeros."""
    if not case.read or case.image.kind not in (Kind.FULL, None):
        return None
    seen = case.payload_seen
    return Finding() if seen.bytes > 0 and not seen.nonzero else None


def misnamed(case: Case, _settle: timedelta) -> Finding | None:
    """Named like a format that is read, and something else: perhaps what is left of a backup."""
    return named(case, "generic.name")


def written_without_room(case: Case, _settle: timedelta) -> Finding | None:
    """No room was left right after it was written, and its format has no end that would tell."""
    return named(case, "storage.space.left")


def not_judgeable(case: Case, _settle: timedelta) -> Finding | None:
    """Encrypted, a closed format, or a variant this version does not read."""
    return (
        first(case, Outcome.UNSUPPORTED, bearing=Bearing.NEEDED)
        or first(case, Outcome.UNSUPPORTED, bearing=Bearing.DOUBTFUL)
        or (None if case.supported else Finding())
    )


def doubtful(case: Case, _settle: timedelta) -> Finding | None:
    """Something that is either harmless or fatal, and nothing in the file tells which."""
    return first(
        case,
        Outcome.MISMATCHED,
        Outcome.TRUNCATED,
        Outcome.UNREADABLE,
        bearing=Bearing.DOUBTFUL,
    )


def nothing_proven(case: Case, _settle: timedelta) -> Finding | None:
    """No byte of the image was found right, so that what is wrong with it weakens nothing."""
    read = all(file.read_at for file in case.files)
    structure = any(row.evidence.outcome is Outcome.MATCHED for row in case.evidence)
    return None if read and structure else Finding()


def copy_failing(case: Case, _settle: timedelta) -> Finding | None:
    """A second copy is wrong or missing; the first one serves."""
    return first(
        case,
        Outcome.MISMATCHED,
        Outcome.TRUNCATED,
        Outcome.UNREADABLE,
        bearing=Bearing.REDUNDANT,
    )


def unsteady(case: Case, _settle: timedelta) -> Finding | None:
    """The same bytes came out differently when read again."""
    return first(case, Outcome.UNSTEADY)


def proven(case: Case, settle: timedelta) -> Finding | None:
    """Structure proven, every byte read, nothing bad."""
    whole = case.supported and all(piece.complete for piece in case.pieces)
    clean = not any(matters(row) for row in case.bad)
    proven_at_all = nothing_proven(case, settle) is None
    return Finding() if case.read and whole and clean and proven_at_all else None


def matters(row: EvidenceRow) -> bool:
    """Whether bad evidence may touch the verdict at all."""
    unsupported = row.evidence.outcome is Outcome.UNSUPPORTED
    return not (unsupported and row.evidence.bearing is Bearing.REDUNDANT)


RULES: tuple[Rule, ...] = (
    Rule("gone", Verdict.INCOMPLETE, gone, "the file is not there any more"),
    Rule("changing", Verdict.UNPROVEN, changing, "the file changed while it was read"),
    Rule("being-written", Verdict.UNPROVEN, being_written, "unfinished, and written to just now"),
    Rule("storage-fails", Verdict.DAMAGED, storage_fails, "the storage refuses needed bytes"),
    Rule("bytes-wrong", Verdict.DAMAGED, bytes_wrong, "needed bytes are wrong"),
    Rule("left-over", Verdict.INCOMPLETE, left_over, "older than every full it could need"),
    Rule("piece-missing", Verdict.INCOMPLETE, piece_missing, "a piece of it is missing"),
    Rule("member-missing", Verdict.INCOMPLETE, member_missing, "an image it needs is missing"),
    Rule("bytes-missing", Verdict.INCOMPLETE, bytes_missing, "needed bytes are missing"),
    Rule("stalled", Verdict.INCOMPLETE, stalled, "the writer never finished"),
    Rule("nothing-stored", Verdict.EMPTY, nothing_stored, "no source data is stored"),
    Rule("only-zeros", Verdict.EMPTY, only_zeros, "the stored source data is all zeros"),
    Rule("bug", Verdict.UNPROVEN, bug, "this program failed on the file"),
    Rule("refused", Verdict.UNPROVEN, refused, "the file could not be read"),
    Rule("not-read", Verdict.UNPROVEN, not_read, "not every byte was read yet"),
    Rule("misnamed", Verdict.UNPROVEN, misnamed, "not what its name says: perhaps cut short"),
    Rule("no-room", Verdict.UNPROVEN, written_without_room, "the disk was full: perhaps cut short"),
    Rule("doubtful", Verdict.UNPROVEN, doubtful, "harmless or fatal, the file does not tell"),
    Rule("not-judgeable", Verdict.UNPROVEN, not_judgeable, "locked, or not supported yet"),
    Rule("nothing-proven", Verdict.UNPROVEN, nothing_proven, "nothing speaks for the file"),
    Rule("unsteady", Verdict.WEAKENED, unsteady, "read differently when read again"),
    Rule("copy-failing", Verdict.WEAKENED, copy_failing, "a redundant part is wrong"),
    Rule("proven", Verdict.SOUND, proven, "structure proven and every byte read"),
)
FOR_BAD_EVIDENCE = frozenset(
    {storage_fails, bytes_wrong, left_over, piece_missing, member_missing, bytes_missing, bug}
    | {misnamed, written_without_room, doubtful, unsteady, copy_failing}
)
"""What applies to nothing of which no evidence is bad: most images need not be asked."""

RULES_WITHOUT_BAD = tuple(rule for rule in RULES if rule.applies not in FOR_BAD_EVIDENCE)


def rule_meanings() -> dict[str, str]:
    """Return what each rule means, also those the chain adds, for explanations."""
    return {rule.name: rule.meaning for rule in RULES} | {
        "named-like-a-backup": "named like a backup, and no known format",
        "parent-cycle": "its parents lead back to itself",
        "parent": "an image it needs decides",
    }
