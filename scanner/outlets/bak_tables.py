"""Print result sets: as a table where it fits, one column a line where not, as CSV or as JSON."""

import csv
import io
from collections.abc import Iterable, Iterator

import msgspec

from scanner.outlets import wording
from scanner.outlets.bak_columns import Cell, Rows

NULL = "NULL"
GAP = "  "
PLAIN_WIDTH = 200
"""A result set wider than this is printed one column a line also where no terminal folds it."""

NUMBER_MAX = 1 << 53
"""Beyond this a reader of JSON that has only floating point loses digits."""


class RowsOut(msgspec.Struct, frozen=True, kw_only=True):
    """A result set; numbers that JSON readers may round are text, as are LSNs."""

    v: int
    path: str
    columns: tuple[str, ...]
    rows: tuple[dict[str, str | int | None], ...]


def rows_out(path: str, rows: Rows) -> RowsOut:
    """Return a result set for JSON; unknown is null."""
    return RowsOut(
        v=1,
        path=wording.encodable(path),
        columns=rows.columns,
        rows=tuple(
            dict(zip(rows.columns, map(json_cell, cells), strict=True)) for cells in rows.rows
        ),
    )


def json_cell(cell: Cell) -> Cell:
    """Return one value for JSON."""
    match cell:
        case str():
            return wording.encodable(cell)
        case int() if abs(cell) > NUMBER_MAX:
            return str(cell)
        case _:
            return cell


def as_csv(rows: Rows) -> str:
    """Return comma-separated values with a line of names (RFC 4180); NULL is an empty field."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(rows.columns)
    writer.writerows(rows.rows)
    return wording.encodable(out.getvalue())


def as_text(rows: Rows, width: int | None) -> str:
    """Return lines for people; ``width`` is that of the terminal, None where there is none."""
    cells = [[shown(cell) for cell in row] for row in rows.rows]
    widths = [
        max(len(text) for text in column) for column in zip(rows.columns, *cells, strict=True)
    ]
    whole = sum(widths) + len(GAP) * (len(widths) - 1)
    fits = whole <= (PLAIN_WIDTH if width is None else width)
    lines = across(rows, cells, widths) if fits else down(rows, cells)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def shown(cell: Cell) -> str:
    """Return one value; foreign text cannot steer the terminal."""
    return NULL if cell is None else wording.clean(str(cell))


def across(rows: Rows, cells: Iterable[list[str]], widths: list[int]) -> Iterator[str]:
    """Yield one line per row under a line of names."""
    right = [all(isinstance(row[at], int) for row in rows.rows) for at in range(len(widths))]
    for line in (list(rows.columns), ["-" * width for width in widths], *cells):
        yield GAP.join(
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(line, widths, right, strict=True)
        )


def down(rows: Rows, cells: list[list[str]]) -> Iterator[str]:
    """Yield one line per column, row after row."""
    longest = max(map(len, rows.columns))
    for number, row in enumerate(cells, 1):
        if len(cells) > 1:
            yield from ([""] if number > 1 else [])
            yield f"{rows.noun} {number} of {len(cells)}"
        for name, text in zip(rows.columns, row, strict=True):
            yield f"{name.ljust(longest)}{GAP}{text}"
