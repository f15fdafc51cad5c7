"""Evidence about the storage itself: what it refused, and what it delivered only at times."""

import errno

from formats.core.model import Bearing, Evidence, Outcome

MEDIA_ERRORS = frozenset({errno.EIO, errno.EREMOTEIO, errno.EBADMSG, errno.EILSEQ, errno.ENODATA})
"""The storage cannot deliver these bytes, as opposed to: it would not let us ask."""

STEADY = "storage.steady"
READABLE = "storage.unreadable"


def unreadable(offset: int | None = None, length: int | None = None) -> Evidence:
    """Return evidence of bytes the storage refused, twice."""
    return Evidence(READABLE, Outcome.UNREADABLE, offset, length, "readable bytes", "I/O error")


def unsteady(offset: int | None = None, length: int | None = None) -> Evidence:
    """Return evidence of bytes that were read differently twice."""
    return Evidence(
        STEADY,
        Outcome.UNSTEADY,
        offset,
        length,
        "the same bytes twice",
        "other bytes when read again",
        Bearing.REDUNDANT,
    )


def recovered(offset: int | None = None, length: int | None = None) -> Evidence:
    """Return evidence of bytes the storage refused at first, and then delivered."""
    return Evidence(
        STEADY,
        Outcome.UNSTEADY,
        offset,
        length,
        "readable bytes",
        "an I/O error, then bytes when read again",
        Bearing.REDUNDANT,
    )
