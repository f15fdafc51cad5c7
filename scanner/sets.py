"""Images that lie in several files: concluded together, once every piece was read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import formats
from formats.core.model import Evidence, Format, Inspection, Part
from scanner.engine.storage import Opener, Storage
from scanner.engine.work import Job, inspect
from scanner.judge.cases import Case
from scanner.ledger.store import Ledger
from scanner.results import FileState, Stamps


@dataclass(frozen=True, slots=True)
class Place:
    """Where the files of a set lie, and how they are opened."""

    root: Path
    opener: Opener


def whole(case: Case) -> bool:
    """Whether an image lies in several files, all of which are there and were read."""
    piece = case.image.piece
    return (
        piece is not None
        and len(case.pieces) == piece.count
        and all(file.state is FileState.READ for file in case.files)
    )


def conclude_set(case: Case, ledger: Ledger, place: Place) -> tuple[Evidence, ...] | None:
    """Judge a set from what was counted in its pieces; None if one cannot be inspected now."""
    known = formats.by_name(case.files[0].format or "")
    if known is None:
        return None
    parts: list[Part] = []
    for piece, file in zip(case.pieces, case.files, strict=True):
        inspections = inspected(known, place, file.path)
        if piece.image_index >= len(inspections):
            return None
        parts.append(
            Part(
                inspections[piece.image_index],
                ledger.tallies(piece.id),
                file.path,
                ledger.unreadable(piece.id),
            )
        )
    return known.conclude(parts)


def inspected(known: Format, place: Place, path: str) -> Sequence[Inspection]:
    """Inspect one piece again: its facts are cheap to read and not worth keeping."""
    storage: Storage | None = None
    try:
        storage = place.opener(place.root / path)
        return inspect(known, Job(place.root, path, Stamps(0, 0, 0, 0)), storage, place.opener)
    except OSError:
        return ()
    finally:
        if storage is not None:
            storage.close()
