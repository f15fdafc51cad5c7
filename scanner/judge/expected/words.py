"""How the rules about what is expected spell moments and lengths of time."""

from datetime import datetime, timedelta, tzinfo

from scanner.judge.words import age, counted

A_MINUTE = timedelta(minutes=1)
AN_HOUR = timedelta(hours=1)
A_DAY = timedelta(days=1)
A_YEAR = timedelta(days=365.25)
YEARS_MIN = 2
ROUNDED = 0.9
"""From so much of a unit on it is called one: a nightly backup comes every 23 or 25 hours too."""


def moment(at: datetime, zone: tzinfo) -> str:
    """Return a moment as the clock on the wall shows it: ``2026-11-14 22:00``."""
    try:
        return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"
    except OverflowError:  # a damaged header gives a year that no other zone can hold
        return f"{at:%Y-%m-%d %H:%M}"


def old(length: timedelta) -> str:
    """Return an age as people say it: ``26 hours``, ``9 days``, ``3 years``."""
    years = length // A_YEAR
    return counted(years, "year") if years >= YEARS_MIN else age(max(length, timedelta()))


def every(length: timedelta) -> str:
    """Return what follows *one every*: ``day``, ``7 days``, ``15 minutes``."""
    for unit, noun in ((A_DAY, "day"), (AN_HOUR, "hour")):
        if length >= unit * ROUNDED:
            number = round(length / unit)
            return noun if number == 1 else counted(number, noun)
    number = max(round(length / A_MINUTE), 1)
    return "minute" if number == 1 else counted(number, "minute")


def lasting(seconds: float) -> str:
    """Return how long something takes: ``40 s``, ``12 min``, ``1 h 15 min``, ``2 days 3 h``."""
    whole = int(seconds)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if not minutes:
        return f"{whole} s"
    if not hours:
        return f"{minutes} min"
    if hours < 48:  # noqa: PLR2004 - as ages are spelled
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{days} days {hours % 24} h" if hours % 24 else f"{days} days"
