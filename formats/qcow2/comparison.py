"""Holding references against refcounts, and saying where they differ."""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from formats.core.findings import BAD_ROWS_MAX
from formats.core.model import Bearing, Evidence, Outcome
from formats.qcow2.findings import Findings, Ints
from formats.qcow2.refcounts import COUNT_UNKNOWN
from formats.qcow2.references import ALONE, DATA, PACKED, TABLE, Window

COMPARE_CLUSTERS = 1 << 20
"""Clusters compared at once, so that no temporary array is large."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judge:
    """How to judge an image's clusters, and where to say so.

    ``size`` is the file's, ``tree_count`` how many L1 tables the image has.
    """

    cluster_bits: int
    size: int
    tree_count: int
    dirty: bool
    findings: Findings


def compare(window: Window, judge: Judge) -> None:
    """Report the window's clusters whose references and refcounts do not fit together."""
    for start in range(0, len(window.counts), COMPARE_CLUSTERS):
        part = slice(start, start + COMPARE_CLUSTERS)
        piece = Window(
            window.first + start, window.counts[part], window.references[part], window.kinds[part]
        )
        report(piece, judge, "qcow2.cluster.overlap", overlapping(piece, judge), Bearing.NEEDED)
        # [spec] "Dirty bit": refcounts may be out of date then, the map is not.
        report(
            piece,
            judge,
            "qcow2.cluster.missing",
            piece.references > piece.counts,
            Bearing.REDUNDANT if judge.dirty else Bearing.NEEDED,
        )
        # A cluster that nothing refers to was left behind by a writer that was interrupted, or
        # its map entry is lost. With a part of the map unread it says nothing.
        if judge.findings.map_whole:
            report(
                piece,
                judge,
                "qcow2.cluster.leaked",
                (piece.counts > piece.references) & (piece.counts != COUNT_UNKNOWN),
                Bearing.REDUNDANT if judge.dirty else Bearing.DOUBTFUL,
            )


def overlapping(piece: Window, judge: Judge) -> Bools:
    """Return which clusters belong to more than one structure."""
    counts, references, kinds = piece.counts, piece.references, piece.kinds
    mixed = kinds & (kinds - np.uint8(1)) != 0
    mixed &= kinds != 0
    twice = (kinds == ALONE) & (references > 1)
    # Each tree refers to a cluster once. No writer is known that shares a cluster inside one
    # disk, but refcounts would allow it: so they decide, where they are known and high enough.
    crowded = (references > judge.tree_count) & (kinds & (TABLE | DATA) != 0)
    crowded &= (references > counts) | (counts == COUNT_UNKNOWN)
    found: Bools = mixed | twice | crowded
    return found


def report(piece: Window, judge: Judge, check: str, wrong: Bools, bearing: Bearing) -> None:
    """Report clusters, neighbours that are alike as one row."""
    found = np.flatnonzero(wrong)
    if not len(found):
        return
    alike = np.diff(found) == 1
    for column in (piece.counts, piece.references, piece.kinds):
        alike &= np.diff(column[found]) == 0
    borders = [0, *(np.flatnonzero(~alike)[:BAD_ROWS_MAX] + 1).tolist(), len(found)]
    for low, high in itertools.pairwise(borders[: BAD_ROWS_MAX + 1]):
        judge.findings.add(cluster_row(piece, judge, check, found[low:high], bearing))
    rest = len(found) - borders[: BAD_ROWS_MAX + 1][-1]
    if rest:
        judge.findings.add(Evidence(check, Outcome.MISMATCHED, bearing=bearing, count=rest))


def cluster_row(
    piece: Window, judge: Judge, check: str, clusters: Ints, bearing: Bearing
) -> Evidence:
    """Return the row of some neighbours that are alike."""
    first = int(clusters[0])
    offset = (piece.first + first) << judge.cluster_bits
    inside = offset < judge.size
    expected, actual = wording(piece, check, first)
    return Evidence(
        check,
        Outcome.MISMATCHED,
        offset if inside else None,
        len(clusters) << judge.cluster_bits if inside else None,
        expected,
        # A row speaks of bytes of the file; these are behind its end.
        actual if inside else f"{actual} at {offset:#x}",
        bearing,
        count=len(clusters),
    )


def wording(piece: Window, check: str, place: int) -> tuple[str, str]:
    """Return what was expected of a cluster and what was found."""
    references, count = int(piece.references[place]), int(piece.counts[place])
    if check != "qcow2.cluster.overlap":
        return f"refcount {references}", f"refcount {count}"
    names = {ALONE: "metadata", TABLE: "L2 table", DATA: "data", PACKED: "compressed data"}
    kinds = [name for bit, name in names.items() if piece.kinds[place] & bit]
    return "one use", f"{references} uses as {' and '.join(kinds)}"
