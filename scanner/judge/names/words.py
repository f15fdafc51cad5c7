"""Dates, words for a kind with their numbers, and suffixes in a backup's name: what is no name.

To read two machines as one would hide that one of them has no backup; to read one machine as two is
only a nuisance. So a number goes only where it is surely part of a date or counts backups.

Every pattern is tried at each place of the name once, and none nests repetitions, so that the
longest name costs no more than its length.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from formats.core.model import Kind


@dataclass(frozen=True, slots=True)
class Found:
    """What a program's grammar found; the stem may be empty."""

    stem: str
    kind: Kind | None = None
    set_id: str | None = None
    number: int | None = None
    at: datetime | None = None
    backwards: bool = False


@dataclass(frozen=True, slots=True)
class Cut:
    """A part of a name that is no part of the stem.

    ``weak`` says that it may be a time, or as well the number of a machine.
    """

    start: int
    end: int
    at: datetime | None = None
    kind: Kind | None = None
    number: int | None = None
    weak: bool = False


SUFFIXES_MAX = 4
DATABASE = "database"
DISK = "disk"
VENDOR = "image"
WRAPPER = ""

FAMILIES: Mapping[str, str] = (
    dict.fromkeys(("bak", "trn", "dif", "dmp", "sql", "bkf", "xb", "xbstream"), DATABASE)
    | dict.fromkeys(("vhd", "vhdx", "avhd", "avhdx", "vhdz", "vhdxz", "vpc", "qcow2", "qed"), DISK)
    | dict.fromkeys(("vmdk", "vdi", "hds", "hdd", "asif", "raw", "img", "dd", "fidx"), DISK)
    | dict.fromkeys(("vma", "wim", "esd", "swm", "tib", "tibx", "v2i", "iv2i", "pbd"), VENDOR)
    | dict.fromkeys(("mrimg", "mrimgx", "mrbak", "mrbakx", "vbk", "vib", "vrb"), VENDOR)
    | dict.fromkeys(("spf", "spi", "sna", "adi", "afi", "pcl", "partclone", "fsa"), VENDOR)
    | dict.fromkeys(("ntfsclone", "btrfs", "zfs", "tar", "didx"), VENDOR)
    | dict.fromkeys(("gz", "tgz", "zst", "tzst", "xz", "txz", "lz4", "bz2", "tbz2"), WRAPPER)
    | dict.fromkeys(("lzo", "7z", "zip", "blob", "enc", "gpg", "aes"), WRAPPER)
)
"""Only known suffixes are taken off: what follows a dot may be the rest of a machine's name."""

SUFFIX_KINDS: Mapping[str, Kind] = {
    "trn": Kind.LOG,
    "dif": Kind.DIFFERENTIAL,
    "vbk": Kind.FULL,
    "vib": Kind.INCREMENTAL,
    "vrb": Kind.INCREMENTAL,
}
WORDS: Mapping[str, Kind | None] = (
    dict.fromkeys(("full", "voll", "vollsicherung"), Kind.FULL)
    | dict.fromkeys(("inc", "incr", "increment", "incremental", "inkrementell"), Kind.INCREMENTAL)
    | dict.fromkeys(("dif", "diff", "differential", "differenziell"), Kind.DIFFERENTIAL)
    | dict.fromkeys(("log", "tlog", "trn", "tran", "translog"), Kind.LOG)
    | dict.fromkeys(("snap", "snapshot"))
)
PLAIN_WORDS = frozenset(
    {"backup", "backups", "bak", "client", "computer", "ct", "data", "db", "disk", "drive", "dump"}
    | {"guest", "host", "image", "img", "lxc", "machine", "node", "pc", "qemu", "server", "site"}
    | {"srv", "store", "system", "virtual", "vm", "vol", "volume", "ws"}
)
"""Words that name no machine by themselves: a number beside them may tell two apart."""

YEAR, MONTH, DAY = r"(?:19|20)[0-9]{2}", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12][0-9]|3[01])"
HOUR, SIXTY = r"(?:[01][0-9]|2[0-3])", r"[0-5][0-9]"
TIME = (
    rf"(?:(?P<gap>T|[ _.-]{{0,3}})(?P<H>{HOUR})(?P<t>[:h._-]?)(?P<M>{SIXTY})"
    rf"(?:(?P=t)(?P<S>{SIXTY}))?Z?)?(?![^\W_])"
)
SOME_YEAR = re.compile(YEAR)
YEAR_FIRST = re.compile(
    rf"(?<![0-9])(?P<Y>{YEAR})(?P<s>[-_.]?)(?P<m>{MONTH})(?P=s)(?P<d>{DAY}){TIME}"
)
YEAR_LAST = re.compile(
    rf"(?<![0-9])(?P<d>[0-3][0-9])(?P<s>[-_.])(?P<m>[0-3][0-9])(?P=s)(?P<Y>{YEAR}){TIME}"
)
KIND_WORD = re.compile(
    rf"(?<![^\W_])(?P<word>{'|'.join(sorted(WORDS, key=len, reverse=True))})"
    r"(?:[-_ .#]?(?P<number>[0-9]{1,6}))?(?![^\W_])",
    re.IGNORECASE,
)
BLANKS = " _-.,+~@#"
BRACKETS = frozenset({"()", "[]", "{}"})
NAME_WORD = re.compile(r"[^\W_]+")


def last_suffix(name: str) -> str:
    """Return what follows the last dot, in lower case; nothing where the name is nothing else."""
    before, dot, after = name.rpartition(".")
    return after.lower() if dot and before.strip(".") else ""


def without_suffixes(name: str) -> tuple[str, tuple[str, ...]]:
    """Return a name without its known suffixes, and those, the last first."""
    suffixes: list[str] = []
    while len(suffixes) < SUFFIXES_MAX and last_suffix(name) in FAMILIES:
        suffixes.append(last_suffix(name))
        name = name.rpartition(".")[0]
    return name, tuple(suffixes)


def by_words(base: str, suffixes: Sequence[str], family: str) -> Found:
    """Read a name that no program's grammar fits: dates, words for a kind, numbers behind them."""
    dates = stamps(base)
    words = kind_words(blanked(base, dates), suffixes, family)
    by_suffix = next((SUFFIX_KINDS[item] for item in suffixes if item in SUFFIX_KINDS), None)
    kinds = {kind for kind in (*(cut.kind for cut in words), by_suffix) if kind is not None}
    if len(kinds) > 1:
        words = []  # which of them is meant is not known, so they may as well be names
    return Found(
        stem=without(base, [*dates, *words]),
        kind=by_suffix if len(kinds) != 1 else kinds.pop(),
        number=next((cut.number for cut in reversed(words) if cut.number is not None), None),
        at=next((cut.at for cut in reversed(dates) if cut.at), None),
        backwards="vrb" in suffixes,
    )


def kind_words(text: str, suffixes: Sequence[str], family: str) -> list[Cut]:
    """Return the words for a kind in a text, with the numbers that belong to them."""
    cuts = []
    for found in KIND_WORD.finditer(text):
        kind = WORDS[found["word"].lower()]
        digits = found["number"] or ""
        numbered = counts(kind, digits, suffixes)
        # Servers are called log; whole sources are called snapshot.
        if (kind is Kind.LOG and family != DATABASE) or (kind is None and not numbered):
            continue
        end = found.end() if numbered else found.end("word")
        cuts.append(Cut(found.start(), end, None, kind, int(digits) if numbered else None))
    return cuts


def counts(kind: Kind | None, digits: str, suffixes: Sequence[str]) -> bool:
    """Whether a number behind a word for a kind is a place in a sequence, and no machine or year.

    Fulls and differentials are few: an unpadded number from 100 on is more likely a machine's.
    """
    if not digits or (kind is Kind.LOG and "trn" not in suffixes):
        return False
    if digits.startswith("0"):
        return True
    few = kind in (Kind.FULL, Kind.DIFFERENTIAL)
    return int(digits) < (100 if few else 1900)


def stamps(text: str, beside: str = "") -> list[Cut]:
    """Return the dates in a text, with their times, in order.

    A time without seconds goes only where the rest of the text still names something, or what
    stands ``beside`` it: a number of four digits behind a date may be all that tells two machines
    apart.
    """
    if SOME_YEAR.search(text) is None:
        return []
    cuts = [cut for found in YEAR_FIRST.finditer(text) for cut in year_first(found)]
    rest = blanked(text, cuts)
    cuts += [cut for found in YEAR_LAST.finditer(rest) for cut in year_last(found)]
    cuts.sort(key=lambda cut: cut.start)
    if any(cut.weak for cut in cuts) and not names_something(f"{blanked(text, cuts)}/{beside}"):
        return [cut for cut in cuts if not cut.weak]
    return cuts


def year_first(found: re.Match[str]) -> list[Cut]:
    """Return the cuts of a date that starts with the year; none if there is no such day."""
    day = day_of(found["Y"], found["m"], found["d"])
    return [] if day is None else dated(found, day, day)


def year_last(found: re.Match[str]) -> list[Cut]:
    """Return the cuts of a date that ends with the year.

    With dots the day comes first; otherwise day and month may be either, and where both could be
    it is a date all the same, but which one is not known.
    """
    readings = [day_of(found["Y"], found["m"], found["d"])]
    if found["s"] != ".":
        readings.append(day_of(found["Y"], found["d"], found["m"]))
    days = {day for day in readings if day is not None}
    if not days:
        return []
    return dated(found, min(days), min(days) if len(days) == 1 else None)


def dated(found: re.Match[str], day: datetime, known: datetime | None) -> list[Cut]:
    """Return the date and its time as one cut, or as two where the time is a weak one."""
    if found["H"] is None:
        return [Cut(found.start(), found.end(), known)]
    hour, minute, second = int(found["H"]), int(found["M"]), int(found["S"] or 0)
    at = known and day.replace(hour=hour, minute=minute, second=second)
    compact = not found["s"] and not found["gap"]
    if found["S"] or found["t"] == ":" or found["gap"] == "T" or compact:
        return [Cut(found.start(), found.end(), at)]
    middle = found.start("H") - len(found["gap"])
    return [Cut(found.start(), middle, known), Cut(middle, found.end(), at, weak=True)]


def day_of(year: str, month: str, day: str) -> datetime | None:
    """Return a day of the calendar, or None."""
    try:
        return datetime(int(year), int(month), int(day))  # noqa: DTZ001 - names have no zone
    except ValueError:
        return None


def stamp_of(text: str) -> datetime | None:
    """Return the time whose digits a text holds, from the year on; None if there is none such."""
    digits = re.sub(r"[^0-9]", "", text)
    month, day, hour, minute, second = (int(digits[at : at + 2] or 0) for at in range(4, 14, 2))
    try:
        return datetime(int(digits[:4]), month, day, hour, minute, second)  # noqa: DTZ001 - as above
    except ValueError:
        return None


def names_something(text: str) -> bool:
    """Whether a text holds a word that could tell one source from another."""
    words = (word.lower() for word in NAME_WORD.findall(text) if not word.isdigit())
    return any(word not in PLAIN_WORDS and word not in WORDS for word in words)


def blanked(text: str, cuts: Sequence[Cut]) -> str:
    """Return a text of the same length with the cuts filled by what no name has."""
    for cut in cuts:
        text = text[: cut.start] + "\0" * (cut.end - cut.start) + text[cut.end :]
    return text


def without(text: str, cuts: Sequence[Cut]) -> str:
    """Return a text without the cuts and the separators around them, of which one stays between."""
    if not cuts:
        return text
    kept: list[str] = []
    place = 0
    for start, end in spans(text, cuts):
        kept.append(text[place:start])
        place = end
    return joined([*kept, text[place:]])


def spans(text: str, cuts: Sequence[Cut]) -> list[tuple[int, int]]:
    """Return where the cuts lie, in order, with brackets that would be left empty."""
    found: list[tuple[int, int]] = []
    for start, end in sorted((cut.start, cut.end) for cut in cuts):
        first = found.pop()[0] if found and not text[found[-1][1] : start].strip(BLANKS) else start
        found.append((first, end))
    return [
        (start - 1, end + 1)
        if text[max(start - 1, 0) : start] + text[end : end + 1] in BRACKETS
        else (start, end)
        for start, end in found
    ]


def joined(parts: Sequence[str]) -> str:
    """Join the parts between cuts, each two with a separator that stood there."""
    kept = ""
    for part in parts:
        left, right = kept.rstrip(BLANKS), part.lstrip(BLANKS)
        stood = kept[len(left) : len(left) + 1] or part[: len(part) - len(right)][:1] or "_"
        kept = left + stood + right if left and right.strip(BLANKS) else left + right
    return kept.strip(BLANKS)
