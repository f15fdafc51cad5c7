"""Say what dies with a file: for people, and for JSON."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from scanner.judge.model import JudgedImage
from scanner.judge.sources.model import RestorePoint
from scanner.judge.sources.radius import Loss, dies_with, held_in
from scanner.outlets import wording
from scanner.outlets.report import Index, Report

POINTS_SHOWN_MAX = 20
SPANS_SHOWN_MAX = 20


class LostPointOut(msgspec.Struct, frozen=True, kw_only=True):
    """A restore point: the image it is of, and the time it leads back to."""

    key: int
    path: str
    kind: str | None
    at: datetime


class LostSpanOut(msgspec.Struct, frozen=True, kw_only=True):
    """Any moment between two times."""

    begin: datetime
    end: datetime


class LossOut(msgspec.Struct, frozen=True, kw_only=True):
    """What one source loses if the file dies.

    ``points`` restore today, ``unproven`` may; ``spared`` are restored with the file today, and
    without it then. ``spans`` can be restored to any moment today. ``newest`` is the newest
    restorable point today, ``newest_left`` the newest one then.
    """

    source: str
    source_id: str
    points: tuple[LostPointOut, ...]
    unproven: tuple[LostPointOut, ...]
    spared: tuple[LostPointOut, ...]
    spans: tuple[LostSpanOut, ...]
    newest: LostPointOut | None
    newest_left: LostPointOut | None


@dataclass(frozen=True, slots=True)
class Radius:
    """What dies with a file; ``own`` are the images that lie in it or need it as a further file."""

    own: frozenset[int]
    losses: tuple[Loss, ...]


def radius_of(report: Report, images: Iterable[JudgedImage]) -> Radius:
    """Return what dies with a file, given the images that were found in it."""
    inside = tuple(images)
    everything = report.judgement.images
    # Of an image in several files only one dies, and what else lies in the others does not.
    files = [image.files[0] for image in inside if len(image.files) == 1]
    own = frozenset(image.key for image in inside) | held_in(files, everything)
    sources = (one.source for one in report.outlook.sources)
    return Radius(own, dies_with(own, everything, sources, report.zone))


def losses_out(known: Index, images: Iterable[JudgedImage]) -> tuple[LossOut, ...]:
    """Return what dies with a file in which these images were found, for JSON."""
    return tuple(loss_out(known, loss) for loss in radius_of(known.report, images).losses)


def loss_out(known: Index, loss: Loss) -> LossOut:
    """Return what one source loses."""
    return LossOut(
        source=wording.encodable(loss.source.name),
        source_id=loss.source.id,
        points=tuple(point_out(known, point) for point in loss.points),
        unproven=tuple(point_out(known, point) for point in loss.unproven),
        spared=tuple(point_out(known, point) for point in loss.spared),
        spans=tuple(LostSpanOut(begin=span.begin, end=span.end) for span in loss.spans),
        newest=None if loss.newest is None else point_out(known, loss.newest),
        newest_left=None if loss.newest_left is None else point_out(known, loss.newest_left),
    )


def point_out(known: Index, point: RestorePoint) -> LostPointOut:
    """Return one restore point."""
    image = known.images[point.key]
    return LostPointOut(
        key=point.key,
        path=wording.encodable(known.shown_path(image.files[0])),
        kind=image.image.kind,
        at=point.at,
    )


def loss_lines(known: Index, images: Iterable[JudgedImage]) -> Iterator[str]:
    """Yield what dies with a file in which these images were found; nothing if it is no backup."""
    radius = radius_of(known.report, images)
    losses = radius.losses
    dying = [point for loss in losses for point in loss.points]
    alone = all(point.key in radius.own for point in dying)
    if not losses:
        return
    if not dying:
        yield "nothing that restores today dies with it"
    elif alone:
        count = len(dying)
        own_points = "restore point dies" if count == 1 else f"{count:,} restore points die"
        yield f"nothing else needs it; its own {own_points} with it"
    else:
        yield f"{wording.counted(len(dying), 'restore point')} die with it:"
        yield from (f"  {line}" for line in point_lines(known, dying))
    yield from span_lines(losses)
    for loss in losses:
        yield from source_lines(loss)


def point_lines(known: Index, dying: Sequence[RestorePoint]) -> Iterator[str]:
    """Yield one line per restore point, the rest counted."""
    for point in dying[:POINTS_SHOWN_MAX]:
        image = known.images[point.key]
        yield f"{wording.moment(point.at)}  {image.image.kind or 'image'} {known.name(image)}"
    if len(dying) > POINTS_SHOWN_MAX:
        yield f"and {len(dying) - POINTS_SHOWN_MAX:,} more, in --json"


def span_lines(losses: Sequence[Loss]) -> Iterator[str]:
    """Yield the stretches of time to which nothing leads any more, the rest counted."""
    spans = [(loss.source.name, span) for loss in losses for span in loss.spans]
    for name, span in spans[:SPANS_SHOWN_MAX]:
        stretch = f"{wording.moment(span.begin)} to {wording.moment(span.end)}"
        yield f"'{wording.clean(name)}': no moment from {stretch} could be restored any more"
    if len(spans) > SPANS_SHOWN_MAX:
        yield f"and {len(spans) - SPANS_SHOWN_MAX:,} more stretches of time, in --json"


def source_lines(loss: Loss) -> Iterator[str]:
    """Yield what becomes of one source."""
    name = f"'{wording.clean(loss.source.name)}'"
    if loss.points and loss.newest is not None:
        if loss.newest_left is None:
            yield f"{name}: nothing of it would restore any more"
        elif loss.newest_left.at < loss.newest.at:
            left, newest = wording.moment(loss.newest_left.at), wording.moment(loss.newest.at)
            yield f"{name}: the newest restorable point would be {left} instead of {newest}"
        else:
            yield f"{name}: the newest restorable point stays {wording.moment(loss.newest.at)}"
    if loss.unproven:
        points = wording.counted(len(loss.unproven), "restore point")
        verb = "is" if len(loss.unproven) == 1 else "are"
        yield f"{name}: {points} that {verb} not proven today would be lost as well"
    if loss.spared:
        points = wording.counted(len(loss.spared), "restore point")
        them = "reaches it" if len(loss.spared) == 1 else "reaches them"
        yield f"{name}: {points} restored with it today would not die: another way {them}"
