"""How often a source is backed up, learned from when it was, and how long to wait for the next.

A rule that cries wolf on the first holiday is switched off. The longest stretch there ever was
lately is therefore no reason to worry, nor is a weekend on top of it: a job of weekdays may miss
the days around Easter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from scanner.judge.forecast.due import habit
from scanner.judge.sources.model import Source

BACKUPS_MIN = 5
"""With fewer, nobody knows how often the next one comes."""

GAPS_MIN = 20
"""The longest of so many of the newest stretches between backups is nothing unusual ..."""

GAPS_AGE_MAX = timedelta(days=35)
"""... nor is that of so many days: twenty backups of a log made by the hour hold no weekend."""

MISSED_TIMES = 3
WEEKEND = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How far apart backups of a source usually are, and at most were lately."""

    usual: timedelta
    longest: timedelta

    @property
    def patience(self) -> timedelta:
        """How old the newest backup gets before one is missed."""
        return max(MISSED_TIMES * self.usual, self.longest + WEEKEND + self.usual / 2)


def backup_times(source: Source) -> tuple[datetime, ...]:
    """Return when each backup was made, also those that are gone; each time once, oldest first.

    What is still there is dated by its point alone: its measure may give the time it began.
    """
    times = {point.at for point in source.points}
    times |= {measure.at for measure in source.history if measure.key is None}
    return tuple(sorted(times))


def rhythm(times: Sequence[datetime]) -> Rhythm | None:
    """Return the rhythm of backups, given oldest first; None while there are too few."""
    # Learned from all but the last one: how late that one came makes nobody less patient.
    usual = habit(times[:-1])
    if len(times) < BACKUPS_MIN or usual is None:
        return None
    first = max(len(times) - GAPS_MIN - 1, 0)
    gaps = (
        after - before
        for index, (before, after) in enumerate(pairwise(times))
        if index >= first or times[-2] - before <= GAPS_AGE_MAX
    )
    return Rhythm(usual, max(gaps))
