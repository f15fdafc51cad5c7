"""What lies ahead of each source: all that is known of it, put together.

Pure, like everything the judge says: rows in, an outlook out, recomputed whenever it is asked for.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from scanner.expectations import Expectations
from scanner.judge.advice import Advice, advise
from scanner.judge.answers import Answer, answer
from scanner.judge.chain_advice import chain_advice
from scanner.judge.model import JudgedImage
from scanner.judge.source_model import Source
from scanner.judge.sources import Matter, sources
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


@dataclass(frozen=True, slots=True)
class SourceOutlook:
    """One source, how it stands, and what is to be expected of it."""

    source: Source
    answer: Answer


@dataclass(frozen=True, slots=True)
class Outlook:
    """All sources, and what is to be said of them."""

    sources: tuple[SourceOutlook, ...]
    advice: tuple[Advice, ...]


NOTHING = Outlook((), ())


def outlook(known: Known, now: datetime, acknowledged: frozenset[str] = frozenset()) -> Outlook:
    """Return the outlook of every source; no answer dwells on ``acknowledged`` warnings."""
    matter = Matter(
        known.repositories, known.files, known.images, known.history, known.expectations, known.zone
    )
    images = {image.key: image for image in known.images}
    of_databases = by_source(advise(known.images, now))
    found: list[SourceOutlook] = []
    advice: list[Advice] = []
    for source in sources(matter):
        said = [*of_databases.get(source.database or "", ()), *advice_on(source, images)]
        pressing = [item for item in said if item.id not in acknowledged]
        found.append(SourceOutlook(source, answer(source, images, pressing)))
        advice.extend(said)
    return Outlook(tuple(found), tuple(advice))


def by_source(advice: Iterable[Advice]) -> dict[str, list[Advice]]:
    """Return advice by the name of what it is about."""
    found: dict[str, list[Advice]] = {}
    for item in advice:
        found.setdefault(item.source, []).append(item)
    return found


def advice_on(source: Source, images: Mapping[int, JudgedImage]) -> Iterator[Advice]:
    """Yield everything the rules about sources have to say of one."""
    yield from chain_advice(source, images)
