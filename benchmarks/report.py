"""Tables as text, and their place in ``RESULTS.md``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.measure import Measured, ratio
from benchmarks.options import GIB, KIB, MIB, TIB

UNITS = ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB"))
RESULTS = Path(__file__).with_name("RESULTS.md")


@dataclass(frozen=True, slots=True)
class Section:
    """What one part of the benchmarks found."""

    name: str
    title: str
    lines: tuple[str, ...]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines of a table: the first column to the left, numbers to the right."""
    cells = [list(head), *map(list, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        first = row[0].ljust(widths[0])
        rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        return "  ".join((first, *rest)).rstrip()

    return [line(cells[0]), "  ".join("-" * width for width in widths), *map(line, cells[1:])]


COLUMNS = (
    "contender", "seconds", "min", "max", "MiB/s", "CPU s", "peak MiB", "command s", "ours / this",
    "aim",
)  # fmt: skip


def compared(measured: Sequence[Measured], size: int) -> list[str]:
    """Return the table of one group of contenders that went through the same ``size`` bytes."""
    by_name = {item.contender.name: item for item in measured}
    return table(COLUMNS, [compared_row(item, by_name, size) for item in measured])


def compared_row(item: Measured, by_name: Mapping[str, Measured], size: int) -> list[str]:
    """Return one line: what it took, and how ours stands beside it."""
    middle = median(item.seconds)
    ours = by_name[item.contender.beside] if item.contender.beside else None
    beside = ratio(ours, item) if ours else None
    return [
        item.contender.name,
        seconds(middle),
        seconds(min(item.seconds)),
        seconds(max(item.seconds)),
        f"{size / MIB / middle:.0f}" if size else "",
        seconds(item.cpu_seconds),
        f"{item.peak_bytes / MIB:.0f}",
        seconds(item.command_seconds),
        "" if beside is None else f"{beside:.2f}",
        aim_text(beside, item.contender.aim),
    ]


def aim_text(beside: float | None, aim: float | None) -> str:
    """Say whether an aim is reached."""
    if beside is None or aim is None:
        return ""
    return f"{aim:g} reached" if beside >= aim else f"{aim:g} missed"


def seconds(value: float) -> str:
    """Return seconds with three digits that mean something."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if value >= 0.01 else f"{value:.4f}"


def size_text(size: int) -> str:
    """Return a size in the largest unit that it fills, whole where it is whole."""
    unit, name = next(((unit, name) for unit, name in UNITS if size >= unit), (1, "bytes"))
    return f"{size // unit} {name}" if size % unit == 0 else f"{size / unit:.1f} {name}"


def write(section: Section, heading: Sequence[str], path: Path = RESULTS) -> None:
    """Put a measured section into the file, in its own place; the rest of the file stays."""
    text = path.read_text("utf-8") if path.exists() else "# Results\n"
    path.write_text(with_section(text, section, heading), "utf-8")


def with_section(text: str, section: Section, heading: Sequence[str]) -> str:
    """Return the text with the section in its place, or at the end where it has none yet."""
    begin, end = f"<!-- measured: {section.name} -->", f"<!-- end: {section.name} -->"
    table_text = "\n".join((*heading, "", *section.lines))
    block = f"{begin}\n## {section.title}\n\n```text\n{table_text}\n```\n{end}"
    before, found, rest = text.partition(begin)
    if not found:
        return f"{text.rstrip()}\n\n{block}\n"
    _old, _end, after = rest.partition(end)
    return f"{before}{block}{after}"
