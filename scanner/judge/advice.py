"""What is to be said besides verdicts: a sentence, its rule, and how much it weighs.

Two severities. A *warning* is something to act on that gets worse by waiting; it turns the exit
code of a sound repository into 3 until it is acted on or acknowledged. *Advice* is shown and
decides nothing: habits and old stories would otherwise raise the same alarm every morning, until
nobody reads it.
"""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """Whether something may decide the exit code."""

    WARNING = "warning"
    ADVICE = "advice"


@dataclass(frozen=True, slots=True)
class Advice:
    """One sentence about one database. ``id`` is the same in every run, and can be acknowledged."""

    id: str
    rule: str
    severity: Severity
    source: str
    text: str
