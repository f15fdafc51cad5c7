"""Sizes and durations as people write them: ``800 GB``, ``500 GiB``, ``26 h``.

Decimal and binary units are told apart: a disk of "500 GB" is no 500 GiB. What is written out here
is exact, so that it can be compared with what stands in the configuration; it reads back as itself.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

SIZE_BYTES_MAX = (1 << 63) - 1
"""The largest number the ledger and readers of JSON take for a size."""

DURATION_MAX = timedelta(days=36_500)
"""A hundred years: more is a mistake, and would leave the calendar."""

SIZE_UNITS: Mapping[str, int] = {
    "B": 1,
    **{f"{letter}B": 1000**power for power, letter in enumerate("KMGTPE", 1)},
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGTPE", 1)},
}
SIZE_FACTORS: Mapping[str, int] = {unit.casefold(): size for unit, size in SIZE_UNITS.items()}

DURATION_UNITS: Mapping[str, int] = {
    "s": 1,
    "min": 60,
    "h": 3600,
    "day": 86_400,
    "week": 7 * 86_400,
}
# No month and no "m": a month has no length, and "m" is one to some and a minute to others.
DURATION_FACTORS: Mapping[str, int] = {
    spelling: seconds
    for unit, seconds in DURATION_UNITS.items()
    for spelling in {
        "s": ("s", "sec", "second", "seconds"),
        "min": ("min", "minute", "minutes"),
        "h": ("h", "hour", "hours"),
        "day": ("d", "day", "days"),
        "week": ("w", "week", "weeks"),
    }[unit]
}

NUMBER = r"[0-9]{1,19}(?:\.[0-9]{1,18})?"
AMOUNT = re.compile(rf"({NUMBER})\s*([A-Za-z]+)")
AMOUNTS = re.compile(rf"{AMOUNT.pattern}(?:\s+{AMOUNT.pattern})*")


def parse_size(text: str) -> int | None:
    """Return a size in bytes; None where the text is none, or is under one byte or too large."""
    found = AMOUNT.fullmatch(text.strip())
    factor = SIZE_FACTORS.get(found[2].casefold()) if found else None
    if found is None or factor is None:
        return None
    size = round(Decimal(found[1]) * factor)
    return size if 1 <= size <= SIZE_BYTES_MAX else None


def size_text(size: int) -> str:
    """Return a size in the unit that needs the fewest digits to be exact."""
    fitting = [unit for unit, factor in SIZE_UNITS.items() if size % factor == 0]
    unit = max(fitting, key=lambda name: SIZE_UNITS[name]) if size else "B"
    return f"{size // SIZE_UNITS[unit]} {unit}"


def parse_duration(text: str) -> timedelta | None:
    """Return a duration, of one part (``26 h``) or several (``1 day 2 h``); None if it is none."""
    stripped = text.strip()
    if AMOUNTS.fullmatch(stripped) is None:
        return None
    seconds = Decimal(0)
    for number, unit in AMOUNT.findall(stripped):
        factor = DURATION_FACTORS.get(unit.casefold())
        if factor is None:
            return None
        seconds += Decimal(number) * factor
    microseconds = round(seconds * 1_000_000)
    if microseconds > DURATION_MAX // timedelta(microseconds=1):
        return None
    return timedelta(microseconds=microseconds)


def duration_text(duration: timedelta) -> str:
    """Return a duration in the largest unit that divides it."""
    seconds, rest = divmod(duration, timedelta(seconds=1))
    if rest:
        return f"{Decimal(duration // timedelta(microseconds=1)) / 1_000_000:f} s"
    fitting = [unit for unit, factor in DURATION_UNITS.items() if seconds % factor == 0]
    unit = max(fitting, key=lambda name: DURATION_UNITS[name]) if seconds else "s"
    count = seconds // DURATION_UNITS[unit]
    plural = "s" if unit in {"day", "week"} and count != 1 else ""
    return f"{count} {unit}{plural}"
