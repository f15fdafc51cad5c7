"""When a schedule in cron's five fields comes round.

Backup programs run by local time, so the moment handed in has the zone the schedule is meant in;
cronsim follows Debian's cron where that zone changes to and from summer time.
"""

from datetime import datetime

from cronsim import CronSim, CronSimError

FIELDS = 5
ANY_DAY = datetime(2000, 1, 1)  # noqa: DTZ001 - only to try an expression out


def is_schedule(text: str) -> bool:
    """Whether a text is a schedule that comes round at all."""
    # cronsim takes six fields too, the first of which is seconds then: never what was meant.
    if len(text.split()) != FIELDS:
        return False
    try:
        next(CronSim(text, ANY_DAY))
    except (CronSimError, StopIteration):
        return False
    return True


def next_time(schedule: str, after: datetime) -> datetime:
    """Return the first time after a moment, in the zone of the moment."""
    assert after.tzinfo is not None
    return next(CronSim(schedule, after))


def last_time(schedule: str, before: datetime) -> datetime:
    """Return the last time before a moment, in the zone of the moment."""
    assert before.tzinfo is not None
    return next(CronSim(schedule, before, reverse=True))


def in_words(schedule: str) -> str:
    """Return a schedule as a clause: ``at 22:00 on Friday``."""
    said = CronSim(schedule, ANY_DAY).explain()
    return said[:1].lower() + said[1:]
