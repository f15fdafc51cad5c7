"""A scan in a process of its own that kills itself with SIGKILL at a chosen moment.

``python -m tests.scanner.killed REPOSITORY LEDGER LOG MOMENT NUMBER``, where the moment is
``reading`` (before the so-manieth read of a window), ``writing`` (in the middle of the transaction
that records the so-manieth unit) or ``finishing`` (the so-manieth file). Every read is logged, a
line each, before it is done.
"""

import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

from scanner.config import MIB, SMALL_FILE_BYTES_MAX, Settings
from scanner.engine.storage import FileStorage, Storage
from scanner.ledger.store import Ledger
from scanner.progress import Silent
from scanner.recording import Writer
from scanner.scan import scan
from tests.scanner.engine import toys
from tests.scanner.engine.runs import speaking

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
SETTINGS = Settings(jobs=2, unit_bytes=MIB, window_bytes=512 * 1024)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Counter:
    """Calls something when it was told so many times."""

    def __init__(self, number: int, action: object) -> None:
        self._left = number
        self._action = action
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._action()


class LoggedStorage:
    """A file whose windows are written down before they are read; a small one is one window."""

    def __init__(self, path: Path, log: int, told: Counter) -> None:
        self._inner = FileStorage(path)
        self._name = path.name
        self._log = log
        self._told = told

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def read_into(self, buffer: memoryview, offset: int) -> int:
        self._note(offset, len(buffer))
        return self._inner.read_into(buffer, offset)

    def read_at(self, offset: int, length: int) -> bytes:
        if length == self._inner.size <= SMALL_FILE_BYTES_MAX:
            self._note(offset, length)
        return self._inner.read_at(offset, length)

    def _note(self, offset: int, length: int) -> None:
        self._told()
        os.write(self._log, f"{self._name} {offset} {length}\n".encode())


def run(repository: Path, ledger_path: Path, log: Path, moment: str, number: int) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    writers: list[Writer] = []
    with Ledger.open(ledger_path, lambda: NOW) as ledger:
        told = Counter(number if moment == "reading" else 0, lambda: drained(writers, ledger))
        record, finish, begin = Ledger.record_unit, Ledger.finish_file, Writer.__init__
        finish_small = Ledger.finish_whole
        write = Counter(number if moment == "writing" else 0, die)
        end = Counter(number if moment == "finishing" else 0, die)

        def record_unit(self: Ledger, *arguments: object) -> None:
            record(self, *arguments)
            write()

        def finish_file(self: Ledger, *arguments: object) -> None:
            finish(self, *arguments)
            end()

        def finish_whole(self: Ledger, *arguments: object) -> None:
            finish_small(self, *arguments)
            write()
            end()

        def begun(self: Writer, *arguments: object) -> None:
            writers.append(self)
            begin(self, *arguments)

        def opener(path: Path) -> Storage:
            return LoggedStorage(path, descriptor, told)

        with (
            speaking(toys.DISK),
            mock.patch.object(Ledger, "record_unit", record_unit),
            mock.patch.object(Ledger, "finish_file", finish_file),
            mock.patch.object(Ledger, "finish_whole", finish_whole),
            mock.patch.object(Writer, "__init__", begun),
        ):
            scan(
                [repository],
                ledger,
                SETTINGS,
                watcher=Silent(),
                stop=threading.Event(),
                clock=lambda: NOW,
                opener=opener,
            )
    os.close(descriptor)


def drained(writers: list[Writer], ledger: Ledger) -> None:
    """Die when everything handed over is written: what is lost then is what is being read."""
    (writer,) = writers
    for _ in range(3):
        while writer._queue.qsize():
            time.sleep(0.001)
        time.sleep(0.005)
    with ledger._write_lock:
        die()


if __name__ == "__main__":
    repository, ledger_path, log = map(Path, sys.argv[1:4])
    run(repository, ledger_path, log, sys.argv[4], int(sys.argv[5]))
