"""The forecast: a line for each backup to come, then in words what does not fit, and why.

Sizes are decimal here, in the table as in the sentences: they are held against allotments.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from scanner.judge import words
from scanner.judge.advice import Advice
from scanner.judge.forecast.fitting import Prospect
from scanner.judge.forecast.forecast import Forecast
from scanner.judge.forecast.room import Room
from scanner.judge.forecast.together import Together
from scanner.judge.sources.model import Source
from scanner.outlets import text, wording

STYLES: Mapping[Prospect, str] = {
    Prospect.FITS: "green",
    Prospect.TIGHT: "yellow",
    Prospect.WONT: "bold red",
    Prospect.CANNOT: "bold red",
    Prospect.UNKNOWN: "yellow",
}
COLUMNS = ("source", "next", "when", "size", "going by", "kept", "room", "outcome")
INDENT = "  "
GAP = 2
LABEL_WIDTH = 10


@dataclass(frozen=True, slots=True)
class SourceForecast:
    """One source, what is to come of it, and what is to be said of that."""

    source: Source
    forecasts: tuple[Forecast, ...]
    advice: tuple[Advice, ...]


@dataclass(frozen=True, slots=True)
class ForecastReport:
    """All there is to say. ``accepted`` are the ids of advice that somebody acknowledged."""

    sources: tuple[SourceForecast, ...]
    together: tuple[Together, ...]
    accepted: frozenset[str]
    now: datetime
    zone: tzinfo


def forecast_text(report: ForecastReport, width: int) -> Group:
    """Return the table, or where a terminal is too narrow for it a few lines each; then words."""
    parts: list[RenderableType] = []
    rows = list(rows_of(report))
    if rows:
        wide = sum(max(map(len, column)) + GAP for column in zip(COLUMNS, *rows, strict=True))
        parts.extend([table(rows)] if wide - GAP <= width else down(report))
        parts.append(Text())
    parts.extend(sentences(report))
    if not parts:
        parts.append(Text("no backup is known"))
    return Group(*parts)


def rows_of(report: ForecastReport) -> Iterator[tuple[str, ...]]:
    """Yield the cells of the table; a source is named once."""
    for item in report.sources:
        for index, forecast in enumerate(item.forecasts):
            name = wording.clean(item.source.name) if index == 0 else ""
            yield (name, *cells(forecast), forecast.outcome)


def table(rows: Sequence[tuple[str, ...]]) -> Table:
    """Return a line for each backup to come."""
    found = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="")
    for name in COLUMNS:
        found.add_column(name, no_wrap=True)
    for row in rows:
        *before, outcome = row
        found.add_row(*map(Text, before), Text(outcome, style=STYLES[Prospect(outcome)]))
    return found


def down(report: ForecastReport) -> Iterator[Text]:
    """Yield a few lines for each backup to come."""
    for item in report.sources:
        if not item.forecasts:
            continue
        yield Text(wording.clean(item.source.name), style="bold", overflow="fold")
        for forecast in item.forecasts:
            kind, when, *rest = cells(forecast)
            head = kind if forecast.due_at is None else f"{kind}, {when}"
            line = Text(f"{INDENT}{head}: ", overflow="fold")
            yield line.append(forecast.outcome, STYLES[forecast.outcome])
            for name, cell in zip(COLUMNS[3:], rest, strict=False):
                yield Text(f"{INDENT * 2}{name:<{LABEL_WIDTH}}{cell}", overflow="fold")


def cells(forecast: Forecast) -> tuple[str, ...]:
    """Return what the table says of a forecast between its source's name and its outcome."""
    return (
        forecast.kind,
        due(forecast.due_at),
        sizes(forecast),
        forecast.basis,
        kept(forecast),
        wording.UNKNOWN if forecast.room is None else room(forecast.room),
    )


def due(at: datetime | None) -> str:
    """Return a time by the clock of its zone: ``Fri 2026-11-27 22:00``."""
    if at is None:
        return wording.UNKNOWN
    return f"{words.WEEKDAYS[at.weekday()][:3]} {at:%Y-%m-%d %H:%M}"


def sizes(forecast: Forecast) -> str:
    """Return the likely size and its bounds; of a source's size alone the bounds only."""
    low, likely, high = map(
        words.size, (forecast.low_bytes, forecast.likely_bytes, forecast.high_bytes)
    )
    bounds = f"{low} to {high}" if low != high else low
    return f"{likely} ({bounds})" if forecast.founded and bounds != likely else bounds


def kept(forecast: Forecast) -> str:
    """Return the fulls that stay, and what all that stays takes."""
    if forecast.kept_bytes <= 0:
        return "nothing"
    fulls = words.counted(forecast.kept, "full") if forecast.kept else "no full"
    return f"{fulls}, {words.size(forecast.kept_bytes)}"


def room(found: Room) -> str:
    """Return what is free of what is allotted."""
    allotted = f"{words.size(found.allotted_bytes)} {found.by}"
    if found.free_bytes is None:
        return allotted
    elsewhere = "" if found.free_by == found.by else f" in the {found.free_by}"
    return f"{words.size(found.free_bytes)} free{elsewhere}, {allotted}"


def sentences(report: ForecastReport) -> Iterator[Text]:
    """Yield what does not fit, what is tight, what is shared, and what nobody can tell."""
    for item in report.sources:
        for advice in item.advice:
            accepted = " (acknowledged)" if advice.id in report.accepted else ""
            head = f"{advice.severity}: '{wording.clean(item.source.name)}': "
            yield Text(f"{head}{advice.text} [{advice.id}]{accepted}", overflow="fold")
    for shared in report.together:
        yield Text(f"{shared.text}: {shared.outcome}", style=STYLES[shared.outcome])
    silent = [item.source.name for item in report.sources if not item.forecasts]
    if silent:
        names = text.names(f"'{wording.clean(name)}'" for name in silent)
        count = words.counted(len(silent), "source")
        yield Text(f"no forecast for {count}, given up or of unknown size: {names}")


# JSON


class RoomOut(msgspec.Struct, frozen=True, kw_only=True):
    """What is allotted and what is free; who says so is allotment, quota or file system.

    ``over_bytes`` is how much more than allotted is taken already.
    """

    allotted_bytes: int
    allotted_by: str
    free_bytes: int | None
    free_by: str
    over_bytes: int


class ForecastOut(msgspec.Struct, frozen=True, kw_only=True):
    """One backup to come. ``founded`` is false where only the size of the source is known."""

    kind: str
    due: datetime | None
    low_bytes: int
    likely_bytes: int
    high_bytes: int
    basis: str
    founded: bool
    kept: int
    kept_bytes: int
    replaced_bytes: int
    repository: int | None
    room: RoomOut | None
    outcome: str
    text: str


class ForecastWarningOut(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said; ``id`` is what ``bakproof ack`` takes."""

    id: str
    rule: str
    severity: str
    acknowledged: bool
    text: str


class SourceForecastOut(msgspec.Struct, frozen=True, kw_only=True):
    """A source; without ``forecasts`` it was given up, or nothing is known of its size."""

    source: str
    source_id: str
    forecasts: tuple[ForecastOut, ...]
    warnings: tuple[ForecastWarningOut, ...]


class TogetherOut(msgspec.Struct, frozen=True, kw_only=True):
    """The next fulls of several sources that share one room; ``sources`` are their ids."""

    repositories: tuple[int, ...]
    sources: tuple[str, ...]
    needed_bytes: int
    room: RoomOut
    outcome: str
    text: str


class ForecastsOut(msgspec.Struct, frozen=True, kw_only=True):
    """What ``forecast --json`` prints."""

    v: int
    created: datetime
    sources: tuple[SourceForecastOut, ...]
    together: tuple[TogetherOut, ...]


def forecasts_out(report: ForecastReport) -> ForecastsOut:
    """Return the forecast for JSON."""
    return ForecastsOut(
        v=1,
        created=report.now,
        sources=tuple(source_out(item, report.accepted) for item in report.sources),
        together=tuple(
            TogetherOut(
                repositories=item.repository_ids,
                sources=item.sources,
                needed_bytes=item.needed_bytes,
                room=room_out(item.room),
                outcome=item.outcome,
                text=wording.encodable(item.text),
            )
            for item in report.together
        ),
    )


def source_out(item: SourceForecast, accepted: frozenset[str]) -> SourceForecastOut:
    """Return one source."""
    return SourceForecastOut(
        source=wording.encodable(item.source.name),
        source_id=item.source.id,
        forecasts=tuple(map(forecast_out, item.forecasts)),
        warnings=tuple(
            ForecastWarningOut(
                id=advice.id,
                rule=advice.rule,
                severity=advice.severity,
                acknowledged=advice.id in accepted,
                text=advice.text,
            )
            for advice in item.advice
        ),
    )


def forecast_out(item: Forecast) -> ForecastOut:
    """Return one backup to come."""
    return ForecastOut(
        kind=item.kind,
        due=item.due_at,
        low_bytes=item.low_bytes,
        likely_bytes=item.likely_bytes,
        high_bytes=item.high_bytes,
        basis=item.basis,
        founded=item.founded,
        kept=item.kept,
        kept_bytes=item.kept_bytes,
        replaced_bytes=item.replaced_bytes,
        repository=item.repository_id,
        room=None if item.room is None else room_out(item.room),
        outcome=item.outcome,
        text=item.text,
    )


def room_out(found: Room) -> RoomOut:
    """Return room for JSON."""
    return RoomOut(
        allotted_bytes=found.allotted_bytes,
        allotted_by=found.by,
        free_bytes=found.free_bytes,
        free_by=found.free_by,
        over_bytes=found.over_bytes,
    )
