"""How far a scan has come: counters that many threads add to and one display reads."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from scanner.config import RATE_SMOOTHING_SECONDS
from scanner.results import FileResult

Monotonic = Callable[[], float]
"""Seconds from some beginning, never going back."""


@dataclass(frozen=True, slots=True)
class Running:
    """A file, or the whole scan, at one moment. ``eta_seconds`` None means that nobody can say."""

    name: str
    done_bytes: int
    total_bytes: int
    bytes_per_second: float
    eta_seconds: float | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a display shows."""

    running: tuple[Running, ...]
    total: Running
    files_done: int
    files: int
    elapsed_seconds: float


@dataclass(slots=True)
class _Gauge:
    """One counter with a smoothed rate; touched under the meter's lock only."""

    total_bytes: int
    since: float
    done_bytes: int = 0
    _at: float = field(default=-math.inf)
    _then: int = 0
    _rate: float | None = None

    def look(self, name: str, now: float) -> Running:
        """Return the present state, and move the smoothed rate on."""
        before = self.since if self._at == -math.inf else self._at
        elapsed = now - before
        if elapsed > 0:
            present = (self.done_bytes - self._then) / elapsed
            weight = 1 - math.exp(-elapsed / RATE_SMOOTHING_SECONDS)
            self._rate = (
                present if self._rate is None else self._rate + weight * (present - self._rate)
            )
            self._at, self._then = now, self.done_bytes
        rate = self._rate or 0.0
        rest = max(self.total_bytes - self.done_bytes, 0)
        eta = rest / rate if rate > 0 else None
        return Running(name, self.done_bytes, self.total_bytes, rate, eta)


class Meter:
    """A watcher that counts. Safe to call from any thread; does no more than add."""

    def __init__(self, monotonic: Monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._begun = monotonic()
        self._files: dict[str, _Gauge] = {}
        self._total = _Gauge(0, self._begun)
        self._files_expected = 0
        self._files_done = 0

    def surveyed(self, files: int, bytes_to_read: int) -> None:
        """Add a repository to what is expected."""
        with self._lock:
            self._files_expected += files
            self._total.total_bytes += bytes_to_read

    def started(self, path: str, size: int) -> None:
        """Begin a file."""
        with self._lock:
            self._files[path] = _Gauge(size, self._monotonic())

    def read(self, path: str, length: int) -> None:
        """Count bytes of a file."""
        with self._lock:
            self._total.done_bytes += length
            gauge = self._files.get(path)
            if gauge is not None:
                gauge.done_bytes += length

    def finished(self, result: FileResult) -> None:
        """End a file."""
        with self._lock:
            self._files.pop(result.path, None)
            self._files_done += 1

    def note(self, text: str) -> None:
        """Ignore."""

    def snapshot(self) -> Snapshot:
        """Return the present state."""
        with self._lock:
            now = self._monotonic()
            return Snapshot(
                running=tuple(gauge.look(path, now) for path, gauge in self._files.items()),
                total=self._total.look("total", now),
                files_done=self._files_done,
                files=self._files_expected,
                elapsed_seconds=now - self._begun,
            )
