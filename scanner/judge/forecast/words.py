"""Forecasts as sentences: what is needed, when, how much room there is, and what follows."""

from dataclasses import dataclass
from datetime import datetime

from scanner.judge import words
from scanner.judge.forecast.fitting import Copies, Prospect
from scanner.judge.forecast.growth import Estimate
from scanner.judge.forecast.room import ALLOTMENT, FILE_SYSTEM, QUOTA, Room

NARROW_SHARE = 0.05
"""Bounds nearer to the likely size than this share of it are told as one size."""


@dataclass(frozen=True, slots=True)
class Case:
    """Everything a sentence about one forecast is made of."""

    size: Estimate
    due: datetime | None
    copies: Copies
    room: Room | None
    outcome: Prospect
    others: int


def sentence(case: Case, *, alone: bool = False) -> str:
    """Return the sentence. ``alone`` says that one which broke off had all the room there is."""
    needs = f"needs {amount(case.size)}{on(case.due)}"
    room = case.room
    if room is None:
        return f"{needs}; how much room there is nobody says"
    match case.outcome:
        case Prospect.CANNOT:
            more = ", which the last one filled before it ended" if alone else ""
            return f"{needs}, {allotted(room)}{more}: cannot ever fit{'' if alone else doubt(case)}"
        case Prospect.WONT:
            way = way_out(case)
            return f"{needs}{beside(case)}, {free(case)}: will not fit{way}{doubt(case)}"
        case Prospect.TIGHT:
            return f"{needs}{beside(case)}, {free(case)}: {tight(case)}"
        case Prospect.FITS:
            return f"{needs}, {free(case)}: fits"
        case Prospect.UNKNOWN:
            return f"{needs}, {allotted(room)}; how much of it is free nobody says"


def amount(size: Estimate) -> str:
    """Return a size with its uncertainty, as far as that matters."""
    low, likely, high = map(words.size, (size.low_bytes, size.likely_bytes, size.high_bytes))
    if not size.founded:
        least = f"at least {low} and " if size.low_bytes else ""
        return f"{least}up to {high} (going by the {size.basis})"
    narrow = size.likely_bytes * NARROW_SHARE
    if max(size.high_bytes - size.likely_bytes, size.likely_bytes - size.low_bytes) <= narrow:
        return likely
    return f"about {likely} ({low} to {high})"


def on(due: datetime | None) -> str:
    """Return the day, where it is known."""
    return "" if due is None else f" on {words.day(due)}"


def allotted(room: Room) -> str:
    """Return how much is allotted, and by whom."""
    amount_of = words.size(room.allotted_bytes)
    if room.by == ALLOTMENT:
        return f"{amount_of} allotted"
    return f"{amount_of} {'of quota' if room.by == QUOTA else 'on the whole file system'}"


def free(case: Case) -> str:
    """Return how much is free, of what, and who else wants it."""
    room = case.room
    assert room is not None
    assert room.free_bytes is not None
    left = f"{words.size(room.free_bytes)} free"
    if room.free_by == ALLOTMENT and room.by == ALLOTMENT:
        return f"{words.size(room.free_bytes)} free of {words.size(room.allotted_bytes)} allotted"
    if room.free_by != FILE_SYSTEM:
        return f"{left} of the {room.free_by}"
    if not case.others:
        return left
    return f"{left}, shared with {words.counted(case.others, 'other source')}"


def beside(case: Case) -> str:
    """Return what stays while it is written."""
    copies = case.copies
    staying = copies.taken_bytes - copies.replaced_bytes - copies.written_bytes
    if staying <= 0:
        return ""
    if copies.count:
        return f" beside {words.counted(copies.count, 'full')} kept ({words.size(staying)} in all)"
    what = "what broke off" if copies.unfinished_bytes else "what is there"
    return f" beside {what} ({words.size(staying)})"


def way_out(case: Case) -> str:
    """Return what would have to go, where that is enough."""
    copies, room = case.copies, case.room
    assert room is not None
    left = (room.free_bytes or 0) - room.over_bytes
    left += copies.replaced_bytes + copies.written_bytes
    choices = (
        ("what broke off", copies.unfinished_bytes),
        ("the oldest full", copies.oldest_bytes - copies.replaced_bytes),
        (
            "both the oldest full and what broke off",
            copies.oldest_bytes - copies.replaced_bytes + copies.unfinished_bytes,
        ),
    )
    for what, size in choices:
        if size > 0 and left + size >= case.size.likely_bytes:
            return f"; it would if {what} ({words.size(size)}) were deleted first"
    return ""


def doubt(case: Case) -> str:
    """Return what is to be thought of a full after which no room was left."""
    if not case.copies.doubted:
        return ""
    return "; the newest full ended when no room was left, and does not hold all of its disk"


def tight(case: Case) -> str:
    """Return under which condition it fits."""
    room, size, copies = case.room, case.size, case.copies
    assert room is not None
    left = (room.free_bytes or 0) + copies.written_bytes
    if copies.replaced_bytes and size.founded and size.likely_bytes > left:
        over = words.size(copies.replaced_bytes)
        return f"fits only because it overwrites an old one ({over})"
    if not size.founded:
        return "may not fit"
    if size.likely_bytes > left - room.over_bytes + copies.replaced_bytes:
        gone = words.size(copies.retiring_bytes)
        return f"fits only if the oldest full ({gone}) is deleted first, as older ones were"
    return "fits only if it stays below that"
