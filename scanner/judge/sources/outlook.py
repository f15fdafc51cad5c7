"""What lies ahead of each source: all that is known of it, put together.

Pure, like everything the judge says: rows in, an outlook out, recomputed whenever it is asked for.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from scanner.expectations import Expectations
from scanner.judge.advice import Advice, Severity
from scanner.judge.expected.layers import machine_advice
from scanner.judge.expected.pace import restore_seconds
from scanner.judge.expected.rules import expected_advice, terms_of
from scanner.judge.fit.advice import fit_advice
from scanner.judge.fit.fit import newest_fits
from scanner.judge.forecast.forecast import Forecast, forecast_advice, forecasts
from scanner.judge.forecast.room import ground_of
from scanner.judge.forecast.together import Together, together
from scanner.judge.model import JudgedImage, JudgedOther
from scanner.judge.names.reading import Names
from scanner.judge.sources.answers import Answer, answer
from scanner.judge.sources.chains import chain_advice
from scanner.judge.sources.grouping import Matter, sources
from scanner.judge.sources.model import Source
from scanner.judge.sources.points import is_there
from scanner.judge.sources.strangers import by_place, stranger_advice
from scanner.judge.sqlserver.advice import advise
from scanner.judge.sqlserver.databases import databases
from scanner.judge.sqlserver.lsn import judged_sets
from scanner.ledger.rows import FileRow, HistoryRow, RepositoryRow, RunRow, SpaceRow


@dataclass(frozen=True, slots=True)
class Known:
    """Everything an outlook is made of. Local times of backups are read in ``zone``."""

    repositories: Sequence[RepositoryRow]
    files: Sequence[FileRow]
    images: Sequence[JudgedImage]
    history: Sequence[HistoryRow]
    spaces: Sequence[SpaceRow]
    runs: Sequence[RunRow]
    expectations: Expectations
    zone: tzinfo
    others: Sequence[JudgedOther] = ()


@dataclass(frozen=True, slots=True)
class SourceOutlook:
    """One source, how it stands, and what is to be expected of it.

    ``restore_seconds`` is how long a restore of its newest point has to read at least, at the pace
    measured here.
    """

    source: Source
    answer: Answer
    restore_seconds: float | None
    forecasts: tuple[Forecast, ...]


@dataclass(frozen=True, slots=True)
class Outlook:
    """All sources, what is to be said of them, and what their next fulls need together."""

    sources: tuple[SourceOutlook, ...]
    advice: tuple[Advice, ...]
    together: tuple[Together, ...] = ()


NOTHING = Outlook((), ())


def outlook(known: Known, now: datetime, acknowledged: frozenset[str] = frozenset()) -> Outlook:
    """Return the outlook of every source that is there, or missed.

    No answer dwells on ``acknowledged`` warnings.
    """
    matter = Matter(
        known.repositories, known.files, known.images, known.history, known.expectations, known.zone
    )
    images = {image.key: image for image in known.images}
    logged = databases(judged_sets(image for image in known.images if is_there(image)))
    of_databases = by_source(advise(known.images, now, logged))
    found: list[SourceOutlook] = []
    advice: list[Advice] = []
    every = sources(matter, logged)
    terms = terms_of(every, known.runs, known.expectations, now, known.zone)
    of_machines = by_source(machine_advice(every, known.expectations, now, known.zone))
    ground = ground_of(
        every,
        known.repositories,
        known.files,
        known.spaces,
        known.expectations,
        now,
        known.zone,
    )
    names = Names()
    strangers = by_place(known.others, names)
    for source in every:
        coming = forecasts(source, ground)
        said = [*of_databases.get(source.database or "", ()), *of_machines.get(source.name, ())]
        said += advice_on(source, images)
        said += stranger_advice(source, strangers, names)
        said += expected_advice(source, terms, said)
        said += forecast_advice(source, coming)
        said += unsaid(fit_advice(source, newest_fits(source)), said)
        advice.extend(said)
        if is_past(source, said):
            continue
        pressing = [item for item in said if item.id not in acknowledged]
        newest, rate = source.newest, terms.bytes_per_second
        seconds = None if newest is None else restore_seconds(newest, rate)
        stands = answer(source, images, pressing)
        found.append(SourceOutlook(source, stands, seconds, coming))
    shared = together([(one.source, one.forecasts) for one in found], ground)
    return Outlook(tuple(found), tuple(advice), shared)


def is_past(source: Source, said: Iterable[Advice]) -> bool:
    """Whether nothing of a source is left, and nobody misses it.

    What was there once stays in the history: an answer about it would be an alarm for ever.
    """
    missed = any(item.severity is Severity.WARNING for item in said)
    return not source.images and not missed


SAID_BY_OTHERS: Mapping[str, str] = {"fit.partial": "sql.stored-too-little"}
"""Rules that have nothing to add where another one speaks."""


def unsaid(advice: Iterable[Advice], said: Sequence[Advice]) -> Iterator[Advice]:
    """Yield advice that no other rule has given already."""
    rules = {item.rule for item in said}
    yield from (item for item in advice if SAID_BY_OTHERS.get(item.rule) not in rules)


def by_source(advice: Iterable[Advice]) -> dict[str, list[Advice]]:
    """Return advice by the name of what it is about."""
    found: dict[str, list[Advice]] = {}
    for item in advice:
        found.setdefault(item.source, []).append(item)
    return found


def advice_on(source: Source, images: Mapping[int, JudgedImage]) -> Iterator[Advice]:
    """Yield everything the rules about sources have to say of one."""
    yield from chain_advice(source, images)
