"""Sizes, days and ages in sentences of the judge.

Sizes are decimal, as disks are sold and allotments are given: a sentence that holds 812 GB against
the "500 GB" of a configuration must not call them 756 and 466 GiB.
"""

from datetime import datetime, timedelta

UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
A_THOUSAND = 1000
THREE_DIGITS = 100


def size(length: int) -> str:
    """Return a size in three digits: ``812 GB``, ``1.5 TB``."""
    if length < A_THOUSAND:
        return f"{length} B"
    value = float(length)
    unit = ""
    for unit in UNITS:  # noqa: B007 - the unit that is left over is the result
        value /= A_THOUSAND
        # What would be rounded up to 1000 of a unit is one of the next.
        if value < A_THOUSAND - 0.5:
            break
    digits = f"{value:.1f}"
    if value >= THREE_DIGITS or len(digits.partition(".")[0]) >= len("100"):
        digits = f"{value:.0f}"
    return f"{digits.removesuffix('.0')} {unit}"


def day(moment: datetime) -> str:
    """Return a day with its name: ``Friday 2026-11-27``."""
    return f"{WEEKDAYS[moment.weekday()]} {moment.date().isoformat()}"


def age(length: timedelta) -> str:
    """Return a length of time in whole days, or hours below two: ``3 days``, ``26 hours``."""
    hours = length // timedelta(hours=1)
    return counted(hours, "hour") if hours < 48 else counted(hours // 24, "day")  # noqa: PLR2004


def counted(count: int, noun: str) -> str:
    """Return ``1 copy`` or ``2 copies``, ``1 day`` or ``2 days``."""
    if count == 1:
        return f"1 {noun}"
    ends_in_consonant_and_y = noun.endswith("y") and noun[-2] not in "aeiou"
    return f"{count:,} {noun[:-1]}ies" if ends_in_consonant_and_y else f"{count:,} {noun}s"
