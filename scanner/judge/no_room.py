"""Images that may have ended with the room they were written into.

Seen of qemu-img 7.2: when the disk is full it closes the image it was writing in good order, and
nothing in a qcow2, VHDX or dynamic VHD file tells that the rest of the source is not there. That
nothing was left right after it was written is the only trace; it is remembered when there is room
again.
"""

from dataclasses import replace

from formats.core.model import Bearing
from scanner.judge.cases import Case, Shelf, synthetic
from scanner.ledger.rows import EvidenceRow

CHECK = "storage.space.left"
FILLED_SHARE = 0.98
"""A disk image that stores this share of its disk has reached its end."""


def no_room(case: Case, open_ended: frozenset[str], shelf: Shelf) -> tuple[EvidenceRow, ...]:
    """Return evidence that an image may have been cut short where nothing in it would tell."""
    if not any(file.cramped for file in case.files) or case.gone:
        return ()
    if case.files[0].format not in open_ended or reaches_its_end(case):
        return ()
    row = synthetic(
        shelf,
        case.image,
        CHECK,
        "room for more right after it was written",
        "none: it may have ended with the room",
    )
    return (replace(row, evidence=replace(row.evidence, bearing=Bearing.DOUBTFUL)),)


def reaches_its_end(case: Case) -> bool:
    """Whether an image stores so much of its disk that nothing can be missing behind it."""
    stored, source = case.payload_bytes, case.image.source_bytes
    return stored is not None and source is not None and stored >= source * FILLED_SHARE
