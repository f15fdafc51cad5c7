"""Whether a backup of a certain size fits, beside what lies there already.

A size lies between two bounds; which outcome that gives:

    cannot    not even the smallest size fits what is allotted, were nothing else there
    will not  the likely size does not fit beside the copies that are kept while it is written
    tight     it fits only if it stays small, or only because it overwrites an old copy
    fits      the largest size fits what is free now

Copies that will be deleted afterwards do not count: the new one is written beside them. Only where
the last fulls were each written over an earlier one is the next expected to be so too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from formats.core.model import Kind
from scanner.config import SETTLE
from scanner.judge.forecast.growth import Estimate
from scanner.judge.forecast.room import ALLOTMENT, Room
from scanner.judge.forecast.sizes import Sized, living_files, taken_by
from scanner.judge.no_room import FILLED_SHARE
from scanner.judge.sources.model import Source, SourceKind

OVERWRITES_MIN = 2
"""So many fulls in a row that were written over an earlier one make a habit."""

RETIRED_MIN = 2
"""So many fulls that are gone make a retention."""

CUT_SHARE = 0.9
"""A full that broke off when it had this share of all that is allotted could not have fitted; the
rest are a file system's own structures and its reserve."""

FULL_SHARE = 0.01
"""With less than this share free, a backup broke off because there was no more room."""


class Prospect(StrEnum):
    """Whether the next backup fits."""

    FITS = "fits"
    TIGHT = "tight"
    WONT = "will not fit"
    CANNOT = "cannot fit"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Copies:
    """What lies there already.

    ``replaced_bytes`` is what the next full overwrites, ``unfinished_bytes`` what is left of fulls
    that broke off, ``oldest_bytes`` what the oldest whole one takes. ``written_bytes`` is what has
    been written already of a full that is being written, ``cut_bytes`` the largest that broke off.
    ``doubted`` is whether the newest full is one of `ended_with_the_room`. ``retiring_bytes`` is
    what the oldest full takes where older ones were deleted: nobody knows whether that is done
    before the next one is written, or after.
    """

    count: int
    taken_bytes: int
    oldest_bytes: int
    unfinished_bytes: int
    replaced_bytes: int
    written_bytes: int
    cut_bytes: int
    doubted: bool = False
    retiring_bytes: int = 0


def prospect(
    size: Estimate,
    room: Room | None,
    given_bytes: int,
    written_bytes: int = 0,
    cut_bytes: int = 0,
    retiring_bytes: int = 0,
) -> Prospect:
    """Return whether a backup fits.

    ``given_bytes`` need not be free: they are overwritten, or (``written_bytes``) written already.
    ``cut_bytes`` is what a full had stored that broke off, ``retiring_bytes`` what a retention may
    delete in time.
    """
    if room is None:
        return Prospect.UNKNOWN
    if size.low_bytes > room.allotted_bytes or outgrown(room, cut_bytes):
        return Prospect.CANNOT
    if room.free_bytes is None:
        return Prospect.UNKNOWN
    # From the size of a source alone only that is sure which is needed in any case.
    sure = size.likely_bytes if size.founded else size.low_bytes
    left = room.free_bytes - room.over_bytes + given_bytes
    if sure > left:
        return Prospect.TIGHT if sure <= left + retiring_bytes else Prospect.WONT
    fits = size.high_bytes <= room.free_bytes - room.over_bytes + written_bytes
    return Prospect.FITS if fits else Prospect.TIGHT


def outgrown(room: Room | None, cut_bytes: int) -> bool:
    """Whether a full broke off that had all the room there is."""
    if room is None or room.free_bytes is None:
        return False
    return is_full(room) and cut_bytes + room.free_bytes >= room.allotted_bytes * CUT_SHARE


def ended_with_the_room(
    source: Source, sizes: Sequence[Sized], room: Room | None
) -> tuple[Sized, ...]:
    """Return backups, the newest full not whole where it ended as the room did.

    Seen of qemu-img 7.2: when the disk is full it closes the image it was writing in good order,
    and nothing in the file tells that the rest of the source is not there. Databases end with a
    trailer, and an allotment that is only written down stops nobody.
    """
    full = room is not None and room.free_by != ALLOTMENT and is_full(room)
    fulls = [item for item in sizes if item.kind is Kind.FULL]
    if not full or not fulls or source.kind is not SourceKind.DISK:
        return tuple(sizes)
    last, known = fulls[-1], (fulls[-1].payload_bytes, fulls[-1].source_bytes)
    if last.key is None or known[0] is None or known[1] is None:
        return tuple(sizes)
    if known[0] >= known[1] * FILLED_SHARE:
        return tuple(sizes)
    return tuple(replace(item, whole=False) if item is last else item for item in sizes)


def is_full(room: Room) -> bool:
    """Whether next to nothing is free."""
    return room.free_bytes is not None and room.free_bytes <= room.allotted_bytes * FULL_SHARE


def copies_of(source: Source, sizes: Sequence[Sized], now: datetime) -> Copies:
    """Return what lies there while the next backup is written."""
    room = {
        image.key: sum(map(taken_by, living_files([image]).values())) for image in source.images
    }
    fulls = [item for item in sizes if item.kind is Kind.FULL]
    whole = [item for item in fulls if item.whole and item.key in room]
    oldest = room[whole[0].key] if whole and whole[0].key is not None else 0
    replaced = overwritten(fulls, room)
    gone = sum(item.whole and item.key is None for item in fulls)
    broken = [item for item in fulls if not item.whole and item.key in room]
    begun = being_written(source, broken, now)
    cut = [room[item.key] for item in broken if item.key is not None and item not in begun]
    return Copies(
        count=len(whole),
        taken_bytes=sum(map(taken_by, living_files(source.images).values())),
        oldest_bytes=oldest,
        unfinished_bytes=sum(cut),
        replaced_bytes=replaced,
        written_bytes=sum(room[item.key] for item in begun if item.key is not None),
        cut_bytes=max(cut, default=0),
        retiring_bytes=oldest if gone >= RETIRED_MIN and not replaced else 0,
    )


def being_written(source: Source, broken: Sequence[Sized], now: datetime) -> list[Sized]:
    """Return the fulls that are not finished because they are still being written."""
    since_ns = int((now - SETTLE).timestamp() * 1_000_000_000)
    young = {
        image.key
        for image in source.images
        if any(file.mtime_ns > since_ns for file in image.files)
    }
    return [item for item in broken if item.key in young]


def overwritten(fulls: Sequence[Sized], room: Mapping[int, int]) -> int:
    """Return what the next full will overwrite; nothing, unless the last ones always did.

    Names that come round (one for each weekday) count as well: the oldest copy is the next to go.
    """
    paths = [item.path for item in fulls]
    before, last = paths[:-OVERWRITES_MIN], paths[-OVERWRITES_MIN:]
    met = set(before)
    for path in last:
        if path not in met:
            return 0
        met.add(path)
    # Sets that are appended to one file share its path, and overwrite nothing.
    living = [item for item in fulls if item.key in room]
    if len({item.path for item in living}) < len(living):
        return 0
    return min((room[item.key] for item in living[:1] if item.key is not None), default=0)
