"""The next backups of a source: when, how large, and whether there is room for them.

A forecast is about one kind of backup: the next full, and what is made between fulls. It is made
from the first night on, from the size of the source alone, with the wide uncertainty that has.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from formats.core.model import Kind
from scanner.judge.advice import Advice, Severity
from scanner.judge.forecast import words as forecast_words
from scanner.judge.forecast.due import due_at, retired
from scanner.judge.forecast.fitting import (
    Copies,
    Prospect,
    copies_of,
    ended_with_the_room,
    outgrown,
    prospect,
)
from scanner.judge.forecast.growth import Estimate
from scanner.judge.forecast.predict import next_full, next_of_kind, scaled
from scanner.judge.forecast.room import Ground, Room, repository_of, room_for
from scanner.judge.forecast.sizes import backups, stored_share
from scanner.judge.sources.model import Source
from scanner.judge.sources.saying import said

DEPENDENT_KINDS = (Kind.DIFFERENTIAL, Kind.INCREMENTAL, Kind.LOG)


@dataclass(frozen=True, slots=True)
class Forecast:
    """One backup to come. Sizes are what it takes on the disk.

    ``basis`` is what they rest on; ``founded`` is false where that is a source's size alone.
    ``due_at`` is in the zone local times are read in; None where nobody knows. ``kept`` counts the
    whole fulls that stay while it is written, ``kept_bytes`` is what all that stays takes, and
    ``replaced_bytes`` what is overwritten. ``repository_id`` is where it will lie.
    """

    kind: Kind
    due_at: datetime | None
    low_bytes: int
    likely_bytes: int
    high_bytes: int
    basis: str
    founded: bool
    kept: int
    kept_bytes: int
    replaced_bytes: int
    repository_id: int | None
    room: Room | None
    outcome: Prospect
    text: str


def forecasts(source: Source, ground: Ground) -> tuple[Forecast, ...]:
    """Return the forecast of the next full, then of each other kind that is made.

    Nothing is forecast of a source that was given up, nor where nothing is known of its size.
    """
    measured = backups(source)
    if retired(source, measured, ground.now):
        return ()
    number = repository_of(source, ground)
    room = room_for(source, number, ground)
    sizes = ended_with_the_room(source, measured, room)
    share = stored_share(source, sizes, whole=True)
    copies = replace(copies_of(source, sizes, ground.now), doubted=sizes != measured)
    others = sharing(number, ground)
    found = []
    for kind in (Kind.FULL, *DEPENDENT_KINDS):
        due = due_at(source, sizes, kind, ground.now, ground.zone)
        if kind is Kind.FULL:
            size = next_full(source, sizes, due)
        else:
            # What nobody waits for any more is not made any more.
            size = next_of_kind(sizes, kind, due) if due is not None else None
        if size is not None:
            made = forecast(kind, due, scaled(size, share), copies, room, others)
            found.append(replace(made, repository_id=number))
    return tuple(found)


def forecast(
    kind: Kind,
    due: datetime | None,
    size: Estimate,
    copies: Copies,
    room: Room | None,
    others: int,
) -> Forecast:
    """Return one forecast; ``others`` is how many more sources share the file system."""
    if kind is not Kind.FULL:
        # These are written anew, beside everything.
        copies = replace(copies, replaced_bytes=0, written_bytes=0, cut_bytes=0, retiring_bytes=0)
    given = copies.replaced_bytes + copies.written_bytes
    outcome = prospect(
        size, room, given, copies.written_bytes, copies.cut_bytes, copies.retiring_bytes
    )
    case = forecast_words.Case(size, due, copies, room, outcome, others)
    return Forecast(
        kind=kind,
        due_at=due,
        low_bytes=size.low_bytes,
        likely_bytes=size.likely_bytes,
        high_bytes=size.high_bytes,
        basis=size.basis,
        founded=size.founded,
        kept=copies.count,
        kept_bytes=copies.taken_bytes - given,
        replaced_bytes=copies.replaced_bytes,
        repository_id=None,
        room=room,
        outcome=outcome,
        text=forecast_words.sentence(case, alone=outgrown(room, copies.cut_bytes)),
    )


def sharing(number: int | None, ground: Ground) -> int:
    """Return how many other sources lie on the file system of a repository."""
    row = ground.repositories.get(number) if number is not None else None
    return 0 if row is None else max(ground.sharing.get(row.filesystem, 0) - 1, 0)


# What is to be said of it


@dataclass(frozen=True, slots=True)
class Rule:
    """What an outcome is called, and how much it weighs."""

    name: str
    severity: Severity


RULES: Mapping[Prospect, Rule] = {
    Prospect.CANNOT: Rule("forecast.cannot-fit", Severity.WARNING),
    Prospect.WONT: Rule("forecast.will-not-fit", Severity.WARNING),
    Prospect.TIGHT: Rule("forecast.tight", Severity.ADVICE),
}


def forecast_advice(source: Source, found: Sequence[Forecast]) -> Iterator[Advice]:
    """Yield what is to be said of forecasts; what fits needs no words.

    A full may never come again (one was enough, increments follow for ever): while nobody knows
    when, that it would not fit beside the one there is is worth knowing and no reason to call.
    """
    for item in found:
        rule = RULES.get(item.outcome)
        if rule is None:
            continue
        awaited = item.due_at is not None or not item.kept or item.outcome is Prospect.CANNOT
        severity = rule.severity if awaited else Severity.ADVICE
        sentence = f"the next {item.kind} {item.text}"
        yield said(source, rule.name, severity, sentence, item.kind)
