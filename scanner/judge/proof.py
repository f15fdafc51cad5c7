"""What was proven of an image, and when."""

from datetime import datetime

from formats.core.model import Bearing, Outcome
from scanner.judge.cases import Case
from scanner.judge.model import Proof

NOT_STRUCTURE = ("baseline.", "storage.", "generic.")
"""Checks of the scanner's own: whether bytes are the same as before, or can be read at all, says
nothing of what the format makes of them."""


def proof_of(case: Case) -> Proof:
    """Return the proof record of one image by itself."""
    looked_at = oldest([file.read_at for file in case.files]) if case.read else None
    read_at = looked_at if everything_read(case) else None
    since = newest([file.unchanged_since for file in case.files])
    vouched = sum(row.evidence.vouched_bytes for row in case.evidence)
    needed = case.own_bytes
    if needed is None:
        needed = sum(file.size for file in case.files)
    vouched = min(vouched, needed)
    structure = structure_proven(case)
    return Proof(
        structure_at=looked_at if structure else None,
        read_at=read_at,
        unchanged_since=since if since is not None and read_at is not None else None,
        checksums_at=looked_at if vouched and structure else None,
        bytes_vouched=vouched,
        bytes_needed=needed,
    )


def structure_proven(case: Case) -> bool:
    """Whether the file's own account of itself was followed to its end and holds.

    Only the format's checks say so, and the scanner's on the pieces of a set.
    """
    if not case.supported or not all(piece.complete for piece in case.pieces):
        return False
    return not any(
        row.evidence.outcome is not Outcome.UNSUPPORTED
        and row.evidence.bearing is not Bearing.REDUNDANT
        and not row.evidence.check.startswith(NOT_STRUCTURE)
        for row in case.bad
    )


def everything_read(case: Case) -> bool:
    """Whether the storage gave every byte that was asked for."""
    return not any(row.evidence.outcome is Outcome.UNREADABLE for row in case.bad)


def oldest(times: list[datetime | None]) -> datetime | None:
    """Return the earliest time; None if any is not known."""
    known = [time for time in times if time is not None]
    return min(known) if known and len(known) == len(times) else None


def newest(times: list[datetime | None]) -> datetime | None:
    """Return the latest time; None if any is not known."""
    known = [time for time in times if time is not None]
    return max(known) if known and len(known) == len(times) else None
