"""One file at work: opened, identified, inspected, cut into units, and what has come out so far."""

import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import formats
from formats.core.errors import FormatError, Truncated, Unsupported
from formats.core.model import Bearing, Evidence, ExtentBatch, Format, Inspection, Outcome
from formats.core.source import EdgeCached
from scanner.config import PROBE_EDGE_BYTES
from scanner.engine.neighbours import FolderNeighbours
from scanner.engine.plan import Unit, plan_span
from scanner.engine.storage import Opener, Storage
from scanner.ledger.rows import Baseline
from scanner.results import BUG_CHECK, FileState, Stamps, UnitResult


@dataclass(frozen=True, slots=True)
class Job:
    """One file to read.

    ``path`` is relative to ``root``. ``recorded`` returns units of an interrupted reading that
    still hold for these stamps and this format revision, ``baseline`` what is remembered for this
    path or identity.
    """

    root: Path
    path: str
    stamps: Stamps
    recorded: Callable[[Stamps, str | None, int | None], tuple[UnitResult, ...]] = (
        lambda _stamps, _format, _revision: ()
    )
    baseline: Callable[[str | None], Baseline | None] = lambda _identity_key: None

    @property
    def absolute(self) -> Path:
        """Where the file lies."""
        return self.root / self.path


@dataclass
class Work:
    """The state of one file's reading, shared by the workers.

    ``results`` holds every unit known so far, ``unrecorded`` the offsets of those the recorder has
    not got yet. ``stopped`` means that no more units are given out: ``state`` or ``traceback``
    says why.
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
    stopped: bool = False
    state: FileState = FileState.READ
    traceback: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

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
            return self.in_flight == 0 and (self.stopped or self.pending == 0)

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
        """Give no more units out."""
        with self.lock:
            self.stopped = True
            self.state = state
            if evidence is not None:
                self.evidence.append(evidence)

    def fail(self, error: Exception) -> None:
        """Note a bug of ours; the file stays unproven and the scan goes on."""
        with self.lock:
            self.stopped = True
            self.state = FileState.FAILED
            self.traceback = "".join(traceback.format_exception(error))
            self.evidence.append(bug(error))

    def _next_planned(self) -> Unit | None:
        try:
            return next((unit for unit in self.units if unit.offset not in self.results), None)
        except FormatError as error:
            # The map cannot be followed any further: the bytes are still read, unchecked.
            self.evidence.append(as_evidence(error))
            self.units = bare_units(self.storage.size, set(self.results), self.unit_bytes)
            return next(self.units, None)


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
    work.opened = storage = opener(job.absolute)
    work.stamps = storage.stamps()
    known = formats.identify(EdgeCached(storage, PROBE_EDGE_BYTES)) if storage.size else None
    if known is not None:
        work.format = known
        work.inspections, steadiness = inspect_steadily(known, job, storage, opener)
        work.evidence.extend(steadiness)
    name, revision = (known.name, known.revision) if known else (None, None)
    work.results = {unit.offset: unit for unit in job.recorded(work.stamps, name, revision)}
    work.units = plan(work, storage)
    work.pending = -(-storage.size // work.unit_bytes) - len(work.results)


def plan(work: Work, storage: Storage) -> Iterator[Unit]:
    """Yield the file's units in order, planning one span at a time."""
    for start in range(0, storage.size, work.span_bytes):
        end = min(start + work.span_bytes, storage.size)
        batches: Iterable[ExtentBatch] = ()
        if work.format is not None:
            batches = work.format.extents(storage, work.inspections)
        yield from plan_span(start, end, batches, work.unit_bytes)


def bare_units(size: int, done: set[int], unit_bytes: int) -> Iterator[Unit]:
    """Yield units without checks for what is not read yet."""
    for offset in range(0, size, unit_bytes):
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
    return second, (unsteady(first, second),)


def inspect(known: Format, job: Job, storage: Storage, opener: Opener) -> tuple[Inspection, ...]:
    """Read the file's own account of its images; bytes that are wrong become evidence."""
    neighbours = FolderNeighbours(job.absolute.parent, job.root, opener)
    try:
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
        case Truncated():
            outcome = Outcome.TRUNCATED
        case Unsupported():
            outcome = Outcome.UNSUPPORTED
        case _:
            outcome = Outcome.MISMATCHED
    return Evidence(error.check, outcome, error.offset, error.length, error.expected, error.actual)


def suspicious(inspections: tuple[Inspection, ...]) -> bool:
    """Whether a second look could change the answer: wrong bytes, not merely missing ones."""
    return any(row.outcome is Outcome.MISMATCHED for row in evidence_of(inspections))


def evidence_of(inspections: tuple[Inspection, ...]) -> tuple[Evidence, ...]:
    """Return all evidence of all images."""
    return tuple(row for inspection in inspections for row in inspection.evidence)


def unsteady(first: tuple[Inspection, ...], second: tuple[Inspection, ...]) -> Evidence:
    """Return evidence that the same bytes were read differently twice."""
    kept = set(evidence_of(second))
    gone = next((row for row in evidence_of(first) if row.bad and row not in kept), None)
    return Evidence(
        "storage.steady",
        Outcome.UNSTEADY,
        gone.offset if gone else None,
        gone.length if gone else None,
        "the same bytes twice",
        "other bytes when read again",
        Bearing.REDUNDANT,
    )
