"""The recovery calendar: one symbol per day, for one line per source or a grid per month.

Every symbol can be told from every other without colour. Days and times are those of one zone,
which the text names.
"""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

import msgspec
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from scanner.judge.model import Verdict
from scanner.judge.sources.calendar import Day, DayState, Gap, local_day, ordered
from scanner.judge.sources.model import DatedBy, RestorePoint, Source, Span
from scanner.judge.sources.points import needed_keys, path_to
from scanner.outlets import wording
from scanner.outlets.report import Index
from scanner.outlets.text import STYLES, VERDICT_COLUMN

SYMBOLS: Mapping[DayState, str] = {
    DayState.PROVEN: "#",
    DayState.WEAK: "+",
    DayState.UNPROVEN: "?",
    DayState.LOST: "x",
    DayState.NONE: ".",
    DayState.BEFORE: " ",
}
DAY_STYLES: Mapping[DayState, str] = {
    DayState.PROVEN: "green",
    DayState.WEAK: "yellow",
    DayState.UNPROVEN: "yellow",
    DayState.LOST: "bold red",
    DayState.NONE: "",
    DayState.BEFORE: "",
}
LEGEND = (
    (DayState.PROVEN, "restores, proven"),
    (DayState.WEAK, "restores, weakened"),
    (DayState.UNPROVEN, "not proven"),
    (DayState.LOST, "nothing of that day restores"),
    (DayState.NONE, "no backup of that day"),
)
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WEEK_DAYS = 7
WEEK_WIDTH = WEEK_DAYS + 1
NAME_SHARE_MIN = 3  # a third of the width
GAPS_SHOWN_MAX = 3
LINES_SHOWN_MAX = 500
PATH_SHOWN_MAX = 3
KIND_COLUMN = 14
INDENT = "  "
DATED: Mapping[DatedBy, str] = {
    DatedBy.FORMAT: "",
    DatedBy.NAME: "dated by its file name alone",
    DatedBy.FILE: "dated by when its file was last written, for want of better",
}


@dataclass(frozen=True, slots=True)
class SourceCalendar:
    """The days of one source, oldest first, and its gaps."""

    source: Source
    days: tuple[Day, ...]
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True)
class CalendarReport:
    """All there is to say: of every source the same days, of ``zone``."""

    known: Index
    calendars: tuple[SourceCalendar, ...]
    first: date
    last: date
    now: datetime
    zone: tzinfo


# All sources, a line each


def overview(report: CalendarReport, width: int) -> Group:
    """Return a line of symbols for each source, folded by weeks to a width."""
    if not report.calendars:
        return Group(Text("no backup is known"))
    names = max(len(wording.clean(item.source.name)) for item in report.calendars)
    weeks = weeks_of(report.first, report.last)
    room = max(width - len(weeks) * WEEK_WIDTH - len(INDENT), width // NAME_SHARE_MIN)
    name_width = min(names, room)
    per_block = max((width - name_width - len(INDENT)) // WEEK_WIDTH, 1)
    lines: list[RenderableType] = []
    for start in range(0, len(weeks), per_block):
        block = weeks[start : start + per_block]
        newest = start + per_block >= len(weeks)
        lines.append(Text(f"{'':{name_width}}{INDENT}{ruler(block)}".rstrip()))
        for item in report.calendars:
            lines.extend(row(report, item, block, name_width))
            if newest:
                lines.extend(map(indented, standing(report, item)))
        lines.append(Text())
    return Group(*lines, *legend(report))


def weeks_of(first: date, last: date) -> list[tuple[date, ...]]:
    """Return the days from one to another by weeks, which begin on Monday."""
    found: list[list[date]] = []
    for number in range((last - first).days + 1):
        day = first + timedelta(number)
        if not found or day.weekday() == 0:
            found.append([])
        found[-1].append(day)
    return [tuple(week) for week in found]


def ruler(weeks: Sequence[Sequence[date]]) -> str:
    """Return the first day of each week, above its symbol; a short week has room for none."""
    parts = []
    for index, week in enumerate(weeks):
        label = f"{week[0].day} {wording.MONTHS[week[0].month - 1][:3]}"
        fits = len(week) >= len(label) or index == len(weeks) - 1
        parts.append(f"{label if fits else '':{len(week)}}")
    return " ".join(parts)


def row(
    report: CalendarReport,
    item: SourceCalendar,
    weeks: Sequence[Sequence[date]],
    name_width: int,
) -> Iterator[Text]:
    """Yield a name and its symbols; what is left of a long name on lines of its own."""
    name = wording.clean(item.source.name)
    known = {day.date: day for day in item.days}
    line = Text(f"{name[:name_width]:{name_width}}{INDENT}", overflow="fold")
    for index, week in enumerate(weeks):
        line.append(" " if index else "")
        for day in week:
            line.append_text(symbol(report, known[day]))
    line.rstrip()
    yield line
    for start in range(name_width, len(name), name_width):
        yield Text(name[start : start + name_width])


def symbol(report: CalendarReport, day: Day) -> Text:
    """Return the symbol of a day. Of today, which is not over, no backup is missed yet."""
    open_yet = day.state is DayState.NONE and day.date == report.last
    return Text(" " if open_yet else SYMBOLS[day.state], DAY_STYLES[day.state])


def standing(report: CalendarReport, item: SourceCalendar) -> Iterator[str]:
    """Yield up to when a source can be restored, and its gaps."""
    yield reach(report, item.source)
    for gap in item.gaps[-GAPS_SHOWN_MAX:]:
        yield gap_line(report, gap)
    if len(item.gaps) > GAPS_SHOWN_MAX:
        older = wording.counted(len(item.gaps) - GAPS_SHOWN_MAX, "older gap")
        yield f"and {older}: bakproof calendar '{wording.clean(item.source.name)}'"


def reach(report: CalendarReport, source: Source) -> str:
    """Say from when to when a source can be restored, and what came after that does not."""
    newest, oldest = source.newest, source.oldest
    if newest is None or oldest is None:
        if not source.points:
            return "no backup of it is there"
        if len(source.points) == 1:
            return "its only backup is not proven to restore"
        return f"none of its {len(source.points):,} backups is proven to restore"
    ago = wording.ago(newest.at, report.now)
    said = f"restorable: newest {shown(report, newest.at)} ({ago})"
    said += f", oldest {shown(report, oldest.at)}" if oldest.key != newest.key else ""
    later = [point for point in ordered(source.points) if not point.usable and newest.at < point.at]
    if later:
        said += f"; {wording.counted(len(later), 'newer backup')} not proven to restore"
    return said


def gap_line(report: CalendarReport, gap: Gap) -> str:
    """Say from when to when nothing can be restored, and what lies there."""
    length = wording.duration((gap.end - gap.begin).total_seconds())
    usual = wording.duration(gap.usual.total_seconds())
    backups = wording.counted(len(gap.points), "backup")
    verb = "does" if len(gap.points) == 1 else "do"
    there = f"{backups} of that time {verb} not restore" if gap.points else "no backup is there"
    stretch = f"{shown(report, gap.begin)} to {shown(report, gap.end)}"
    than = f" where {usual} is usual" if gap.usual else ", log missing"
    return f"gap: {stretch}, {length}{than}; {there}"


def legend(report: CalendarReport) -> Iterator[Text]:
    """Yield what the symbols mean, and by which clock the days are."""
    line = Text(overflow="fold")
    for index, (state, meaning) in enumerate(LEGEND):
        line.append("   " if index else "")
        line.append(SYMBOLS[state], DAY_STYLES[state])
        line.append(f" {meaning}")
    yield line
    yield Text(f"days and times are {zone_name(report)}")


def zone_name(report: CalendarReport) -> str:
    """Return what the zone is called now."""
    return report.now.astimezone(report.zone).tzname() or wording.UNKNOWN


def shown(report: CalendarReport, at: datetime) -> str:
    """Return a time by the clock of the zone."""
    try:
        return f"{at.astimezone(report.zone):%Y-%m-%d %H:%M}"
    except OverflowError:
        return f"{at:%Y-%m-%d %H:%M}"


# One source


def detail(report: CalendarReport, item: SourceCalendar) -> Group:
    """Return a grid for each month, then a line for each restore point."""
    lines: list[RenderableType] = [
        Text(f"'{wording.clean(item.source.name)}'", style="bold"),
        indented(reach(report, item.source)),
        *map(indented, whole_stretches(report, item)),
        *(indented(gap_line(report, gap)) for gap in item.gaps),
        Text(),
    ]
    for days in months_of(item.days):
        lines.extend(grid(report, days))
        lines.append(Text())
    lines.extend(backups(report, item))
    return Group(*lines, *legend(report))


def whole_stretches(report: CalendarReport, item: SourceCalendar) -> Iterator[str]:
    """Yield the stretches any moment of which can be restored, as far as they reach into view."""
    spans = [span for span in item.source.spans if in_view(report, span)]
    for span in spans[-LINES_SHOWN_MAX:]:
        yield f"any moment from {shown(report, span.begin)} to {shown(report, span.end)}"


def in_view(report: CalendarReport, span: Span) -> bool:
    """Whether a stretch of time, and not only a point, lies in the days shown."""
    begins = local_day(span.begin, report.zone) <= report.last
    return span.begin < span.end and begins and local_day(span.end, report.zone) >= report.first


def months_of(days: Sequence[Day]) -> Iterator[tuple[Day, ...]]:
    """Yield days month by month."""
    found: dict[tuple[int, int], list[Day]] = {}
    for day in days:
        found.setdefault((day.date.year, day.date.month), []).append(day)
    yield from map(tuple, found.values())


def grid(report: CalendarReport, days: Sequence[Day]) -> Iterator[Text]:
    """Yield a month: its name, the days of the week, and a line for each week."""
    first = days[0].date
    yield Text(f"{wording.MONTHS[first.month - 1]} {first.year}")
    yield Text("".join(f"{name:>5}" for name in WEEKDAYS))
    line = Text("     " * first.weekday())
    for day in days:
        if day.date.weekday() == 0 and day is not days[0]:
            yield line
            line = Text()
        line.append(f"{day.date.day:>4}")
        line.append_text(symbol(report, day))
    yield line


def backups(report: CalendarReport, item: SourceCalendar) -> Iterator[RenderableType]:
    """Yield what is known of each backup of these days, oldest first; of very many the newest."""
    points = [point for day in item.days for point in day.points]
    later = sum(later_than_shown(report, point) for point in item.source.points)
    if len(points) > LINES_SHOWN_MAX:
        yield Text(f"{len(points) - LINES_SHOWN_MAX:,} older backups, in --json")
    if points:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for point in points[-LINES_SHOWN_MAX:]:
            weekday = WEEKDAYS[local_day(point.at, report.zone).weekday()]
            table.add_row(f"{weekday} {shown(report, point.at)}", point_text(report.known, point))
        yield table
    if later:
        yield Text(f"{wording.counted(later, 'backup')} dated after {report.last.isoformat()}")
    if points or later:
        yield Text()


def later_than_shown(report: CalendarReport, point: RestorePoint) -> bool:
    """Whether a backup is of a day after those shown: of tomorrow, if clocks disagree."""
    return local_day(point.at, report.zone) > report.last


def point_text(known: Index, point: RestorePoint) -> Text:
    """Return the verdict on one backup, its kind and name; why, and what restores it."""
    verdict, kind = point.ruling.verdict, known.images[point.key].image.kind or "image"
    said = Text(overflow="fold")
    said.append(f"{verdict.word:<{VERDICT_COLUMN}}", STYLES[verdict])
    said.append(f"{kind:<{KIND_COLUMN}}{known.name(known.images[point.key])}")
    for remark in remarks(known, point):
        said.append(f"\n{remark}")
    return said


def remarks(known: Index, point: RestorePoint) -> Iterator[str]:
    """Yield what decides about a restore point, how it is dated, and what it needs."""
    decider = known.images.get(point.deciding_key)
    if point.ruling.verdict is not Verdict.SOUND:
        yield wording.because(point.ruling.rule)
    if decider is not None and decider.key != point.key:
        yield f"decided by {known.name(decider)}"
    if DATED[point.dated_by]:
        yield DATED[point.dated_by]
    if point.by_name:
        yield "linked by file names alone: nothing in an image says what it needs"
    before = path_to(point.key, known.images)[:-1]
    if before:
        yield f"needs {', then '.join(steps(known, point.key, before))}"


def steps(known: Index, key: int, before: Sequence[int]) -> Iterator[str]:
    """Yield the images to restore before one, in order; of many the first ones and the last."""
    here = posixpath.dirname(known.shown_path(known.images[key].files[0]))
    shown_first = before if len(before) <= PATH_SHOWN_MAX else before[: PATH_SHOWN_MAX - 1]
    for one in shown_first:
        yield near(known.name(known.images[one]), here)
    if len(before) > PATH_SHOWN_MAX:
        yield f"{len(before) - PATH_SHOWN_MAX:,} more"
        yield near(known.name(known.images[before[-1]]), here)


def near(name: str, folder: str) -> str:
    """Return a quoted path without the folder, where it lies in that very folder."""
    inside = name.removeprefix(f"'{folder}/")
    return name if "/" in inside or inside == name else f"'{inside}"


def indented(line: str) -> Padding:
    """Return an indented line that a narrow terminal folds."""
    return Padding(Text(line, overflow="fold"), (0, 0, 0, len(INDENT)), expand=False)


# JSON


class PointOut(msgspec.Struct, frozen=True, kw_only=True):
    """A restore point. ``needs`` are the images its own needs directly: follow them to the root.

    ``steps`` and ``restore_bytes`` are what a restore reads in all.
    """

    key: int
    path: str
    at: datetime
    dated_by: str
    kind: str | None
    verdict: str
    rule: str
    deciding: str | None
    steps: int
    restore_bytes: int
    by_name: bool
    needs: tuple[int, ...]


class SpanOut(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time to any moment of which the source can be restored."""

    begin: datetime
    end: datetime


class DayOut(msgspec.Struct, frozen=True, kw_only=True):
    """One day. ``gone`` counts backups made that day that are not there any more."""

    date: date
    state: str
    covered_seconds: float
    length_seconds: float
    gone: int
    points: tuple[PointOut, ...]


class GapOut(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch without anything to restore; ``points`` are the backups in it that do not."""

    begin: datetime
    end: datetime
    usual_seconds: float
    points: tuple[int, ...]


class SourceCalendarOut(msgspec.Struct, frozen=True, kw_only=True):
    """The calendar of one source; ``newest`` and ``oldest`` of its points restore."""

    source: str
    source_id: str
    kind: str
    machine: str | None
    newest: PointOut | None
    oldest: PointOut | None
    spans: tuple[SpanOut, ...]
    gaps: tuple[GapOut, ...]
    days: tuple[DayOut, ...]


class CalendarOut(msgspec.Struct, frozen=True, kw_only=True):
    """What ``calendar --json`` prints. Days are those of ``zone``, times have their own."""

    v: int
    zone: str
    first: date
    last: date
    sources: tuple[SourceCalendarOut, ...]


def calendar_out(report: CalendarReport) -> CalendarOut:
    """Return the calendar for JSON."""
    return CalendarOut(
        v=1,
        zone=zone_name(report),
        first=report.first,
        last=report.last,
        sources=tuple(source_out(report.known, item) for item in report.calendars),
    )


def source_out(known: Index, item: SourceCalendar) -> SourceCalendarOut:
    """Return the calendar of one source."""
    source = item.source
    return SourceCalendarOut(
        source=wording.encodable(source.name),
        source_id=source.id,
        kind=source.kind,
        machine=None if source.machine is None else wording.encodable(source.machine),
        newest=None if source.newest is None else point_out(known, source.newest),
        oldest=None if source.oldest is None else point_out(known, source.oldest),
        spans=tuple(SpanOut(begin=span.begin, end=span.end) for span in source.spans),
        gaps=tuple(
            GapOut(
                begin=gap.begin,
                end=gap.end,
                usual_seconds=gap.usual.total_seconds(),
                points=tuple(point.key for point in gap.points),
            )
            for gap in item.gaps
        ),
        days=tuple(day_out(known, day) for day in item.days),
    )


def day_out(known: Index, day: Day) -> DayOut:
    """Return one day."""
    return DayOut(
        date=day.date,
        state=day.state,
        covered_seconds=day.covered_seconds,
        length_seconds=day.length_seconds,
        gone=day.gone,
        points=tuple(point_out(known, point) for point in day.points),
    )


def point_out(known: Index, point: RestorePoint) -> PointOut:
    """Return one restore point."""
    image = known.images[point.key]
    decider = known.images.get(point.deciding_key)
    return PointOut(
        key=point.key,
        path=wording.encodable(known.shown_path(image.files[0])),
        at=point.at,
        dated_by=point.dated_by,
        kind=image.image.kind,
        verdict=point.ruling.verdict.word,
        rule=point.ruling.rule,
        deciding=None if decider is None else wording.encodable(known.shown_path(decider.files[0])),
        steps=point.steps,
        restore_bytes=point.restore_bytes,
        by_name=point.by_name,
        needs=needed_keys(image, known.images),
    )
