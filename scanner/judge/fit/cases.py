"""What is known of each image of a source that says how well it fits: its sizes, and earlier ones.

Earlier backups count only if they were whole, and fulls only if they stored anything.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from formats.core.model import Kind
from scanner.judge.fit.stored import Stored, kind_of, stored_in
from scanner.judge.fit.usual import Compared, Comparison, Past, compare, past_of
from scanner.judge.forecast.predict import expected_of
from scanner.judge.forecast.sizes import parts_of_files
from scanner.judge.model import JudgedImage
from scanner.judge.sources.model import Measure, Source

FULL_KINDS = frozenset({Kind.FULL, None})
"""Kinds that are held against the whole source; what says of no kind may be a full."""

NOTHING_EARLIER = Comparison(Compared.LEARNING, None, 0, timedelta())


@dataclass(frozen=True, slots=True)
class Case:
    """An image before the table.

    ``usual`` compares what it stores with earlier backups of its kind (its file, where nobody knows
    what it stores), ``usual_nonzero`` what of that is not zeros, ``usual_source`` how much was in
    use there, else how large it was; both of fulls alone.
    """

    image: JudgedImage
    stored: Stored
    file_bytes: int
    expected_bytes: int | None
    usual: Comparison
    usual_nonzero: Comparison
    usual_source: Comparison

    @property
    def by_file(self) -> bool:
        """Whether nothing but the size of the file is known."""
        return self.stored.stored_bytes is None

    @property
    def is_full(self) -> bool:
        """Whether it is to hold the whole source."""
        return self.stored.kind in FULL_KINDS

    @property
    def held_bytes(self) -> int | None:
        """What it holds: what is not zeros, where that is known."""
        nonzero = self.stored.nonzero_bytes
        return self.stored.stored_bytes if nonzero is None else nonzero

    @property
    def size_bytes(self) -> int:
        """What is compared with earlier backups."""
        return self.file_bytes if self.stored.stored_bytes is None else self.stored.stored_bytes

    @property
    def used_share(self) -> float | None:
        """How much of what was in use it stores."""
        return share(self.stored.stored_bytes, self.stored.used_bytes)


Sizes = Mapping[Kind | None, Past]


@dataclass(frozen=True, slots=True)
class Pasts:
    """Sizes of earlier backups of a source, by kind, and when each living image was made.

    What is not zeros, what was in use and how large the source was matter of fulls alone.
    """

    stored: Sizes
    nonzero: Sizes
    used: Sizes
    source: Sizes
    files: Sizes
    made: Mapping[int, datetime]


def cases_of(source: Source) -> Iterator[Case]:
    """Yield every living image, newest first; each is looked at only when it is asked for."""
    pasts = pasts_of(source)
    parts = parts_of_files(source.images)
    expected = expected_of(source)
    for image in reversed(source.images):
        part = parts.get(image.key)
        size = sum(file.size for file in image.files) if part is None else part
        yield case_of(image, size, expected, pasts)


def case_of(image: JudgedImage, file_bytes: int, expected: int | None, pasts: Pasts) -> Case:
    """Put together what is known of an image."""
    stored = stored_in(image)
    at = pasts.made.get(image.key)

    def beside(earlier: Sizes, size: int | None) -> Comparison:
        known = earlier.get(stored.kind)
        if known is None or at is None or size is None:
            return NOTHING_EARLIER
        return compare(known, at, size, stored.kind)

    usual = beside(pasts.stored, stored.stored_bytes)
    if stored.stored_bytes is None:
        usual = beside(pasts.files, file_bytes)
    nonzero = of_source = NOTHING_EARLIER
    if stored.kind is Kind.FULL:
        nonzero = beside(pasts.nonzero, stored.nonzero_bytes)
        # Once a format tells what was in use, only that counts: files shrink around their data.
        of_source = beside(pasts.used, stored.used_bytes)
        if stored.used_bytes is None:
            of_source = beside(pasts.source, stored.source_bytes)
    return Case(image, stored, file_bytes, expected, usual, nonzero, of_source)


def pasts_of(source: Source) -> Pasts:
    """Return what the backups of a source measured."""
    newest = last_measures(source.history)
    grouped: dict[Kind | None, list[Measure]] = {}
    for measure in newest:
        kind = kind_of(measure.kind, measure.path)
        empty = measure.payload_bytes == 0 and kind in FULL_KINDS
        if measure.whole and not empty:
            grouped.setdefault(kind, []).append(measure)
    fulls: Mapping[Kind | None, Sequence[Measure]] = {
        kind: every for kind, every in grouped.items() if kind is Kind.FULL
    }
    # A backup is compared by when it was measured; what was never measured, by its own date.
    made = {point.key: point.at for point in source.points}
    made |= {item.key: item.at for item in newest if item.key is not None}
    return Pasts(
        past_sizes(grouped, lambda measure: measure.payload_bytes),
        # 0 is also what was never looked at.
        past_sizes(fulls, lambda measure: measure.nonzero_bytes or None),
        past_sizes(fulls, lambda measure: measure.used_bytes),
        past_sizes(fulls, lambda measure: measure.source_bytes),
        past_sizes(grouped, lambda measure: measure.file_bytes),
        made,
    )


def last_measures(history: Sequence[Measure]) -> Sequence[Measure]:
    """Return the last measure of each backup: a file may be read while it is being written."""
    newest: dict[object, Measure] = {}
    for measure in sorted(history, key=lambda item: (item.at, item.path, item.file_bytes)):
        gone = measure.key is None
        newest[(measure.path, measure.at) if gone else measure.key] = measure
    return list(newest.values())


def past_sizes(
    grouped: Mapping[Kind | None, Sequence[Measure]], size_of: Callable[[Measure], int | None]
) -> Sizes:
    """Return one size of all measures that have it, by kind."""
    found: dict[Kind | None, Past] = {}
    for kind, measures in grouped.items():
        sizes = ((item.at, size_of(item)) for item in measures)
        found[kind] = past_of((at, size) for at, size in sizes if size is not None)
    return found


def share(part: int | None, whole: int | None) -> float | None:
    """Return a share; None where either is unknown, or there is nothing to have a share of."""
    return None if part is None or not whole else part / whole
