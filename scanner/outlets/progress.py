"""Show a running scan on standard error: live on a terminal, a line a minute elsewhere.

All watchers here may be called from any thread, and none of them raises: a display that fails must
not end a scan.
"""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from scanner.config import PLAIN_PROGRESS_SECONDS
from scanner.outlets import wording
from scanner.outlets.meter import Meter, Monotonic, Running, Snapshot
from scanner.progress import Watcher
from scanner.results import FileResult

FILES_SHOWN_MAX = 16
BAR_WIDTH = 20
BUGS_KEPT_MAX = 20
REFRESH_PER_SECOND = 4


class Several:
    """A watcher that tells others, in order."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self._watchers = tuple(watchers)

    def surveyed(self, files: int, bytes_to_read: int) -> None:
        """Pass on."""
        for watcher in self._watchers:
            watcher.surveyed(files, bytes_to_read)

    def started(self, path: str, size: int) -> None:
        """Pass on."""
        for watcher in self._watchers:
            watcher.started(path, size)

    def read(self, path: str, length: int) -> None:
        """Pass on."""
        for watcher in self._watchers:
            watcher.read(path, length)

    def finished(self, result: FileResult) -> None:
        """Pass on."""
        for watcher in self._watchers:
            watcher.finished(result)

    def note(self, text: str) -> None:
        """Pass on."""
        for watcher in self._watchers:
            watcher.note(text)


class Bugs:
    """A watcher that keeps the tracebacks of our own bugs, for the end of the run.

    One bug is met in many files; each traceback is kept once, with the first file and a count.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first: dict[str, str] = {}
        self._files: Counter[str] = Counter()

    def surveyed(self, files: int, bytes_to_read: int) -> None:
        """Ignore."""

    def started(self, path: str, size: int) -> None:
        """Ignore."""

    def read(self, path: str, length: int) -> None:
        """Ignore."""

    def finished(self, result: FileResult) -> None:
        """Keep the traceback, if there is one."""
        if result.traceback is None:
            return
        with self._lock:
            kept = result.traceback
            if kept not in self._first and len(self._first) >= BUGS_KEPT_MAX:
                return
            self._first.setdefault(kept, result.path)
            self._files[kept] += 1

    def note(self, text: str) -> None:
        """Ignore: the report repeats every note."""

    def met(self) -> tuple[str, ...]:
        """Return what was met so far, one text for each bug."""
        with self._lock:
            return tuple(
                f"a bug of bakproof, met while reading {path!r}"
                f"{_and_more(self._files[kept])}:\n{kept}"
                for kept, path in self._first.items()
            )


class PlainProgress:
    """A watcher that writes one line a minute. It has no thread: events drive it."""

    def __init__(self, write: Callable[[str], object], monotonic: Monotonic) -> None:
        self._write = write
        self._monotonic = monotonic
        self._meter = Meter(monotonic)
        self._lock = threading.Lock()
        self._last = monotonic()

    def surveyed(self, files: int, bytes_to_read: int) -> None:
        """Say what is to be done."""
        self._meter.surveyed(files, bytes_to_read)
        to_read = wording.counted(files, "file")
        self._say(f"{to_read} to read, {wording.size(bytes_to_read)}")

    def started(self, path: str, size: int) -> None:
        """Count."""
        self._meter.started(path, size)

    def read(self, path: str, length: int) -> None:
        """Count, and write the line when a minute has passed."""
        self._meter.read(path, length)
        self._perhaps()

    def finished(self, result: FileResult) -> None:
        """Count, and write the line when a minute has passed."""
        self._meter.finished(result)
        self._perhaps()

    def note(self, text: str) -> None:
        """Write the note at once."""
        self._say(wording.clean(text))

    def _perhaps(self) -> None:
        now = self._monotonic()
        with self._lock:
            due = now - self._last >= PLAIN_PROGRESS_SECONDS
            if due:
                self._last = now
        if due:
            self._say(plain_line(self._meter.snapshot()))

    def _say(self, text: str) -> None:
        try:
            self._write(f"{text}\n")
        except (OSError, ValueError):  # closed, full, or a pipe nobody reads: the scan matters more
            return


class LiveProgress:
    """A watcher that draws on a terminal while its ``with`` block runs.

    It has a thread of its own, so that the drawing goes on while the storage does not answer, and
    joins it at the end.
    """

    def __init__(self, console: Console, monotonic: Monotonic) -> None:
        self._console = console
        self._meter = Meter(monotonic)
        self._live = Live(
            console=console,
            get_renderable=lambda: display(self._meter.snapshot()),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._attempt(self._live.start)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._attempt(self._live.stop)

    def _draw(self) -> None:
        while not self._over.wait(1 / REFRESH_PER_SECOND):
            self._attempt(self._live.refresh)

    def _attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except (OSError, ValueError):  # the terminal is gone: there is nothing left to draw on
            self._over.set()

    def surveyed(self, files: int, bytes_to_read: int) -> None:
        """Count."""
        self._meter.surveyed(files, bytes_to_read)

    def started(self, path: str, size: int) -> None:
        """Count."""
        self._meter.started(path, size)

    def read(self, path: str, length: int) -> None:
        """Count."""
        self._meter.read(path, length)

    def finished(self, result: FileResult) -> None:
        """Count."""
        self._meter.finished(result)

    def note(self, text: str) -> None:
        """Write the note above the drawing."""
        self._attempt(lambda: self._console.print(Text(wording.clean(text))))


def _and_more(files: int) -> str:
    return "" if files == 1 else f" and {wording.counted(files - 1, 'more file')}"


def plain_line(now: Snapshot) -> str:
    """Return the state of a scan as one line."""
    parts = [
        f"{now.files_done:,} of {now.files:,} files",
        f"{wording.size(now.total.done_bytes)} of {wording.size(now.total.total_bytes)}",
        _speed(now.total),
        _left(now.total),
    ]
    names = ", ".join(repr(running.name) for running in now.running[:FILES_SHOWN_MAX])
    return "; ".join([", ".join(part for part in parts if part), *([names] if names else [])])


def display(now: Snapshot) -> RenderableType:
    """Return the state of a scan as lines with bars: one per running file, and the total."""
    table = Table.grid(padding=(0, 1))
    table.add_column(overflow="ellipsis", no_wrap=True, ratio=1)
    table.add_column(width=BAR_WIDTH)
    for _ in range(3):
        table.add_column(justify="right", no_wrap=True)
    for running in now.running[:FILES_SHOWN_MAX]:
        table.add_row(Text(repr(running.name)), *_cells(running))
    hidden = len(now.running) - FILES_SHOWN_MAX
    label = Text(f"{now.files_done:,} of {now.files:,} files", style="bold")
    table.add_row(label, *_cells(now.total))
    return Group(table, Text(f"and {hidden} more files at once")) if hidden > 0 else table


def _cells(running: Running) -> tuple[RenderableType, Text, Text, Text]:
    bar = ProgressBar(total=max(running.total_bytes, 1), completed=running.done_bytes)
    done = f"{wording.size(running.done_bytes)} of {wording.size(running.total_bytes)}"
    return (bar, Text(done), Text(_speed(running)), Text(_left(running)))


def _speed(running: Running) -> str:
    return f"{wording.size(round(running.bytes_per_second))}/s"


def _left(running: Running) -> str:
    return "" if running.eta_seconds is None else f"{wording.duration(running.eta_seconds)} left"
