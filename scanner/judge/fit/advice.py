"""What is to be said of the newest backup of each kind, where it does not fit its source.

Nothing is said of what has a verdict of its own: an empty image, one that was cut, one that is
still being written. Of each image the first rule that applies speaks, as one cause shows in many
sizes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from formats.core.model import Kind
from scanner.judge import words
from scanner.judge.advice import Advice, Severity
from scanner.judge.fit.fit import Fit, FitWord
from scanner.judge.fit.usual import Compared
from scanner.judge.model import JudgedImage
from scanner.judge.sources.model import Source
from scanner.judge.sources.saying import said

MASS_CHANGE = 5
"""An increment so many times as large as usual is more than a busy day."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest whole backup of a kind, and how it fits."""

    image: JudgedImage
    fit: Fit

    @property
    def name(self) -> str:
        """What a sentence calls it."""
        return f"the newest {self.fit.kind or 'image'} ({self.image.path!r})"

    @property
    def size_bytes(self) -> int:
        """What is compared with earlier backups."""
        return self.fit.file_bytes if self.fit.stored_bytes is None else self.fit.stored_bytes


Said = tuple[Severity, str] | None


@dataclass(frozen=True, slots=True)
class FitAdviceRule:
    """One line of the table: its name, and what it says of a backup, if anything.

    ``lasting`` says that the next backup would be told the same: whoever accepts it does so for
    those too.
    """

    name: str
    says: Callable[[Newest], Said]
    lasting: bool = False


def fit_advice(source: Source, fits: Mapping[int, Fit]) -> Iterator[Advice]:
    """Yield what is to be said of a source's newest backups; `newest_fits` are enough for it."""
    for newest in newest_of(source, fits):
        for rule in RULES:
            found = rule.says(newest)
            if found is not None:
                about = (newest.fit.kind or "") if rule.lasting else newest.image.path
                yield said(source, rule.name, *found, about=about)
                break


def newest_of(source: Source, fits: Mapping[int, Fit]) -> Iterator[Newest]:
    """Yield the newest backup of each kind, of those that are whole and not empty."""
    found: dict[Kind | None, Newest] = {}
    for image in source.images:
        own = fits.get(image.key)
        if own is not None and own.whole and own.word is not FitWord.EMPTY:
            found[own.kind] = Newest(image, own)
    yield from found.values()


def partial(newest: Newest) -> Said:
    """It stores clearly less than it should."""
    if newest.fit.word is not FitWord.PARTIAL:
        return None
    return Severity.WARNING, f"{newest.name} is only a part of its source: {newest.fit.reason}"


def source_shrank(newest: Newest) -> Said:
    """A full of a source that was far larger before: a disk or a file may have been left out."""
    fit = newest.fit
    if fit.kind is not Kind.FULL or fit.compared_source is not Compared.SMALLER:
        return None
    usual = words.size(fit.usual_source_bytes or 0)
    if fit.used_bytes is not None:
        size = f"{words.size(fit.used_bytes)} in use"
    else:
        size = words.size(fit.source_bytes or 0)
    return Severity.WARNING, f"{newest.name} is of a source with {size}, {usual} are usual"


def smaller_than_usual(newest: Newest) -> Said:
    """It is far smaller than earlier ones of its kind."""
    if newest.fit.compared is not Compared.SMALLER:
        return None
    return Severity.WARNING, f"{newest.name} is smaller than usual: {sizes(newest)}"


def larger_than_usual(newest: Newest) -> Said:
    """It is far larger than earlier ones of its kind.

    A differential grows until the next full, so how large it may be its own kind does not tell.
    """
    fit = newest.fit
    if fit.compared is not Compared.LARGER or fit.kind is Kind.DIFFERENTIAL:
        return None
    sentence = f"{newest.name} is larger than usual: {sizes(newest)}"
    mass = fit.kind is Kind.INCREMENTAL and newest.size_bytes > MASS_CHANGE * (fit.usual_bytes or 0)
    if not mass:
        return Severity.ADVICE, sentence
    causes = "mass changes, an encrypting intruder, or a reset of change tracking"
    return Severity.WARNING, f"{sentence}; much changed at once: {causes}"


def sizes(newest: Newest) -> str:
    """Return its size, and the usual one."""
    verb = "its file takes" if newest.fit.stored_bytes is None else "it stores"
    usual = words.size(newest.fit.usual_bytes or 0)
    return f"{verb} {words.size(newest.size_bytes)}, {usual} are usual"


RULES: tuple[FitAdviceRule, ...] = (
    FitAdviceRule("fit.partial", partial),
    FitAdviceRule("fit.source-shrank", source_shrank, lasting=True),
    FitAdviceRule("fit.smaller-than-usual", smaller_than_usual),
    FitAdviceRule("fit.larger-than-usual", larger_than_usual),
)
