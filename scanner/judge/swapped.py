"""Chains by name whose files were swapped, or renamed: one of them names itself as its parent.

What such an image really needs lies under another name now, and so does what others need by name:
which of them, nothing tells.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias

from formats.core.model import Bearing, Outcome
from scanner.judge.cases import Case, Shelf, synthetic
from scanner.judge.model import BY_NAME, ParentLink
from scanner.judge.names.reading import read_name
from scanner.judge.parents import names_itself
from scanner.ledger.rows import EvidenceRow

CHECK = "chain.parent.in-place"
Place: TypeAlias = tuple[int, str, str, str | None]
"""Repository, folder, name without what changes from backup to backup, and format."""


def swapped_places(everything: Iterable[Case]) -> Mapping[Place, datetime]:
    """Return where images lie that name themselves as their parent, and when they were last seen.

    What came after such an image was gone has nothing to do with it.
    """
    found: dict[Place, datetime] = {}
    for case in everything:
        if any(wanted.weak and names_itself(case, wanted) for wanted in case.image.parents):
            here, seen = place(case), max(file.seen_at for file in case.files)
            found[here] = max(seen, found.get(here, seen))
    return found


def place(case: Case) -> Place:
    """Return what the files of one chain have in common by their names."""
    file = case.files[0]
    reading = read_name(file.path)
    return file.repository_id, reading.home, reading.stem, file.format


def swapped(
    case: Case, links: Sequence[ParentLink], places: Mapping[Place, datetime], shelf: Shelf
) -> tuple[EvidenceRow, ...]:
    """Return evidence that an image may be based on another one than its parent's name tells."""
    named = any(link.by == BY_NAME and link.image_key not in (None, case.key) for link in links)
    if not places or not named:
        return ()
    last = places.get(place(case))
    if last is None or all(file.first_seen_at > last for file in case.files):
        return ()
    row = synthetic(
        shelf,
        case.image,
        CHECK,
        "the files of its chain under their own names",
        "one of them names itself as its parent: they were swapped or renamed",
    )
    doubtful = replace(row.evidence, outcome=Outcome.MISMATCHED, bearing=Bearing.DOUBTFUL)
    return (replace(row, evidence=doubtful),)
