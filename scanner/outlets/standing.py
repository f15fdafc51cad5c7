"""How each source stands: one line that a person can act on at seven in the morning."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from scanner.judge.sources.answers import Answer, State
from scanner.judge.sources.model import DatedBy, RestorePoint
from scanner.judge.sources.outlook import SourceOutlook
from scanner.outlets import wording
from scanner.outlets.report import Index, Report, index

STATE_COLUMN = 12
SLOW_SECONDS = 60.0
"""What is read faster than this is no news."""

UNITS = (
    (timedelta(days=365), "years"),
    (timedelta(days=30), "months"),
    (timedelta(days=1), "days"),
    (timedelta(hours=1), "hours"),
)
RESTORABLE_SHOWN_MAX = 300
"""Sources of which nothing is to be said but that they restore; all others are always shown."""

CLOSED_SHOWN_MAX = 10
CLOSED_NAMED_MAX = 8
STATE_STYLES: Mapping[State, str] = {
    State.RESTORABLE: "green",
    State.ATTENTION: "yellow",
    State.BEHIND: "bold red",
    State.UNPROVEN: "yellow",
    State.LOST: "bold red",
}


def standing(report: Report) -> Iterator[RenderableType]:
    """Yield one line per source, those to act on first."""
    known = index(report)
    every = worst_first(report.outlook.sources)
    closed = [one for one in every if not is_read(one, known)]
    together = closed if len(closed) > CLOSED_SHOWN_MAX else []
    apart = {one.source.id for one in together}
    ordered = [one for one in every if one.source.id not in apart]
    fine = sum(one.answer.state is State.RESTORABLE for one in ordered)
    # They come last, so that what is left out is nothing but restorable.
    more = max(fine - RESTORABLE_SHOWN_MAX, 0)
    if not every:
        return
    grid = Table.grid(padding=(0, 1))
    grid.add_column(min_width=STATE_COLUMN, no_wrap=True)
    grid.add_column(overflow="fold", ratio=1)
    for one in ordered[: len(ordered) - more]:
        state = one.answer.state
        grid.add_row(Text(state.word, STATE_STYLES[state]), line(one, report))
    if more:
        rest = f"and {wording.counted(more, 'more source')}"
        grid.add_row(Text(State.RESTORABLE.word, STATE_STYLES[State.RESTORABLE]), Text(rest))
    if together:
        grid.add_row(Text(State.UNPROVEN.word, STATE_STYLES[State.UNPROVEN]), several(together))
    yield grid
    yield Text()


def is_read(one: SourceOutlook, known: Index) -> bool:
    """Whether any image of a source is of a format that is read, or no image of it is left."""
    images = one.source.images
    records = (known.format(image.files[0]) for image in images)
    return not images or any(record is None or record.supported for record in records)


def several(sources: Sequence[SourceOutlook]) -> Text:
    """Return one line for many sources whose formats are only recognised."""
    names = ", ".join(wording.clean(one.source.name) for one in sources[:CLOSED_NAMED_MAX])
    more = len(sources) - CLOSED_NAMED_MAX
    shown = names + (f" and {more} more" if more > 0 else "")
    return Text.assemble(
        (f"{len(sources)} sources", "bold"),
        ": recognised, and not supported yet: nothing but the reading is proven. ",
        ("Do first: ", "bold"),
        f"try a restore of each: {shown}",
    )


def worst_first(sources: tuple[SourceOutlook, ...]) -> list[SourceOutlook]:
    """Return sources in the order they are to be looked at."""
    return sorted(sources, key=lambda one: (-one.answer.state, one.source.name, one.source.id))


def line(one: SourceOutlook, report: Report) -> Text:
    """Return what is to be said of one source."""
    found = one.answer
    said = Text.assemble((wording.clean(one.source.name), "bold"), ": ")
    said.append(restorable(one, report))
    if found.wrong is not None:
        said.append(f". Wrong: {wording.clean(found.wrong)}")
    if found.first is not None:
        said.append(". ")
        said.append("Do first: ", "bold")
        said.append(wording.clean(found.first))
    return said


def restorable(one: SourceOutlook, report: Report) -> str:
    """Say up to when a source can be restored, and how that was proven."""
    found = one.answer
    if found.newest is None:
        return nothing(found)
    verb = "restorable to" if found.state <= State.ATTENTION else "restorable only to"
    said = f"{verb} {at(found.newest, report)}; {wording.proof(found.newest.proof, report.now)}"
    if one.restore_seconds is not None and one.restore_seconds >= SLOW_SECONDS:
        said += f"; to read it takes at least {wording.duration(one.restore_seconds)}"
    if found.writing:
        said += "; a newer backup is being written"
    if found.failed:
        said += f"; {newer(found)}"
    return said


def nothing(found: Answer) -> str:
    """Say that no backup of a source restores, or none is known to."""
    if found.state is State.UNPROVEN:
        return "not proven restorable"
    return "NOT restorable"


def newer(found: Answer) -> str:
    """Say how many newer backups do not restore."""
    one = found.failed == 1
    return f"{wording.counted(found.failed, 'newer backup')} {'does' if one else 'do'} not restore"


def at(point: RestorePoint, report: Report) -> str:
    """Return the time of a point, in the zone of the report, and how long ago that was."""
    local = point.at.astimezone(report.zone)
    # A copy made without its times looks as new as the copy.
    by_file = ", by its file's date" if point.dated_by is DatedBy.FILE else ""
    return f"{local:%Y-%m-%d %H:%M}{by_file} ({ago(report.now - point.at)})"


def ago(age: timedelta) -> str:
    """Return an age as people say it; a time to come is one by a wrong clock, or a wrong zone."""
    if age < timedelta(0):
        return "in the future: a wrong clock or zone"
    for unit, name in UNITS:
        if age >= 2 * unit:
            return f"{age // unit} {name} ago"
    return f"{age // timedelta(minutes=1)} min ago"
