"""The page tables of all parts of a set, put together: which copy, which slot, which extent.

A set's pages are one sequence of extents, spread over stripes and copied at most twice. Here every
run of the kernel's tables gets its place in that sequence, so that maps and runs of different
stripes can be judged as one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from formats.core.model import Columns, Part
from formats.sqlserver_bak.pages import BEYOND, EXTENT_BYTES, EXTENT_PAGES, RUN_FIELDS, ZERO
from formats.sqlserver_bak.state import DataStream, SetState

EXTENTS_AT_ONCE_MAX = 1 << 19
# The second copy is of the extents that changed while the first was made; no set with more than
# two was seen.
COPIES_MAX = 8
COPIES_SEEN = 2

COPY_SHIFT = 56
PART_SHIFT = 48
PART_MASK = 0xFF

PLACED = np.dtype([*RUN_FIELDS, ("copy", "u1"), ("part", "u1"), ("slot", "<i8")])

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Extents:
    """Some extents in the order of their slots, one element each; file 0 = not identified.

    A ``weak`` one may be filler: it counts only where no other slot holds the extent.
    """

    offset: Ints
    file: Ints
    extent: Ints
    states: npt.NDArray[np.uint32]
    copy: Bytes
    weak: Mask
    code: Ints

    def __len__(self) -> int:
        return len(self.offset)

    @property
    def part(self) -> Ints:
        """Which part of the set each stands in."""
        return (self.code >> PART_SHIFT) & PART_MASK

    @property
    def key(self) -> Ints:
        """One number that names the extent in its database."""
        return (self.file << 32) | self.extent

    def take(self, chosen: Ints | Mask) -> "Extents":
        """Return some of them."""
        return Extents(
            self.offset[chosen],
            self.file[chosen],
            self.extent[chosen],
            self.states[chosen],
            self.copy[chosen],
            self.weak[chosen],
            self.code[chosen],
        )


def concatenated(pieces: Sequence[Extents]) -> Extents:
    """Put several into one."""
    ints, masks = np.zeros(0, np.int64), np.zeros(0, np.bool_)
    words, octets = np.zeros(0, np.uint32), np.zeros(0, np.uint8)
    return Extents(
        np.concatenate([ints, *(item.offset for item in pieces)]),
        np.concatenate([ints, *(item.file for item in pieces)]),
        np.concatenate([ints, *(item.extent for item in pieces)]),
        np.concatenate([words, *(item.states for item in pieces)]),
        np.concatenate([octets, *(item.copy for item in pieces)]),
        np.concatenate([masks, *(item.weak for item in pieces)]),
        np.concatenate([ints, *(item.code for item in pieces)]),
    )


@dataclass(frozen=True, slots=True)
class CopyTotals:
    """Slots of one copy: declared by its streams, a number per part; seen; needed, if known."""

    declared: tuple[int, ...]
    seen: int
    needed: int | None

    @property
    def lost(self) -> int:
        """Slots whose bytes are missing or could not be read."""
        return max(0, sum(self.declared) - self.seen)

    @property
    def surplus(self) -> int:
        """Slots behind the last extent: filler up to the size of a transfer."""
        return 0 if self.needed is None else max(0, sum(self.declared) - self.needed)


@dataclass(frozen=True, slots=True)
class PageRows:
    """All runs of a set, sorted by part and offset; ``whole`` if every stripe is here.

    ``real`` are slots at the end of a stripe that are known to be no filler, as `slot_code`.
    """

    runs: Columns
    copies: tuple[CopyTotals, ...]
    whole: bool
    members: tuple[str, ...]
    real: Ints

    def weak(self, copy: Bytes, part: Bytes, slot: Ints) -> Mask:
        """Whether slots may be filler. On stripes it is not known which of them end in it."""
        weak = np.zeros(len(slot), np.bool_)
        for index, totals in enumerate(self.copies):
            if self.whole and totals.surplus:
                for number, slots in enumerate(totals.declared):
                    weak |= (copy == index) & (part == number) & (slot >= slots - totals.surplus)
        if len(self.real) and weak.any():
            weak &= ~np.isin(slot_code(copy, part, slot), self.real)
        return weak

    def chunks(self) -> Iterator[Extents]:
        """Yield all extents, a bounded number at a time."""
        counts = self.runs["count"].astype(np.int64)
        ends = np.cumsum(counts)
        total = int(ends[-1]) if len(ends) else 0
        for start in range(0, total, EXTENTS_AT_ONCE_MAX):
            end = min(start + EXTENTS_AT_ONCE_MAX, total)
            low, high = np.searchsorted(ends, [start, end - 1], side="right")
            inside = slice(int(low), int(high) + 1)
            begins = ends[inside] - counts[inside]
            first = np.maximum(start - begins, 0)
            taken = np.minimum(end - begins, counts[inside]) - first
            yield self._expand(self.runs[inside], first, taken)

    def _expand(self, runs: Columns, first: Ints, taken: Ints) -> Extents:
        """Return some extents of each run: ``taken`` ones from the ``first`` on."""
        # How far each is from the first one taken of its run.
        index = np.arange(int(taken.sum())) - np.repeat(np.cumsum(taken) - taken, taken)
        steps = np.where(runs["file"] > 0, runs["step"], 0).astype(np.int64)
        offset = runs["offset"].astype(np.int64) + first * EXTENT_BYTES
        extent = runs["extent"].astype(np.int64) + first * steps
        slot = np.repeat(runs["slot"] + first, taken) + index
        copy, part = np.repeat(runs["copy"], taken), np.repeat(runs["part"], taken)
        return Extents(
            np.repeat(offset, taken) + index * EXTENT_BYTES,
            np.repeat(runs["file"].astype(np.int64), taken),
            np.repeat(extent, taken) + index * np.repeat(steps, taken),
            np.repeat(runs["states"], taken),
            copy,
            self.weak(copy, part, slot),
            slot_code(copy, part, slot),
        )

    def rows_of(self, table: Columns, part: int) -> tuple[Bytes, Mask]:
        """Return the copy each row of a part's table stands in, and whether that may be filler."""
        mine = self.runs[self.runs["part"] == part]
        owner = np.maximum(np.searchsorted(mine["offset"], table["offset"], side="right") - 1, 0)
        runs = mine[owner]
        bytes_in = table["offset"].astype(np.int64) - runs["offset"].astype(np.int64)
        slot = runs["slot"] + bytes_in // EXTENT_BYTES
        return runs["copy"], self.weak(runs["copy"], runs["part"], slot)


def gather(parts: Sequence[Part], states: Sequence[SetState]) -> PageRows:
    """Put the runs of all parts of a set together."""
    placed = [
        place(part.tally.get("runs"), state, number)
        for number, (part, state) in enumerate(zip(parts, states, strict=True))
    ]
    runs = np.concatenate(placed)
    copies = 1 + max((item.copy for state in states for item in state.data), default=-1)
    totals = []
    for copy in range(min(copies, COPIES_MAX)):
        declared = tuple(slots_of(state.data, copy) for state in states)
        seen = int(runs["count"][runs["copy"] == copy].sum())
        totals.append(CopyTotals(declared, seen, needed_slots(states[0], copy, copies)))
    piece = parts[0].inspection.piece
    whole = piece is None or len(parts) == piece.count
    members = tuple(part.member for part in parts)
    rows = PageRows(runs, tuple(totals), whole, members, np.zeros(0, np.int64))
    return replace(rows, real=real_slots(rows)) if len(parts) > 1 else rows


def slot_code(copy: Bytes, part: Bytes, slot: Ints) -> Ints:
    """Return one number that names a slot in its set."""
    return (copy.astype(np.int64) << COPY_SHIFT) | (part.astype(np.int64) << PART_SHIFT) | slot


def real_slots(rows: PageRows) -> Ints:
    """Return the slots that may be filler and hold an extent that stands nowhere else."""
    ends = [item.take(item.weak & (item.file > 0)) for item in rows.chunks()]
    maybe = concatenated(ends)
    keys, codes = maybe.key, maybe.code
    elsewhere = np.zeros(len(keys), np.bool_)
    for extents in rows.chunks():
        elsewhere |= np.isin(keys, extents.key[~extents.weak])
    return codes[~elsewhere]


def slots_of(streams: Sequence[DataStream], copy: int) -> int:
    """Return how many extents the streams of one copy hold."""
    return sum(-(-item.length // EXTENT_BYTES) for item in streams if item.copy == copy)


def needed_slots(state: SetState, copy: int, copies: int) -> int | None:
    """Return how many extents a copy stores by the configuration; None where it does not say."""
    if not state.files:
        return None
    if copy == 0:
        return sum(item.pages for item in state.files) // EXTENT_PAGES
    again = [item.pages_again for item in state.files]
    if copies != COPIES_SEEN or None in again:
        return None
    return sum(item or 0 for item in again) // EXTENT_PAGES


def place(table: Columns | None, state: SetState, part: int) -> Columns:
    """Return one part's runs sorted by offset, with copy, part and slot."""
    if table is None or not len(table) or not state.data:
        return np.zeros(0, PLACED)
    runs = np.zeros(len(table), PLACED)
    for name, _ in RUN_FIELDS:
        runs[name] = table[name]
    runs = runs[np.argsort(runs["offset"], kind="stable")]
    starts = np.array([item.offset for item in state.data], np.int64)
    owner = np.maximum(np.searchsorted(starts, runs["offset"], side="right") - 1, 0)
    index = (runs["offset"].astype(np.int64) - starts[owner]) // EXTENT_BYTES
    runs["copy"] = np.array([min(item.copy, COPIES_MAX) for item in state.data])[owner]
    runs["part"] = part
    runs["slot"] = slots_before(state.data)[owner] + index
    return without_zero_tail(runs) if state.cut else runs


def slots_before(streams: Sequence[DataStream]) -> Ints:
    """Return how many slots of the same copy stand before each stream."""
    return np.array(
        [slots_of(streams[:index], item.copy) for index, item in enumerate(streams)], np.int64
    )


def without_zero_tail(runs: Columns) -> Columns:
    """Drop the zeros at the end of what a cut file has: they are bytes that never came.

    The last extent may end in such zeros too; its pages from there on are marked as not there.
    """
    all_zero = packed([ZERO] * EXTENT_PAGES)
    kept = np.flatnonzero((runs["file"] != 0) | (runs["states"] != all_zero))
    if not len(kept):
        return runs[:0]
    runs = runs[: kept[-1] + 1]
    pages = [int(runs["states"][-1]) >> 4 * index & 15 for index in range(EXTENT_PAGES)]
    if pages[-1] != ZERO:
        return runs
    came = max(index for index, state in enumerate(pages) if state != ZERO)
    # The last page that came may have come in part.
    states = packed([*pages[:came], *[BEYOND] * (EXTENT_PAGES - came)])
    return with_last_states(runs, states)


def packed(pages: Sequence[int]) -> int:
    """Pack the states of eight pages."""
    return sum(state << 4 * index for index, state in enumerate(pages))


def with_last_states(runs: Columns, states: int) -> Columns:
    """Return the runs with the last extent in another state: it becomes a run of its own."""
    last = runs[-1:].copy()
    before = int(last["count"][0]) - 1
    last["count"] = 1
    last["offset"] += before * EXTENT_BYTES
    last["slot"] += before
    last["extent"] += before * last["step"] if last["file"][0] else 0
    last["states"] = states
    rest = runs.copy()
    rest["count"][-1] = before
    return np.concatenate((rest if before else rest[:-1], last))
