"""One file at work: opened, identified, inspected, cut into units, and what has come out so far."""

import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import formats
from formats.core.errors import FormatError, Truncated, Unsupported
from formats.core.model import (
    EXTENT_ROWS_MAX,
    Bearing,
    Evidence,
    ExtentBatch,
    Format,
    Inspection,
    Outcome,
)
from formats.core.source import EdgeCached, require_range
from scanner.config import FINE_READ_BYTES, PROBE_EDGE_BYTES
from scanner.engine.neighbours import FolderNeighbours
from scanner.engine.plan import Unit, plan_span
from scanner.engine.small import kept
from scanner.engine.storage import Opener, Storage
from scanner.engine.trouble import MEDIA_ERRORS, recovered, unreadable, unsteady
from scanner.ledger.rows import Baseline
from scanner.results import BUG_CHECK, FileState, Stamps, UnitResult

EXTENTS_AT_ONCE_MAX = 4 * EXTENT_ROWS_MAX
"""A map with no more extents than this is followed once, however large the file."""


@dataclass(frozen=True, slots=True)
class Job:
    """One file to read.

    ``path`` is relative to ``root``. ``recorded`` returns units of an interrupted reading that
    still hold for these stamps and this format revision, ``baseline`` what is remembered for this
    path or identity. ``present`` looks at what lies at the path now, None where nothing does.
    """

    root: Path
    path: str
    stamps: Stamps
    recorded: Callable[[Stamps, str | None, int | None], tuple[UnitResult, ...]] = (
        lambda _stamps, _format, _revision: ()
    )
    baseline: Callable[[str | None], Baseline | None] = lambda _identity_key: None
    present: Callable[[], Stamps | None] | None = None

    @property
    def absolute(self) -> Path:
        """Where the file lies."""
        return self.root / self.path


@dataclass
class Work:
    """The state of one file's reading, shared by the workers.

    ``results`` holds every unit known so far, ``unrecorded`` the offsets of those the recorder has
    not got yet. Units up to the offset ``given_to`` were given out or are known. ``stopped`` means
    that no more units are given out: ``state`` or ``traceback`` says why. ``closed`` means that
    somebody finishes the file. Who holds ``handing_over`` gives results to the recorder: what one
    worker took must not arrive after another one has told it of the end.
    """

    job: Job
    unit_bytes: int
    span_bytes: int
    stamps: Stamps
    opened: Storage | None = None
    format: Format | None = None
    inspections: tuple[Inspection, ...] = ()
    units: Iterator[Unit] = field(default_factory=lambda: iter(()))
    pending: int = 0
    results: dict[int, UnitResult] = field(default_factory=dict)
    unrecorded: set[int] = field(default_factory=set)
    evidence: list[Evidence] = field(default_factory=list)
    in_flight: int = 0
    given_to: int = 0
    stopped: bool = False
    closed: bool = False
    state: FileState = FileState.READ
    traceback: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    handing_over: threading.Lock = field(default_factory=threading.Lock)

    @property
    def storage(self) -> Storage:
        """The open file."""
        assert self.opened is not None
        return self.opened

    def next_unit(self) -> Unit | None:
        """Take the next unit that is not recorded yet; None when there is none left to give."""
        with self.lock:
            if self.stopped:
                return None
            unit = self._next_planned()
            assert unit is not None or self.pending == self.in_flight
            if unit is not None:
                self.in_flight += 1
            return unit

    def done(self, result: UnitResult | None) -> bool:
        """Take a unit's result (None: it failed) and say whether the file is finished."""
        with self.lock:
            self.in_flight -= 1
            if result is not None:
                self.results[result.offset] = result
                self.unrecorded.add(result.offset)
                self.pending -= 1
            return self._closes()

    def ended(self) -> bool:
        """Say whether the file is finished although no unit of it is being read."""
        with self.lock:
            return self._closes()

    def follow_to_the_end(self) -> None:
        """Plan what nobody needed a plan for, so that the map's last error is not missed.

        Units known from an earlier run are planned by nobody, but their map may be wrong.
        """
        with self.lock:
            unit = self._next_planned()
        assert unit is None, f"{self.job.path}: nobody read the unit at {unit.offset}"

    def replace(self, result: UnitResult) -> None:
        """Put a second reading of a unit in the place of the first."""
        self.results[result.offset] = result
        self.unrecorded.add(result.offset)

    def take_unrecorded(self) -> tuple[UnitResult, ...]:
        """Return the units the recorder has not got yet, and count them as handed over."""
        with self.lock:
            taken = tuple(self.results[offset] for offset in sorted(self.unrecorded))
            self.unrecorded.clear()
            return taken

    def stop(self, state: FileState, evidence: Evidence | None = None) -> None:
        """Give no more units out. Of several workers in the same trouble the first says so."""
        with self.lock:
            if self.stopped:
                return
            self.stopped = True
            self.state = state
            if evidence is not None:
                self.evidence.append(evidence)

    def fail(self, error: Exception) -> None:
        """Note a bug of ours; the file stays unproven and the scan goes on."""
        with self.lock:
            if self.traceback is not None:
                return
            self.stopped = True
            self.state = FileState.FAILED
            self.traceback = "".join(traceback.format_exception(error))
            self.evidence.append(bug(error))

    def _closes(self) -> bool:
        """Whether the caller is the one to finish the file; said once."""
        over = self.in_flight == 0 and (self.stopped or self.pending == 0) and not self.closed
        self.closed = self.closed or over
        return over

    def _next_planned(self) -> Unit | None:
        try:
            unit = next((unit for unit in self.units if unit.offset not in self.results), None)
        except FormatError as error:
            # The map cannot be followed any further: the bytes are still read, unchecked. Units
            # before ``given_to`` are known, or being read by others.
            self.evidence.append(as_evidence(error))
            size, done = self.storage.size, frozenset(self.results)
            self.units = bare_units(self.given_to, size, done, self.unit_bytes)
            unit = next(self.units, None)
        if unit is not None:
            self.given_to = unit.offset + unit.length
        return unit


def bug(error: Exception) -> Evidence:
    """Return evidence that our own code failed: the file stays unproven."""
    return Evidence(
        BUG_CHECK,
        Outcome.UNSUPPORTED,
        expected="a judgement",
        actual=type(error).__name__,
        bearing=Bearing.DOUBTFUL,
    )


def begin(work: Work, opener: Opener) -> None:
    """Open, identify and inspect a file, and plan its units."""
    job = work.job
    work.opened = opener(job.absolute)
    work.stamps = work.opened.stamps()
    work.opened = storage = kept(work.opened, work.stamps)
    known = identified(storage) if storage.size else None
    if known is not None:
        work.format = known
        work.inspections, steadiness = inspect_steadily(known, job, storage, opener)
        work.evidence.extend(steadiness)
    name, revision = (known.name, known.revision) if known else (None, None)
    recorded = job.recorded(work.stamps, name, revision)
    work.results = {unit.offset: unit for unit in recorded}
    work.units = plan(work, storage)
    work.pending = -(-storage.size // work.unit_bytes) - len(work.results)


def identified(storage: Storage) -> Format | None:
    """Tell the format of a file; where the storage refuses an end of it, by all the rest."""
    try:
        return formats.identify(EdgeCached(storage, PROBE_EDGE_BYTES))
    except OSError as error:
        if error.errno not in MEDIA_ERRORS:
            raise
    return formats.identify(Mended(storage))


class Mended:
    """A file with zeros where the storage refuses bytes; good enough to look for a magic number."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.size = storage.size

    def read_at(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes, or raise `Truncated`."""
        require_range(offset, length, self.size)
        first = offset - offset % FINE_READ_BYTES
        cuts = [offset, *range(first + FINE_READ_BYTES, offset + length, FINE_READ_BYTES)]
        return b"".join(
            self._piece(start, end - start) for start, end in pairwise([*cuts, offset + length])
        )

    def _piece(self, offset: int, length: int) -> bytes:
        try:
            return self._storage.read_at(offset, length)
        except OSError as error:
            if error.errno not in MEDIA_ERRORS:
                raise
            return bytes(length)


def plan(work: Work, storage: Storage) -> Iterator[Unit]:
    """Yield the file's units in order, planning one span at a time.

    Raises `FormatError` where the map cannot be followed, and cannot when it is read once more.
    """
    if work.format is None:
        yield from bare_units(0, storage.size, frozenset(), work.unit_bytes)
        return
    batches = small_map(work, storage)
    span_bytes = work.span_bytes if batches is None else storage.size
    for start in range(0, storage.size, span_bytes):
        end = min(start + span_bytes, storage.size)
        units = plan_one_span(work, storage, start, end, batches)
        try:
            first = next(units)
        except Unreadable:
            units = plan_one_span(work, storage, start, end, batches)
            first = next(units)
            work.evidence.append(recovered())
        yield first
        yield from units


def plan_one_span(
    work: Work, storage: Storage, start: int, end: int, batches: list[ExtentBatch] | None
) -> Iterator[Unit]:
    """Yield the units of one span; without ``batches`` the format is asked for them."""
    wanted = batches_of(work, storage) if batches is None else batches
    yield from plan_span(start, end, wanted, work.unit_bytes)


def small_map(work: Work, storage: Storage) -> list[ExtentBatch] | None:
    """Return all that the format wants checked in a file of several spans, if that is little.

    Huge images are mostly runs of equal clusters, or holes: their map need not be followed once
    for every span.
    """
    if storage.size <= work.span_bytes:
        return None
    batches, rows = [], 0
    try:
        for batch in batches_of(work, storage):
            batches.append(batch)
            rows += max(len(batch.offset), 1)
            if rows > EXTENTS_AT_ONCE_MAX:
                return None
    except FormatError:
        return None  # met again when the first span is planned
    return batches


def batches_of(work: Work, storage: Storage) -> Iterator[ExtentBatch]:
    """Yield what the format wants checked."""
    assert work.format is not None
    with refusals_as_format_errors():
        yield from work.format.extents(storage, work.inspections)


class Unreadable(FormatError):
    """The storage refuses bytes that are needed to find one's way in a file."""


@contextmanager
def refusals_as_format_errors() -> Iterator[None]:
    """Turn media errors into `Unreadable`: they cost what lies there, not the whole file."""
    try:
        yield
    except OSError as error:
        if error.errno not in MEDIA_ERRORS:
            raise
        row = unreadable()
        raise Unreadable(row.check, expected=row.expected, actual=row.actual) from error


def bare_units(start: int, size: int, done: frozenset[int], unit_bytes: int) -> Iterator[Unit]:
    """Yield units without checks for what is not read yet."""
    for offset in range(start, size, unit_bytes):
        if offset not in done:
            yield Unit(offset, min(unit_bytes, size - offset))


def inspect_steadily(
    known: Format, job: Job, storage: Storage, opener: Opener
) -> tuple[tuple[Inspection, ...], tuple[Evidence, ...]]:
    """Inspect; if something is wrong, inspect again past the page cache before believing it."""
    first = inspect(known, job, storage, opener)
    if not suspicious(first):
        return first, ()
    again = storage.uncached()
    try:
        second = inspect(known, job, again, opener)
    finally:
        if again is not storage:
            again.close()
    if evidence_of(second) == evidence_of(first):
        return first, ()
    return second, (differently_read(first, second),)


def inspect(known: Format, job: Job, storage: Storage, opener: Opener) -> tuple[Inspection, ...]:
    """Read the file's own account of its images; bytes that are wrong become evidence."""
    neighbours = FolderNeighbours(job.absolute.parent, job.root, opener)
    try:
        with refusals_as_format_errors():
            inspections = known.inspect(storage, neighbours)
    except FormatError as error:
        return (Inspection(complete=False, evidence=(as_evidence(error),)),)
    finally:
        neighbours.close()
    assert inspections, f"{known.name} returned no image"
    return inspections


def as_evidence(error: FormatError) -> Evidence:
    """Turn what a parser could not go past into evidence."""
    match error:
        case Unreadable():
            outcome = Outcome.UNREADABLE
        case Truncated():
            outcome = Outcome.TRUNCATED
        case Unsupported():
            outcome = Outcome.UNSUPPORTED
        case _:
            outcome = Outcome.MISMATCHED
    return Evidence(error.check, outcome, error.offset, error.length, error.expected, error.actual)


def suspicious(inspections: tuple[Inspection, ...]) -> bool:
    """Whether a second look could change the answer.

    A pointer that was misread leads behind the end as well, so missing bytes are looked for twice.
    """
    doubtful = (Outcome.MISMATCHED, Outcome.TRUNCATED, Outcome.UNREADABLE)
    return any(row.outcome in doubtful for row in evidence_of(inspections))


def evidence_of(inspections: tuple[Inspection, ...]) -> tuple[Evidence, ...]:
    """Return all evidence of all images."""
    return tuple(row for inspection in inspections for row in inspection.evidence)


def differently_read(first: tuple[Inspection, ...], second: tuple[Inspection, ...]) -> Evidence:
    """Return evidence that the same bytes were read differently twice, by what went away."""
    kept = set(evidence_of(second))
    gone = next((row for row in evidence_of(first) if row.bad and row not in kept), None)
    return unsteady(gone.offset, gone.length) if gone else unsteady()
