"""Bad elements as evidence: neighbours become one row, and only so many rows are kept."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from formats.core.findings import BAD_ROWS_MAX, Findings
from formats.core.model import Bearing, Evidence, Outcome
from formats.sqlserver_bak.page_rows import Ints


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with some elements."""

    check: str
    outcome: Outcome
    expected: str
    actual: str
    bearing: Bearing = Bearing.NEEDED


def report_places(
    findings: Findings,
    problem: Problem,
    members: Sequence[str],
    part: Ints,
    offset: Ints,
    element_bytes: int,
) -> None:
    """Report elements of equal size, one row for each run of neighbours in one part of a set."""
    order = np.lexsort((offset, part))
    part, offset = part[order], offset[order]
    if not len(offset):
        return
    breaks = np.flatnonzero((np.diff(offset) != element_bytes) | (np.diff(part) != 0)) + 1
    starts = np.concatenate(([0], breaks))
    counts = np.diff(np.append(starts, len(offset)))
    for start, count in zip(
        starts[:BAD_ROWS_MAX].tolist(), counts[:BAD_ROWS_MAX].tolist(), strict=True
    ):
        at = int(offset[start])
        findings.add(row(problem, members[part[start]], at, count * element_bytes, count))
    more = int(counts[BAD_ROWS_MAX:].sum())
    if more:
        findings.add(row(problem, "", None, None, more))


def row(
    problem: Problem, member: str, offset: int | None, length: int | None, count: int
) -> Evidence:
    """Return one row."""
    return Evidence(
        problem.check,
        problem.outcome,
        offset,
        length,
        problem.expected,
        problem.actual,
        problem.bearing,
        member,
        count,
    )
