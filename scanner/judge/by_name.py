"""Parents by nothing but file names, for formats that are only recognised.

This is the weakest of all links, and said to be so: a name can lie, and a program that merges
images leaves holes in its numbers. What is missing by name is therefore a doubt, never a loss.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from formats.core.model import Bearing, Kind
from scanner.judge.cases import Case, Shelf, synthetic
from scanner.judge.model import BY_GRAMMAR, ParentLink
from scanner.judge.names.reading import NameLink, NameReading, read_name, sequences
from scanner.ledger.rows import EvidenceRow

SEQUENCE = "chain.sequence.present"
NUMBERS_NAMED_MAX = 8


@dataclass(frozen=True, slots=True)
class Named:
    """What names say of one image's parents."""

    links: tuple[ParentLink, ...]
    missing: tuple[EvidenceRow, ...]


NOTHING = Named((), ())


def parents_by_name(everything: Sequence[Case], shelf: Shelf) -> Mapping[int, Named]:
    """Return the parents of images whose format is not read, by key, as far as names tell."""
    groups: dict[tuple[int, str | None], list[Case]] = {}
    for case in everything:
        if case.supported or case.gone or case.image.parents:
            continue
        file = case.files[0]
        groups.setdefault((file.repository_id, file.format), []).append(case)
    found: dict[int, Named] = {}
    for cases in groups.values():
        ordered = sorted(cases, key=lambda case: (case.files[0].path, case.image.image_index))
        readings = [read_name(case.files[0].path) for case in ordered]
        for case, reading, link in zip(ordered, readings, sequences(readings), strict=True):
            said = named(case, reading, link, ordered, shelf)
            if said is not NOTHING:
                found[case.key] = said
    return found


def named(
    case: Case, reading: NameReading, link: NameLink, ordered: Sequence[Case], shelf: Shelf
) -> Named:
    """Return what its name says of one image's parent."""
    wanted = f"the image before it, as its file name reads ({reading.grammar})"
    rows = []
    if link.missing:
        rows.append(doubt(case, wanted, f"no file with {numbers(link.missing)}", shelf))
    if link.before is not None:
        return Named((ParentLink(wanted, ordered[link.before].key, BY_GRAMMAR),), tuple(rows))
    if reading.kind in (None, Kind.FULL):
        return Named((), tuple(rows)) if rows else NOTHING
    if not rows:
        rows.append(doubt(case, wanted, "no such file", shelf))
    return Named((ParentLink(wanted, None, BY_GRAMMAR),), tuple(rows))


def doubt(case: Case, expected: str, actual: str, shelf: Shelf) -> EvidenceRow:
    """Return evidence that something seems to be missing."""
    row = synthetic(shelf, case.image, SEQUENCE, expected, actual)
    return replace(row, evidence=replace(row.evidence, bearing=Bearing.DOUBTFUL))


def numbers(missing: range) -> str:
    """Return the first of the missing numbers, and how many more there are."""
    shown = ", ".join(str(number) for number in missing[:NUMBERS_NAMED_MAX])
    more = len(missing) - NUMBERS_NAMED_MAX
    word = "number" if len(missing) == 1 else "numbers"
    return f"{word} {shown}" + (f" and {more} more" if more > 0 else "")
