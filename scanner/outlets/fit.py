"""Say how an image fits what it came from: for people, and for JSON."""

from collections.abc import Iterator

import msgspec

from scanner.judge.fit.fit import Fit, arithmetic, fits
from scanner.judge.model import JudgedImage
from scanner.outlets import wording
from scanner.outlets.report import Report


class FitOut(msgspec.Struct, frozen=True, kw_only=True):
    """How an image fits its source; sizes are bytes, unknown is null.

    ``word`` is one of empty, partial, plausible, full and unknown. ``usual_bytes`` is the median of
    earlier backups of its kind, null while fewer than ``learned_needed`` are known; ``compared`` is
    one of learning, usual, smaller and larger.
    """

    word: str
    reason: str
    source_bytes: int | None
    used_bytes: int | None
    stored_bytes: int | None
    nonzero_bytes: int | None
    file_bytes: int
    expected_bytes: int | None
    usual_bytes: int | None
    compared: str
    learned_from: int
    learned_needed: int


def fit_of(report: Report, image: JudgedImage) -> Fit | None:
    """Return how an image fits its source; None where no source has it."""
    for one in report.outlook.sources:
        if any(other.key == image.key for other in one.source.images):
            return fits(one.source).get(image.key)
    return None


def fit_out(fit: Fit | None) -> FitOut | None:
    """Return the fit of one image."""
    if fit is None:
        return None
    return FitOut(
        word=fit.word,
        reason=wording.encodable(fit.reason),
        source_bytes=fit.source_bytes,
        used_bytes=fit.used_bytes,
        stored_bytes=fit.stored_bytes,
        nonzero_bytes=fit.nonzero_bytes,
        file_bytes=fit.file_bytes,
        expected_bytes=fit.expected_bytes,
        usual_bytes=fit.usual_bytes,
        compared=fit.compared,
        learned_from=fit.learned[0],
        learned_needed=fit.learned[1],
    )


def fit_lines(fit: Fit | None) -> Iterator[str]:
    """Yield the word and why, then the arithmetic; nothing where there is no fit."""
    if fit is not None:
        yield f"{fit.word}: {fit.reason}"
        yield from arithmetic(fit)
