"""Our own program, cut at two places: the engine alone, and a whole scan with its ledger."""

import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from pathlib import Path

from benchmarks.loops import bare
from formats.core import xpress
from scanner.cli import run
from scanner.clock import utc_now
from scanner.config import Settings
from scanner.engine.lanes import Lane
from scanner.engine.work import Job, Work
from scanner.progress import Silent
from scanner.results import FileResult, FileState, UnitResult
from scanner.survey.walk import walk

EXIT_CODES_OF_VERDICTS = frozenset({0, 3, 4, 5})
"""What `bakproof scan` answers when it has done its work: a raw file is *unproven*, 5."""


class Counting:
    """A recorder that keeps nothing but what it needs to know that the work was done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.bytes_done = 0

    def started(self, work: Work) -> None:
        """Ignore."""

    def units(self, work: Work, results: tuple[UnitResult, ...]) -> None:
        """Ignore."""

    def finished(self, work: Work, result: FileResult, units: tuple[UnitResult, ...]) -> None:
        """Count the file; anything but a file read to its end spoils the measurement."""
        del work, units
        assert result.state is FileState.READ, (result.path, result.state, result.traceback)
        with self._lock:
            self.bytes_done += result.stamps.size


def engine(path: Path, threads: int) -> Callable[[], int]:
    """Return the work of reading all files under ``path`` by the engine, recorded nowhere."""
    root = path if path.is_dir() else path.parent
    seen = walk(root, path, (), frozenset()).files
    recorder = Counting()
    jobs = [Job(root, item.path, item.stamps) for item in seen]
    lane = Lane(jobs, recorder, Silent(), Settings(), utc_now, threading.Event())

    def work() -> int:
        lane.run(threads)
        if lane.failure is not None:
            raise lane.failure
        return recorder.bytes_done

    return work


def engine_decoded(path: Path, threads: int) -> Callable[[], int]:
    """Return the work of the engine; what it decompresses with is compiled before."""
    xpress.native()
    return engine(path, threads)


def engine_stored(path: Path, threads: int) -> Callable[[], int]:
    """Return the work of the engine where nothing can be decompressed."""
    return without_numba(partial(engine, path, threads))


def bare_stored(path: Path, threads: int) -> Callable[[], int]:
    """Return the work of a bare loop where nothing can be decompressed."""
    return without_numba(partial(bare, path, threads))


def without_numba(prepare: Callable[[], Callable[[], int]]) -> Callable[[], int]:
    """Prepare and do some work as if numba were not installed."""
    with numba_hidden():
        work = prepare()

    def hidden() -> int:
        with numba_hidden():
            return work()

    return hidden


@contextmanager
def numba_hidden() -> Iterator[None]:
    """Let the import of the compiled decoder fail."""
    name = "formats.core.xpress_native"
    before = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.modules.pop(name)
        if before is not None:
            sys.modules[name] = before


def first_scan(path: Path, threads: int, around: Path) -> Callable[[], int]:
    """Return the work of the command on ``path``; its ledger is fresh, and dropped afterwards."""

    def work() -> int:
        with tempfile.TemporaryDirectory(dir=around) as folder:
            return command(path, threads, Path(folder, "ledger.sqlite"))

    return work


def known_scan(path: Path, threads: int, ledger: Path) -> Callable[[], int]:
    """Return the work of the command on ``path`` with a ledger that stays."""
    return partial(command, path, threads, ledger)


def command(path: Path, threads: int, ledger: Path) -> int:
    """Do all that `bakproof scan` does; its report goes nowhere."""
    words = ["scan", str(path), "--ledger", str(ledger), "--jobs", str(threads), "--no-progress"]
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        code = run(words)
    assert code in EXIT_CODES_OF_VERDICTS, f"bakproof scan: exit {code}"
    return 0
