"""Workers: threads that take units of open files first, and open the next file otherwise.

A lane is one device with its own workers: one for a spinning disk, so that its head moves forward
only, several for anything else. The native calls of the hot path run outside the interpreter lock,
so threads are enough.
"""

import errno
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from formats.core.errors import Truncated
from formats.core.model import Bearing, Evidence, Outcome
from scanner.clock import Clock
from scanner.config import SMALL_FILE_BYTES_MAX, SPAN_BYTES, Settings
from scanner.engine.doubt import steadied
from scanner.engine.finish import finish, partial_result
from scanner.engine.plan import Unit
from scanner.engine.reading import Buffer, Shrunk, Stopped, read_unit
from scanner.engine.storage import FileStorage, Opener
from scanner.engine.work import Job, Work, begin
from scanner.errors import ScannerError
from scanner.progress import Watcher
from scanner.results import FileResult, FileState, UnitResult


class Recorder(Protocol):
    """Takes what the workers hand over; may block, which slows the readers down."""

    def started(self, work: Work) -> None:
        """Take note that a file of several units is being read."""

    def units(self, work: Work, results: tuple[UnitResult, ...]) -> None:
        """Record units of a file that is not finished by them."""

    def finished(self, work: Work, result: FileResult, units: tuple[UnitResult, ...]) -> None:
        """Record a file, with the units that are not recorded yet."""


class Lane:
    """The jobs of one device, and the files being read now."""

    def __init__(
        self,
        jobs: Iterable[Job],
        recorder: Recorder,
        watcher: Watcher,
        settings: Settings,
        clock: Clock,
        stop: threading.Event,
        opener: Opener = FileStorage,
    ) -> None:
        self._jobs: Iterator[Job] = iter(jobs)
        self._open: deque[Work] = deque()
        self._begun: dict[int, Work] = {}
        self._recorder = recorder
        self._watcher = watcher
        self._settings = settings
        self._clock = clock
        self._stop = stop
        self._opener = opener
        self._changed = threading.Condition()
        self._small = threading.Lock()
        self._beginning = 0
        self.failure: BaseException | None = None

    def run(self, workers: int) -> None:
        """Read everything with so many threads; returns when all is done or told to stop.

        What ended it before that, if anything, is in ``failure``.
        """
        threads = [
            threading.Thread(target=self._work, name=f"reader-{index}", daemon=True)
            for index in range(workers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for work in self._begun.values():  # after a stop: what is recorded of them stays recorded
            close(work)

    def _work(self) -> None:
        buffer = Buffer.of(self._settings.window_bytes)
        try:
            while not self._stop.is_set():
                match self._take():
                    case None:
                        return
                    case Job() as job:
                        self._begin(job, buffer)
                    case (work, None):
                        self._finish(work, buffer)
                    case (work, unit):
                        self._read(work, unit, buffer)
        except BaseException as error:  # noqa: BLE001 - carried to the thread that waits in run()
            self.failure = error
            self._stop.set()
            with self._changed:
                self._changed.notify_all()

    def _take(self) -> tuple[Work, Unit | None] | Job | None:
        """Return a unit of an open file, else the next file; None when all is given out.

        A file without a unit is one to be finished.
        """
        with self._changed:
            while not self._stop.is_set():
                taken = self._open_unit()
                if taken is not None:
                    return taken
                job = next(self._jobs, None)
                if job is not None:
                    self._beginning += 1
                    return job
                if not self._beginning:
                    return None
                # Another worker is inspecting a file: it may soon have units for both.
                self._changed.wait()
        return None

    def _open_unit(self) -> tuple[Work, Unit | None] | None:
        while self._open:
            work = self._open[0]
            unit = contained(work, work.next_unit)
            if unit is not None:
                return work, unit
            # Nothing left to give out: whoever reads its last unit finishes it. There is none
            # where the plan failed while nobody was reading.
            self._open.popleft()
            if work.ended():
                return work, None
        return None

    def _begin(self, job: Job, buffer: Buffer) -> None:
        if job.stamps.size > SMALL_FILE_BYTES_MAX:
            self._begin_alone(job, buffer)
            return
        # A small file is all Python and hardly any reading: two workers would hand the interpreter
        # to and fro, and take longer than one.
        with self._small:
            self._begin_alone(job, buffer)

    def _begin_alone(self, job: Job, buffer: Buffer) -> None:
        self._watcher.started(job.path, job.stamps.size)
        work = Work(job, self._settings.unit_bytes, SPAN_BYTES, job.stamps)
        with self._changed:
            self._begun[id(work)] = work
        contained(work, lambda: begin(work, self._opener))
        self._watcher.read(job.path, sum(unit.length for unit in work.results.values()))
        several = work.pending > 1 or bool(work.results)
        if several and not work.stopped:
            self._recorder.started(work)
        over = work.ended()
        with self._changed:
            self._beginning -= 1
            if several and not over:
                self._open.append(work)
            self._changed.notify_all()
        if over:
            self._finish(work, buffer)
        elif not several:
            self._read_alone(work, buffer)

    def _read_alone(self, work: Work, buffer: Buffer) -> None:
        """Read a file of one unit: there is nothing in it for another worker."""
        unit = contained(work, work.next_unit)
        if unit is not None:
            self._read(work, unit, buffer)
        elif work.ended():
            self._finish(work, buffer)

    def _read(self, work: Work, unit: Unit, buffer: Buffer) -> None:
        result = contained(work, lambda: self._read_steadily(work, unit, buffer))
        if result is not None:
            self._watcher.read(work.job.path, unit.length)
        if work.done(result):
            self._finish(work, buffer)
        elif result is not None:
            with work.handing_over:
                self._recorder.units(work, work.take_unrecorded())

    def _read_steadily(self, work: Work, unit: Unit, buffer: Buffer) -> UnitResult:
        result = read_unit(work.storage, unit, buffer, self._clock(), self._stop)
        return steadied(work, unit, result, buffer, self._clock, self._stop)

    def _finish(self, work: Work, buffer: Buffer) -> None:
        result = None
        if not work.stopped:
            result = contained(work, lambda: finish(work, buffer, self._clock, self._stop))
        close(work)
        with self._changed:
            del self._begun[id(work)]
        if result is None:
            result = partial_result(work)
        self._watcher.finished(result)
        with work.handing_over:
            self._recorder.finished(work, result, work.take_unrecorded())


def close(work: Work) -> None:
    """Give a file back, if it could be opened."""
    if work.opened is not None:
        work.opened.close()


T = TypeVar("T")


def contained(work: Work, step: Callable[[], T]) -> T | None:
    """Run one step of a file's reading: the boundary no trouble of one file goes past."""
    try:
        return guarded(step, lambda error: failed(work, error))
    except Stopped:
        work.stop(FileState.READING)
    except Shrunk:
        work.stop(FileState.CHANGED, shrunk(work))
    except FileNotFoundError:
        work.stop(FileState.GONE)
    except OSError as error:
        work.stop(FileState.REFUSED, refusal(error))
    return None


def guarded(step: Callable[[], T], on_bug: Callable[[Exception], None]) -> T | None:
    """Run a step in which formats are at work; what they were never meant to raise is our bug."""
    try:
        return step()
    except (Stopped, Shrunk, OSError, ScannerError):
        raise
    except Exception as error:  # noqa: BLE001 - recorded, never read as damage; the scan goes on
        on_bug(error)
    return None


def failed(work: Work, error: Exception) -> None:
    """Note an error that has no business here; the end of a file that shrank explains one kind."""
    ended_early = isinstance(error, Truncated) and work.opened is not None
    if ended_early and work.storage.stamps().size < work.storage.size:
        work.stop(FileState.CHANGED, shrunk(work))
    else:
        work.fail(error)


def refusal(error: OSError) -> Evidence:
    """Return evidence that the storage would not let us read: nothing is known of the bytes."""
    name = errno.errorcode.get(error.errno or 0, "unknown error")
    return Evidence(
        "storage.refused",
        Outcome.UNREADABLE,
        expected="a readable file",
        actual=f"{name}: {error.strerror}",
        bearing=Bearing.DOUBTFUL,
    )


def shrunk(work: Work) -> Evidence:
    """Return evidence that the file became shorter while it was read."""
    return Evidence(
        "storage.changed",
        Outcome.MISMATCHED,
        expected=f"{work.stamps.size} bytes",
        actual="fewer while it was read",
        bearing=Bearing.DOUBTFUL,
    )
