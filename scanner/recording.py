"""One thread writes the ledger: results wait in a bounded queue and are recorded in groups."""

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from scanner.config import QUEUE_RESULTS_MAX, SMALL_FILE_BYTES_MAX
from scanner.engine.work import Work
from scanner.ledger.store import Ledger
from scanner.results import FileResult, FileState, UnitResult
from scanner.survey.choose import registry_revision

Step: TypeAlias = Callable[[], None]

GROUP_MAX = 256
"""Results recorded in one transaction; what is not recorded yet is read again after a kill."""

GATHERED_MAX = 32
"""Small files handed over together: waking the writer for each costs more than writing it."""


class Writer:
    """The ledger's one writing thread.

    When writing fails the error is kept, ``stop`` is set so that nobody reads on for nothing, and
    what still arrives is thrown away.

    Small things are gathered before they are handed over; anything else takes them along, so that
    they are written in the order they came.
    """

    def __init__(self, ledger: Ledger, stop: threading.Event) -> None:
        self._ledger = ledger
        self._stop = stop
        self._queue: queue.Queue[Sequence[Step] | None] = queue.Queue(QUEUE_RESULTS_MAX)
        self._gathered: list[Step] = []
        self._gathering = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self.failure: BaseException | None = None
        self._thread.start()

    def put(self, step: Step) -> None:
        """Hand over one thing to write; blocks while the queue is full."""
        with self._gathering:
            self._gathered.append(step)
            self._hand_over()

    def put_soon(self, step: Step) -> None:
        """Hand over one small thing to write, as soon as there are some; blocks as `put` does."""
        with self._gathering:
            self._gathered.append(step)
            if len(self._gathered) >= GATHERED_MAX:
                self._hand_over()

    def close(self) -> None:
        """Write what is left and end the thread; raises what went wrong while writing."""
        with self._gathering:
            self._hand_over()
            self._queue.put(None)
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    def _hand_over(self) -> None:
        if self._gathered:
            self._queue.put(self._gathered)
            self._gathered = []

    def _run(self) -> None:
        going = True
        while going:
            steps: list[Step] = []
            going = self._gather(steps)
            if not steps or self.failure is not None:
                continue
            try:
                with self._ledger.transaction():
                    for step in steps:
                        step()
            except BaseException as error:  # noqa: BLE001 - raised again by close()
                self.failure = error
                self._stop.set()

    def _gather(self, steps: list[Step]) -> bool:
        """Take what waits, at least one; False when the end was asked for."""
        handed = self._queue.get()
        while handed is not None:
            steps.extend(handed)
            if len(steps) + GATHERED_MAX > GROUP_MAX:
                return True
            try:
                handed = self._queue.get_nowait()
            except queue.Empty:
                return True
        return False


class RunRecorder:
    """Records what is read of one repository in one run."""

    def __init__(
        self,
        writer: Writer,
        ledger: Ledger,
        repository_id: int,
        run_id: int,
        names_of: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self._names_of = names_of or {}
        self._writer = writer
        self._ledger = ledger
        self._repository_id = repository_id
        self._run_id = run_id
        self._lock = threading.Lock()
        self._registry_revision = registry_revision()
        self.vanished: set[str] = set()
        self.files = 0
        self.bytes_read = 0
        self.bugs = 0

    def started(self, work: Work) -> None:
        """Enter a file of several units, so that its units can be recorded."""
        self._writer.put(lambda: self._start(work))

    def units(self, work: Work, results: tuple[UnitResult, ...]) -> None:
        """Record units of a file that goes on."""
        with self._lock:
            self.bytes_read += read_bytes(results)
        self._writer.put(lambda: self._record(work, results))

    def finished(self, work: Work, result: FileResult, units: tuple[UnitResult, ...]) -> None:
        """Record the end of a file's reading."""
        with self._lock:
            self.files += 1
            self.bytes_read += read_bytes(units)
            self.bugs += result.traceback is not None
            if result.state is FileState.GONE:
                self.vanished.add(result.path)
        small = result.stamps.size <= SMALL_FILE_BYTES_MAX
        hand_over = self._writer.put_soon if small else self._writer.put
        hand_over(lambda: self._finish(work, result, units))

    def revision(self, work: Work) -> int:
        """Return the revision this file's evidence is recorded under."""
        known = work.format
        return known.revision if known and known.supported else self._registry_revision

    def _start(self, work: Work, path: str | None = None) -> None:
        name = work.format.name if work.format else None
        self._ledger.start_file(
            self._repository_id,
            self._run_id,
            path or work.job.path,
            work.stamps,
            name,
            self.revision(work),
        )

    def _record(self, work: Work, results: tuple[UnitResult, ...]) -> None:
        for result in results:
            self._ledger.record_unit(self._repository_id, work.job.path, result)

    def _finish(self, work: Work, result: FileResult, units: tuple[UnitResult, ...]) -> None:
        if result.state is FileState.GONE:
            return  # mark_gone() says so at the end of the run
        # Where nothing was read, units and state from before stand.
        cut_short = result.state in (FileState.READING, FileState.REFUSED) and not units
        if is_whole(work, result, units):
            counted = replace(result, format_revision=self.revision(work))
            self._ledger.finish_whole(self._repository_id, self._run_id, counted, units)
            self._finish_aliases(work, counted)
            return
        if len(work.results) == len(units) and not cut_short:
            self._start(work)  # a file of one unit, or of none, was not announced
        self._record(work, units)
        if result.state is not FileState.READING:
            counted = replace(result, format_revision=self.revision(work))
            self._ledger.finish_file(self._repository_id, self._run_id, counted)
            self._finish_aliases(work, counted)

    def _finish_aliases(self, work: Work, result: FileResult) -> None:
        for name in self._names_of.get(work.job.path, ()):
            self._finish_alias(work, result, name)

    def _finish_alias(self, work: Work, result: FileResult, path: str) -> None:
        """Record the same for a further name of a hard-linked file: it was read once for all."""
        self._start(work, path)
        for unit in work.results.values():
            self._ledger.record_unit(self._repository_id, path, unit)
        alias = replace(result, path=path, bytes_read=0)
        self._ledger.finish_file(self._repository_id, self._run_id, alias)


def is_whole(work: Work, result: FileResult, units: tuple[UnitResult, ...]) -> bool:
    """Whether these are all units of a file that was read to its end: none was recorded yet."""
    return result.state is FileState.READ and len(work.results) == len(units)


def read_bytes(units: tuple[UnitResult, ...]) -> int:
    """Return how many bytes were read for some units."""
    return sum(unit.bytes_read for unit in units)
