"""Whether an image fits what it came from: empty, a part of it, plausible, or all there is.

The first word of the table that applies is said, with the sizes that decided. A full is held
against what its source had in use, where the format knows it; else against what is declared, and
what is usual of the source. Increments, differentials and logs are held against their own kind
alone. What a thin image stores of a large disk proves nothing: then the word is *unknown*.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from formats.core.model import Kind
from scanner.config import USUAL_MIN, USUAL_SPAN, USUAL_WINDOW
from scanner.judge import words
from scanner.judge.fit.cases import FULL_KINDS, Case, cases_of, share
from scanner.judge.fit.stored import kind_of, only_zeros
from scanner.judge.fit.usual import OTHERS, Compared
from scanner.judge.sources.model import Source

FULL_SHARE_MIN = 0.98
"""What stores this share of what was in use stores all of it; the rest is rounding."""

USED_SHARE_MIN = 0.9
"""What stores less than this share of what was in use is a part."""

DECLARED_SHARE_MIN = 0.7
"""A declared size is a rough one; below this share of it something is missing."""

ZEROS_SHARE_MIN = 0.5
"""What is not zeros is too little below this share of what is stored, and of what is usual."""


class FitWord(StrEnum):
    """How well an image fits its source."""

    EMPTY = "empty"
    PARTIAL = "partial"
    PLAUSIBLE = "plausible"
    FULL = "full"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Fit:
    """How an image fits its source, and the sizes that say so; unknown is None.

    ``stored_bytes`` are there of the source's data, ``nonzero_bytes`` of them are at most not all
    zeros. ``expected_bytes`` is declared. ``usual_bytes`` is the median of earlier backups of its
    ``kind``, of what they store or else of their files; None while it is being learned. ``learned``
    is how many of those there are, and how many are needed; ``watched`` the same in time, before
    any size is unusual. ``compared`` is how it compares with them, ``compared_source`` how its
    source did, of which ``usual_source_bytes`` is the median. ``whole`` says that nothing of the
    image is missing.
    """

    word: FitWord
    reason: str
    kind: Kind | None
    source_bytes: int | None
    used_bytes: int | None
    stored_bytes: int | None
    nonzero_bytes: int | None
    file_bytes: int
    expected_bytes: int | None
    usual_bytes: int | None
    usual_source_bytes: int | None
    learned: tuple[int, int]
    watched: tuple[timedelta, timedelta]
    compared: Compared
    compared_source: Compared
    whole: bool


@dataclass(frozen=True, slots=True)
class FitRule:
    """One line of the table: the word, and the reason where it applies."""

    word: FitWord
    applies: Callable[[Case], str | None]


def fits(source: Source) -> Mapping[int, Fit]:
    """Return how each living image fits the source, by key."""
    return {case.image.key: fit(case) for case in cases_of(source)}


def newest_fits(source: Source) -> Mapping[int, Fit]:
    """Return how the newest image of each kind fits, of those that are whole and not empty.

    That is all that advice is about, and far less work than all of a source with many images.
    """
    found: dict[Kind | None, tuple[int, Fit]] = {}
    kinds = {kind_of(image.image.kind, image.path) for image in source.images}
    for case in cases_of(source):
        if len(found) == len(kinds):
            break
        if case.stored.kind not in found and case.stored.absent is None:
            own = fit(case)
            if own.word is not FitWord.EMPTY:
                found[own.kind] = case.image.key, own
    return dict(found.values())


def fit(case: Case) -> Fit:
    """Return the word that applies, and what it was decided on."""
    stored, usual = case.stored, case.usual
    word, reason = ruled(case)
    return Fit(
        word=word,
        reason=reason if stored.absent is None else f"{reason}; {stored.absent}",
        kind=stored.kind,
        source_bytes=stored.source_bytes,
        used_bytes=stored.used_bytes,
        stored_bytes=stored.stored_bytes,
        nonzero_bytes=stored.nonzero_bytes,
        file_bytes=case.file_bytes,
        expected_bytes=case.expected_bytes,
        usual_bytes=usual.usual_bytes,
        usual_source_bytes=case.usual_source.usual_bytes,
        learned=(usual.count, USUAL_MIN),
        watched=(usual.span, timedelta() if stored.kind is Kind.FULL else USUAL_SPAN),
        compared=usual.compared,
        compared_source=case.usual_source.compared,
        whole=stored.absent is None,
    )


def ruled(case: Case) -> tuple[FitWord, str]:
    """Return the first word that applies, and why."""
    for rule in RULES:
        reason = rule.applies(case)
        if reason is not None:
            return rule.word, reason
    return FitWord.UNKNOWN, nothing_to_compare(case)


def nothing_stored(case: Case) -> str | None:
    """A full without a byte of its source. An increment may be: nothing had changed."""
    if case.image.image.kind in FULL_KINDS and case.stored.stored_bytes == 0:
        return "it stores nothing of its source"
    return None


def all_zeros(case: Case) -> str | None:
    """A full of nothing but zeros."""
    if case.image.image.kind in FULL_KINDS and only_zeros(case.image):
        return "all that it stores is zeros"
    return None


def less_than_used(case: Case) -> str | None:
    """Clearly less than the source's own account of what was in use."""
    if case.used_share is None or case.used_share >= USED_SHARE_MIN:
        return None
    return of_used(case)


def less_than_mapped(case: Case) -> str | None:
    """Clearly less than the image's own account of what it stores: the rest was cut off."""
    stored, mapped = case.stored.stored_bytes, case.stored.mapped_bytes
    part = share(stored, mapped)
    if part is None or part >= USED_SHARE_MIN:
        return None
    return f"{percent(stored, mapped)} of the {words.size(mapped or 0)} in its own map are there"


def less_than_declared(case: Case) -> str | None:
    """Clearly less than somebody says the source holds."""
    part = share(case.held_bytes, case.expected_bytes)
    if not case.is_full or part is None or part >= DECLARED_SHARE_MIN:
        return None
    return f"{holds(case)}, {words.size(case.expected_bytes or 0)} are declared"


def fewer_nonzero(case: Case) -> str | None:
    """Zeros where there used to be none, as in an image whose data was lost before it was read."""
    stored, usual = case.stored, case.usual_nonzero
    if not case.is_full or usual.compared is not Compared.SMALLER:
        return None
    parts = (share(stored.nonzero_bytes, of) for of in (stored.stored_bytes, usual.usual_bytes))
    if any(part is None or part >= ZEROS_SHARE_MIN for part in parts):
        return None
    return f"{holds(case)}, {words.size(usual.usual_bytes or 0)} are usual"


def less_than_usual(case: Case) -> str | None:
    """Unusually little for a full, where nothing else says how much it should be."""
    if not case.is_full or case.used_share is not None:
        return None
    return beside_usual(case) if case.usual.compared is Compared.SMALLER else None


def all_used(case: Case) -> str | None:
    """A full of everything that was in use."""
    if case.stored.absent is not None or not case.is_full or case.used_share is None:
        return None
    return "it stores all that was in use" if case.used_share >= FULL_SHARE_MIN else None


def all_of_source(case: Case) -> str | None:
    """A full of the whole source, used or not."""
    part = share(case.stored.stored_bytes, case.stored.source_bytes)
    if case.stored.absent is not None or not case.is_full or part is None:
        return None
    return "it stores the whole source" if part >= FULL_SHARE_MIN else None


def most_used(case: Case) -> str | None:
    """Nearly all that was in use, or all of it in an image that is no whole full."""
    return None if case.used_share is None else of_used(case)


def as_declared(case: Case) -> str | None:
    """About what is declared."""
    if not case.is_full or case.by_file or case.expected_bytes is None:
        return None
    return f"{holds(case)}, {words.size(case.expected_bytes)} are declared"


def nothing_changed(case: Case) -> str | None:
    """An increment, a differential or a log that stores nothing."""
    if case.stored.stored_bytes != 0:
        return None
    found = "it stores nothing, as when nothing had changed"
    if case.usual.compared is Compared.SMALLER:
        return f"{found}; {words.size(case.usual.usual_bytes or 0)} are usual"
    return found


def known_kind(case: Case) -> str | None:
    """There is something to compare with; what is unusual of it is said apart.

    What may be a full or an increment tells only where it is about as large as usual.
    """
    usual = case.usual.usual_bytes
    if usual is None:
        return None
    if (
        case.stored.kind is None
        and not OTHERS.low * usual <= case.size_bytes <= OTHERS.high * usual
    ):
        return None
    return beside_usual(case)


def nothing_to_compare(case: Case) -> str:
    """Say what is missing to know more."""
    if case.by_file:
        return "how much it stores of its source is not known"
    amount = words.size(case.stored.stored_bytes or 0)
    part = percent(case.stored.stored_bytes, case.stored.source_bytes)
    if not case.is_full or part is None:
        return f"it stores {amount}; nothing tells how much it should be"
    whole = words.size(case.stored.source_bytes or 0)
    return f"it stores {part} of {whole}; nothing tells how much of that was in use"


RULES: tuple[FitRule, ...] = (
    FitRule(FitWord.EMPTY, nothing_stored),
    FitRule(FitWord.EMPTY, all_zeros),
    FitRule(FitWord.PARTIAL, less_than_used),
    FitRule(FitWord.PARTIAL, less_than_mapped),
    FitRule(FitWord.PARTIAL, less_than_declared),
    FitRule(FitWord.PARTIAL, fewer_nonzero),
    FitRule(FitWord.PARTIAL, less_than_usual),
    FitRule(FitWord.FULL, all_used),
    FitRule(FitWord.FULL, all_of_source),
    FitRule(FitWord.PLAUSIBLE, most_used),
    FitRule(FitWord.PLAUSIBLE, as_declared),
    FitRule(FitWord.PLAUSIBLE, nothing_changed),
    FitRule(FitWord.PLAUSIBLE, known_kind),
)


def percent(part: int | None, whole: int | None) -> str | None:
    """Return a share in whole percent; what is less than all of it is never called 100 %."""
    if part is None or not whole:
        return None
    if 0 < part * 100 < whole:
        return "less than 1 %"
    return f"{part * 100 // whole} %"


def of_used(case: Case) -> str:
    """Return how much of what was in use is stored."""
    part = percent(case.stored.stored_bytes, case.stored.used_bytes)
    return f"it stores {part} of the {words.size(case.stored.used_bytes or 0)} that were in use"


def holds(case: Case) -> str:
    """Return what it holds, and how much of that is not zeros where some of it is."""
    stored, nonzero = case.stored.stored_bytes or 0, case.stored.nonzero_bytes
    if nonzero is None or nonzero == stored:
        return f"it stores {words.size(stored)}"
    return f"it stores {words.size(stored)}, {words.size(nonzero)} of it not all zeros"


def beside_usual(case: Case) -> str:
    """Return its size beside the usual one."""
    size, usual = words.size(case.size_bytes), words.size(case.usual.usual_bytes or 0)
    return f"{'its file takes' if case.by_file else 'it stores'} {size}, {usual} are usual"


def arithmetic(fit: Fit) -> tuple[str, ...]:
    """Return the sizes, line by line, from the source to the file."""
    lines = (source_line(fit), stored_line(fit), file_line(fit), declared_line(fit))
    return (*(line for line in lines if line is not None), usual_line(fit))


def source_line(fit: Fit) -> str | None:
    """Return how large the source was."""
    if fit.source_bytes is None and fit.used_bytes is None:
        return None
    whole = "unknown" if fit.source_bytes is None else words.size(fit.source_bytes)
    if fit.used_bytes is None:
        unsaid = "; how much of it was in use the format does not say"
        return f"source {whole}{unsaid if fit.kind in FULL_KINDS else ''}"
    return f"source {whole}, of it in use {words.size(fit.used_bytes)} (the format's own maps)"


def stored_line(fit: Fit) -> str:
    """Return how much is stored."""
    if fit.stored_bytes is None:
        return "stored: not known"
    line = f"stored {words.size(fit.stored_bytes)}"
    used, source = (percent(fit.stored_bytes, of) for of in (fit.used_bytes, fit.source_bytes))
    if used is not None:
        line += f" = {used} of what was in use"
    elif source is not None and fit.kind in FULL_KINDS:
        line += f" = {source} of the source"
    if fit.nonzero_bytes is not None:
        line += f", {words.size(fit.nonzero_bytes)} of it not all zeros"
    return line


def file_line(fit: Fit) -> str:
    """Return how large the file is; of a compressed one, also what it was compressed to."""
    line = f"file {words.size(fit.file_bytes)}"
    if fit.stored_bytes is None or fit.file_bytes >= fit.stored_bytes:
        return line
    return f"{line} = {percent(fit.file_bytes, fit.stored_bytes)} of what is stored"


def declared_line(fit: Fit) -> str | None:
    """Return what is declared."""
    return None if fit.expected_bytes is None else f"declared {words.size(fit.expected_bytes)}"


def usual_line(fit: Fit) -> str:
    """Return what is usual, or how far the learning of it is."""
    (count, needed), (span, least) = fit.learned, fit.watched
    kind = "backup" if fit.kind is None else f"{fit.kind} backup"
    if fit.usual_bytes is None:
        return f"usual: learning, {count} of {needed} earlier {kind}s"
    of = "" if fit.stored_bytes is not None else " in the file"
    counted = words.counted(min(count, USUAL_WINDOW), f"earlier {kind}")
    line = f"usual {words.size(fit.usual_bytes)}{of} (median of {counted})"
    if span < least:
        return f"{line}; learning, {span.days} of {least.days} days"
    return line
