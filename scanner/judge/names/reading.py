"""What a backup's file name says: the weakest source of knowledge, for where formats say nothing.

A name is read by the grammar of the program that gives such names, or else by the general one,
which takes out dates, words for a kind with their numbers, and known suffixes. What is left names
the source.
"""

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from formats.core.model import Kind
from scanner.judge.names.programs import FIRST_NUMBERS, by_program
from scanner.judge.names.words import (
    DATABASE,
    FAMILIES,
    WORDS,
    Cut,
    by_words,
    last_suffix,
    stamp_of,
    stamps,
    without,
    without_suffixes,
)


@dataclass(frozen=True, slots=True)
class NameReading:
    """What a name says. ``home`` and ``stem`` together name the source; unknown is None.

    ``stem`` is the name without dates, kinds, numbers and suffixes; where nothing is left, the last
    part of the folder, or ``*`` where there is none: then only the repository has a name. ``home``
    is the folder, without dated parts and parts that are only a word for a kind. ``family`` is what
    sort of file the suffix means, "" where it means none. ``set_id`` ties a chain together,
    ``number`` is the place in it. ``at`` is as written, without a zone. ``backwards`` says that the
    image needs the newer one, not the older.
    """

    home: str
    stem: str
    grammar: str
    family: str
    kind: Kind | None = None
    set_id: str | None = None
    number: int | None = None
    at: datetime | None = None
    backwards: bool = False


@dataclass(frozen=True, slots=True)
class NameLink:
    """``before`` is the index of the image that this one needs by name, or None.

    ``missing`` are the numbers between the two that no name has: a hole in the sequence. Programs
    that merge images leave holes too, so a hole is a doubt and no proof.
    """

    before: int | None
    missing: range


@dataclass(frozen=True, slots=True)
class Place:
    """A point of a sequence; images that stand for the same one are copies, or pieces."""

    kind: Kind | None
    number: int | None
    at: datetime | None
    backwards: bool


NO_NUMBERS = range(0)
UNNAMED = "*"
# UrBackup, ImageBackup.cpp: an image lies in YYMMDD-HHMM_Image_<volume>.
SHORT_STAMP = re.compile(r"(?P<stamp>[0-9]{6}-[0-9]{4}(?:[0-9]{2})?)_(?=Image_)")
DIGITS_LAST = re.compile(r"(?:.*\.)?[0-9]+", re.DOTALL)
# rsnapshot.conf(5): the newest is number 0, and each night the folders are renamed.
ROTATED = re.compile(
    r"(?:hourly|daily|weekly|monthly|yearly|alpha|beta|gamma|delta)\.[0-9]{1,4}", re.IGNORECASE
)
PIECE = re.compile(r"(?P<whole>.+)\.(?P<number>[0-9]{3})", re.DOTALL)
LETTERED_PIECE = re.compile(r"(?P<whole>.+\.(?:gz|zst|xz|bz2|lz4|lzo|img))\.(?P<at>[a-z]{2})")


class Names:
    """What names say, each read once: several questions about an image are answered by its name."""

    def __init__(self) -> None:
        self._known: dict[str, NameReading] = {}

    def read(self, path: str) -> NameReading:
        """Return what `read_name` does."""
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = read_name(path)
        return known


def read_name(path: str) -> NameReading:
    """Read the name of a file, with its folder; any text can be read."""
    folder, name = posixpath.split(path.rstrip("/"))
    whole, piece = split_off_piece(name)
    base, suffixes = without_suffixes(whole)
    family = next((FAMILIES[suffix] for suffix in suffixes if FAMILIES[suffix]), "")
    home, folder_at = home_of(folder, family)
    grammar, found = by_program(whole, path) or ("generic", by_words(base, suffixes, family))
    if piece is not None:
        grammar, found = "split", replace(found, set_id=whole, number=piece)
    stem = found.stem or posixpath.basename(home) or UNNAMED
    return NameReading(
        home=home,
        stem=stem,
        grammar=grammar,
        family=family,
        kind=found.kind,
        set_id=found.set_id,
        number=found.number,
        at=found.at or folder_at,
        backwards=found.backwards,
    )


def split_off_piece(name: str) -> tuple[str, int | None]:
    """Return a name without the number of a piece (``.001``, ``.gz.aa``), and that number, from 1.

    A number that does not start with 0 is one only behind a known suffix: ``10.0.0.101`` and
    ``vm.101`` are machines.
    """
    numbered = PIECE.fullmatch(name)
    if numbered is not None:
        known = last_suffix(numbered["whole"]) in FAMILIES
        padded = numbered["number"].startswith("0")
        if known or (padded and not DIGITS_LAST.fullmatch(numbered["whole"])):
            return numbered["whole"], int(numbered["number"])
    lettered = LETTERED_PIECE.fullmatch(name)
    if lettered is not None and lettered["at"] not in FAMILIES:
        first, second = (ord(letter) - ord("a") for letter in lettered["at"])
        return lettered["whole"], first * 26 + second + 1
    return name, None


def home_of(folder: str, family: str) -> tuple[str, datetime | None]:
    """Return a folder without what changes from backup to backup, and the last date in it."""
    parts = []
    at = None
    every = folder.split("/")
    for part in every:
        kind = WORDS.get(part.lower())
        if kind is not None and (kind is not Kind.LOG or family == DATABASE):
            continue
        if ROTATED.fullmatch(part):
            continue
        others = "/".join(other for other in every if other != part)
        cuts = short_stamp(part) or stamps(part, others)
        at = next((cut.at for cut in reversed(cuts) if cut.at), at)
        parts.append(without(part, cuts))
    return "/".join(part for part in parts if part), at


def short_stamp(part: str) -> list[Cut]:
    """Return the date with a year of two digits that a part of a folder starts with."""
    found = SHORT_STAMP.match(part)
    at = stamp_of("20" + found["stamp"]) if found else None
    return [Cut(0, found.end(), at)] if found and at else []


def sequences(readings: Sequence[NameReading]) -> tuple[NameLink, ...]:
    """Return for each image what it needs by name.

    A full starts, an incremental needs the image before it, a differential the last full, a log the
    last log or full. Images with equal readings are told apart by their order in ``readings`` only.
    """
    groups: dict[tuple[str, str, str, str, str | None], list[int]] = {}
    for index, item in enumerate(readings):
        key = (item.home, item.stem, item.grammar, item.family, item.set_id)
        groups.setdefault(key, []).append(index)
    links = [NameLink(None, NO_NUMBERS)] * len(readings)
    for members in groups.values():
        for index, link in linked(members, readings):
            links[index] = link
    return tuple(links)


def linked(
    members: Sequence[int], readings: Sequence[NameReading]
) -> Iterator[tuple[int, NameLink]]:
    """Yield what each image of one sequence needs."""
    if readings[members[0]].grammar == "split":
        yield from pieces(members, readings)
        return
    ordered = in_order([index for index in members if readings[index].kind], readings)
    onwards = [index for index in ordered if not readings[index].backwards]
    for index, before in followed(onwards, readings):
        near = None if before is None else readings[before]
        yield index, NameLink(before, hole(readings[index], near))
    for index, after in followed_by(ordered, readings):
        yield index, NameLink(after, NO_NUMBERS)


def followed(
    ordered: Sequence[int], readings: Sequence[NameReading]
) -> Iterator[tuple[int, int | None]]:
    """Yield each image with the older one it needs; copies of one image need the same."""
    last: dict[Kind, int] = {}
    newest: int | None = None
    for _, alike in groupby(ordered, lambda index: place_of(readings[index])):
        copies = list(alike)
        match readings[copies[0]].kind:
            case Kind.FULL | None:
                before = None
            case Kind.DIFFERENTIAL:
                before = last.get(Kind.FULL)
            case Kind.INCREMENTAL:
                before = newest
            case Kind.LOG:
                before = last.get(Kind.LOG, last.get(Kind.FULL))
        yield from ((index, before) for index in copies)
        kind = readings[copies[0]].kind
        if kind is not None:
            last[kind] = copies[0]
            newest = copies[0] if is_step(readings[copies[0]]) else newest


def followed_by(
    ordered: Sequence[int], readings: Sequence[NameReading]
) -> Iterator[tuple[int, int | None]]:
    """Yield each image that needs the newer one, with that."""
    newer: int | None = None
    for place, alike in groupby(reversed(ordered), lambda index: place_of(readings[index])):
        copies = sorted(alike)
        if place.backwards:
            yield from ((index, newer) for index in copies)
        if place.backwards or place.kind is Kind.FULL:
            newer = copies[0]


def is_step(item: NameReading) -> bool:
    """Whether an incremental may need this image.

    People number differentials and incrementals apart; which of them was first is then not known.
    """
    counted_apart = item.at is None and item.grammar not in FIRST_NUMBERS
    return item.kind is not Kind.LOG and not (item.kind is Kind.DIFFERENTIAL and counted_apart)


def place_of(item: NameReading) -> Place:
    """Return the point of its sequence that an image stands for."""
    return Place(item.kind, item.number, item.at, item.backwards)


def in_order(members: Sequence[int], readings: Sequence[NameReading]) -> list[int]:
    """Return the images of one sequence from the first on; nothing where no order is known.

    Numbers that a program gives count most. Those that people write start again with each full, so
    times come first; without times there is an order only behind one full.
    """
    items = [readings[index] for index in members]
    if all(item.grammar in FIRST_NUMBERS and item.number is not None for item in items):
        return sorted(members, key=lambda index: by_number(readings[index]))
    if all(item.at is not None for item in items):
        return sorted(members, key=lambda index: by_time(readings[index]))
    behind = [item for item in items if item.kind is not Kind.FULL]
    if len(items) - len(behind) <= 1 and all(item.number is not None for item in behind):
        return sorted(members, key=lambda index: by_count(readings[index]))
    return []


def by_time(item: NameReading) -> tuple[str, bool, str, int]:
    """Return what images with times are sorted by; of one moment, a full is the first."""
    at = item.at.isoformat() if item.at else ""
    return at, item.kind is not Kind.FULL, item.kind or "", item.number or 0


def by_number(item: NameReading) -> tuple[int, bool, str]:
    """Return what images with a program's numbers are sorted by; of one number, a full is first."""
    return item.number or 0, item.kind is not Kind.FULL, item.kind or ""


def by_count(item: NameReading) -> tuple[bool, int, str]:
    """Return what images with people's numbers are sorted by, behind their full."""
    return item.kind is not Kind.FULL, item.number or 0, item.kind or ""


def hole(item: NameReading, before: NameReading | None) -> range:
    """Return the numbers missing between an image and the one it needs."""
    if item.number is None or item.kind not in (Kind.INCREMENTAL, Kind.LOG):
        return NO_NUMBERS
    if before is None:
        return range(FIRST_NUMBERS.get(item.grammar, 1), item.number)
    if before.number is not None and before.number < item.number:
        return range(before.number + 1, item.number)
    if before.kind is item.kind:
        return NO_NUMBERS  # counted anew, or not counted: nothing can be said
    return range(1, item.number)


def pieces(
    members: Sequence[int], readings: Sequence[NameReading]
) -> Iterator[tuple[int, NameLink]]:
    """Yield the pieces of one file; none needs another by itself, but all numbers must be there."""
    last = 0
    for index in sorted(members, key=lambda member: readings[member].number or 0):
        number = readings[index].number or 0
        yield index, NameLink(None, range(last + 1, number))
        last = number
