"""Run a lane over files in memory, with formats made for the test and faults of the storage."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Lock
from unittest import mock

import formats
from formats.core.model import Evidence, Format
from scanner.config import MIB, Settings
from scanner.engine import lanes, work
from scanner.engine.lanes import Lane
from scanner.engine.work import Job, Work
from scanner.ledger.rows import Baseline
from scanner.progress import Silent
from scanner.results import FileResult, Stamps, UnitResult
from tests.faulty import Faults, FaultyOpener

ROOT = Path("/nowhere")
START = datetime(2026, 5, 4, tzinfo=UTC)
SMALL = Settings(unit_bytes=MIB, window_bytes=256 * 1024)


class Ticking:
    """A clock that goes on by a second whenever it is read."""

    def __init__(self, start: datetime = START) -> None:
        self.now = start
        self._lock = Lock()

    def __call__(self) -> datetime:
        with self._lock:
            self.now += timedelta(seconds=1)
            return self.now


@dataclass
class Records:
    """A recorder that keeps everything, in the order it came."""

    started_paths: list[str] = field(default_factory=list)
    results: dict[str, FileResult] = field(default_factory=dict)
    units_of: dict[str, dict[int, UnitResult]] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def started(self, work: Work) -> None:
        with self.lock:
            self.started_paths.append(work.job.path)

    def units(self, work: Work, results: tuple[UnitResult, ...]) -> None:
        with self.lock:
            kept = self.units_of.setdefault(work.job.path, {})
            kept.update({unit.offset: unit for unit in results})

    def finished(self, work: Work, result: FileResult, units: tuple[UnitResult, ...]) -> None:
        self.units(work, units)
        with self.lock:
            assert work.job.path not in self.results, "finished twice"
            self.results[work.job.path] = result


class Counting(Silent):
    """A watcher that adds up what it is told."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}
        self.ended: list[str] = []
        self._lock = Lock()

    def read(self, path: str, length: int) -> None:
        with self._lock:
            self.done[path] = self.done.get(path, 0) + length

    def finished(self, result: FileResult) -> None:
        with self._lock:
            self.ended.append(result.path)


@dataclass
class Run:
    """What came out of running a lane."""

    records: Records
    opener: FaultyOpener
    watcher: Counting
    failure: BaseException | None

    @property
    def only(self) -> FileResult:
        (result,) = self.records.results.values()
        return result

    def units(self, path: str = "file.toy") -> list[UnitResult]:
        kept = self.records.units_of.get(path, {})
        return [kept[offset] for offset in sorted(kept)]


Recorded = Callable[[Stamps, str | None, int | None], tuple[UnitResult, ...]]


def lane_over(
    files: Mapping[str, bytes],
    subjects: Sequence[Format],
    faults: Mapping[str, Faults] | None = None,
    *,
    workers: int = 1,
    settings: Settings = SMALL,
    span_bytes: int = 64 * MIB,
    recorded: Recorded = lambda _stamps, _format, _revision: (),
    baseline: Callable[[str | None], Baseline | None] = lambda _key: None,
    stop: Event | None = None,
    records: Records | None = None,
    jobs: Iterable[Job] | None = None,
) -> Run:
    """Read some files in memory with a lane of its own."""
    opener = FaultyOpener(faults or {}, files)
    records, watcher = records or Records(), Counting()
    if jobs is None:
        jobs = [
            Job(ROOT, name, Stamps(len(content), 1_000, 1_000, 7), recorded, baseline)
            for name, content in files.items()
        ]
    with (
        speaking(*subjects),
        mock.patch.object(lanes, "SPAN_BYTES", span_bytes),
        # No map is small enough to be followed once for all spans, so that spans are tried.
        mock.patch.object(work, "EXTENTS_AT_ONCE_MAX", 0),
    ):
        lane = Lane(jobs, records, watcher, settings, Ticking(), stop or Event(), opener)
        lane.run(workers)
    assert opener.opened == opener.closed, "files left open"
    return Run(records, opener, watcher, lane.failure)


@contextmanager
def speaking(*subjects: Format) -> Iterator[None]:
    """Let these formats be all that are known."""
    with mock.patch.object(formats, "FORMATS", tuple(subjects)):
        yield


def said(result: FileResult) -> object:
    """Return what a result says, without when and how it was read."""
    return (
        result.state,
        result.format,
        [
            (image.inspection.identities, spoken(image.evidence), image.payload)
            for image in result.images
        ],
        spoken(result.evidence),
        result.identity_key,
    )


def spoken(evidence: Iterable[Evidence]) -> list[Evidence]:
    """Return evidence in an order of its own; where good news comes from says nothing."""
    rows = [
        row
        if row.bad
        else Evidence(
            row.check,
            row.outcome,
            count=row.count,
            expected=row.expected,
            vouched_bytes=row.vouched_bytes,
        )
        for row in evidence
    ]
    return sorted(rows, key=str)


def coordinates(evidence: Iterable[Evidence]) -> list[tuple[str, str, int | None, int | None]]:
    """Return check, outcome, offset and length of bad rows."""
    return [(row.check, row.outcome.value, row.offset, row.length) for row in evidence if row.bad]
