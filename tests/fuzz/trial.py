"""One file put to one format: what must hold, whatever the bytes are.

Used by the fuzzer, by its replay, and by the test over all crashes ever found.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from formats.core.errors import FormatError
from formats.core.model import Format, Inspection, Neighbours, Source
from formats.core.source import NoNeighbours
from tests import contract
from tests.contract import Subject
from tests.sources import Counting

SECONDS_MAX = 10


class Overdue(Exception):
    """A file took longer than any real one of its size does."""


def put_to_trial(subject: Format, source: Source, neighbours: Neighbours | None = None) -> None:
    """Drive a format over a file; raise `AssertionError` or worse where it breaks its promises."""
    tried = Subject(counted(subject), source, neighbours or NoNeighbours())
    try:
        if subject.probe(source):
            contract.check_survives(tried, source)
        else:
            tried.drive()
    except FormatError:
        # A kernel or a conclusion may end this way too.
        return


def counted(subject: Format) -> Format:
    """Return the format with what an inspection may read held to the contract."""

    def inspect(source: Source, neighbours: Neighbours) -> tuple[Inspection, ...]:
        budget = Counting(
            source, calls_max=contract.INSPECT_CALLS_MAX, bytes_max=contract.INSPECT_BYTES_MAX
        )
        return subject.inspect(budget, neighbours)

    return replace(subject, inspect=inspect)


@contextmanager
def alarm(seconds: int = SECONDS_MAX) -> Iterator[None]:
    """Raise `Overdue` in this thread after so much computing; a busy machine is no fault."""

    def ring(_number: int, _frame: object) -> None:
        raise Overdue

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
