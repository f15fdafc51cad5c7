"""Stop when told to: the first signal asks the scan to stop, the second ends the process."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from scanner.outlets.exit_codes import ExitCode

SIGNALS: Mapping[int, ExitCode] = {
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.TERMINATED,
}
STOPPING = b"\nbakproof: stopping, progress is kept; a second signal ends at once\n"
STANDARD_ERROR = 2


@dataclass(slots=True)
class Caught:
    """The exit code of the first signal; None where there was none."""

    code: ExitCode | None = None


@contextmanager
def stopping(stop: threading.Event, leave: Callable[[int], object]) -> Iterator[Caught]:
    """Set ``stop`` at SIGINT or SIGTERM while the block runs; must be entered by the main thread.

    The ledger survives a process that ends anywhere, so a second signal needs no grace.
    """
    caught = Caught()

    def handle(number: int, _frame: FrameType | None) -> None:
        if caught.code is not None:
            leave(SIGNALS[number])
            return
        caught.code = SIGNALS[number]
        stop.set()
        try:
            # Not through sys.stderr: the signal may have interrupted a write to it.
            os.write(STANDARD_ERROR, STOPPING)
        except OSError:  # nobody is there to read it
            return

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
