"""The table of formats: the same words in ``bakproof formats``, its JSON, and the README."""

from collections.abc import Iterable, Iterator

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from formats.core.model import Format
from scanner.outlets.shapes import VERSION

HEADINGS = ("name", "format", "what an undamaged file proves", "tested with files of")


class FormatOut(msgspec.Struct, frozen=True, kw_only=True):
    """One format; ``checks`` maps every check id to what it proves."""

    name: str
    title: str
    supported: bool
    suffixes: tuple[str, ...]
    revision: int
    write_model: str
    integrity: str
    limitations: str
    samples: str
    references: tuple[str, ...]
    checks: dict[str, str]


class FormatsOut(msgspec.Struct, frozen=True, kw_only=True):
    """What ``formats --json`` prints."""

    v: int
    formats: tuple[FormatOut, ...]


def formats_out(records: Iterable[Format]) -> FormatsOut:
    """Return the formats as one JSON document."""
    return FormatsOut(v=VERSION, formats=tuple(map(format_out, records)))


def format_out(record: Format) -> FormatOut:
    """Return one format."""
    return FormatOut(
        name=record.name,
        title=record.title,
        supported=record.supported,
        suffixes=record.suffixes,
        revision=record.revision,
        write_model=record.write_model,
        integrity=record.integrity,
        limitations=record.limitations,
        samples=record.samples,
        references=record.references,
        checks=dict(sorted(record.checks.items())),
    )


def rows(records: Iterable[Format]) -> list[tuple[str, str, str, str]]:
    """Return the cells of every format that is read."""
    return [
        (record.name, _titled(record), record.integrity, record.samples)
        for record in records
        if record.supported
    ]


def recognised(records: Iterable[Format]) -> str:
    """Return one sentence naming the formats that are recognised and not read yet."""
    titles = [_titled(record) for record in records if not record.supported]
    if not titles:
        return ""
    return f"Recognised, named and reported as *unproven: not supported yet*: {', '.join(titles)}."


def markdown(records: tuple[Format, ...]) -> str:
    """Return the table as it stands in the README."""
    lines = [_row(HEADINGS), _row(("---",) * len(HEADINGS))]
    lines.extend(_row(row) for row in rows(records))
    named = recognised(records)
    lines.extend(["", named] if named else [])
    return "\n".join(lines) + "\n"


def table(records: tuple[Format, ...]) -> RenderableType:
    """Return the table for a terminal."""
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in HEADINGS:
        shown.add_column(heading, overflow="fold")
    for row in rows(records):
        shown.add_row(*map(Text, row))
    return Group(shown, Text(), Text(recognised(records).replace("*", "")))


def checks(records: Iterable[Format]) -> Iterator[str]:
    """Yield every check id with its sentence, in order; first those of formats that are read.

    A list of checks reads like support, so those of formats that are only recognised stand apart.
    """
    every = tuple(records)
    yield from _sentences(record for record in every if record.supported)
    named = [record for record in every if not record.supported]
    if named:
        yield ""
        yield "Only recognised, not supported yet; whatever these find, each file stays unproven:"
        yield from _sentences(named)


def _sentences(records: Iterable[Format]) -> Iterator[str]:
    said = {check: said for record in records for check, said in record.checks.items()}
    yield from (f"{check}: {said[check]}" for check in sorted(said))


def _titled(record: Format) -> str:
    suffixes = ", ".join(record.suffixes)
    return f"{record.title} ({suffixes})" if suffixes else record.title


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
