"""One thread writes: in groups, in order, and when it cannot, nobody waits for it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest

from formats.core.model import Evidence, Outcome
from scanner.config import MIB, QUEUE_RESULTS_MAX
from scanner.engine.work import Job, Work
from scanner.ledger.errors import LedgerStorageError
from scanner.ledger.store import Ledger
from scanner.recording import GATHERED_MAX, GROUP_MAX, RunRecorder, Writer
from scanner.results import FileResult, FileState, Stamps, UnitResult
from tests.scanner.scans import START, Clock

NOW = datetime(2026, 5, 4, tzinfo=UTC)
STAMPS = Stamps(3 * MIB, 1_000, 1_000, 7)


class Book:
    """What a writer wants of a ledger: groups of steps."""

    def __init__(self, error: Exception | None = None) -> None:
        self.groups: list[list[int]] = []
        self.error = error
        self._open: list[int] | None = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._open = []
        yield
        if self.error is not None:
            raise self.error
        self.groups.append(self._open)

    def write(self, number: int) -> None:
        assert self._open is not None, "outside of a transaction"
        assert threading.current_thread().name == "writer"
        self._open.append(number)

    @property
    def written(self) -> list[int]:
        return [number for group in self.groups for number in group]


def test_everything_is_written_in_order_in_groups():
    book = Book()
    writer = Writer(book, Event())
    for number in range(1000):
        writer.put(lambda number=number: book.write(number))
    writer.close()
    assert book.written == list(range(1000))
    assert all(0 < len(group) <= GROUP_MAX for group in book.groups)


def test_what_waits_is_written_in_one_group():
    book = Book()
    writer = Writer(book, Event())
    gate = held(writer)
    for number in range(10):
        writer.put(lambda number=number: book.write(number))
    gate.set()
    writer.close()
    assert book.groups == [[], list(range(10))]


def held(writer: Writer) -> Event:
    """Keep the writer busy with a step until the event is set."""
    begun, gate = Event(), Event()

    def wait() -> None:
        begun.set()
        assert gate.wait(10)

    writer.put(wait)
    assert begun.wait(10)
    return gate


def test_a_full_queue_holds_the_readers_back():
    book = Book()
    filled = Event()
    writer = Writer(book, Event())
    gate = held(writer)

    def fill() -> None:
        for number in range(3 * QUEUE_RESULTS_MAX):
            writer.put(lambda number=number: book.write(number))
        filled.set()

    filler = threading.Thread(target=fill)
    filler.start()
    assert not filled.wait(0.05)
    gate.set()
    filler.join(10)
    writer.close()
    assert filled.is_set()
    assert book.written == list(range(3 * QUEUE_RESULTS_MAX))


def test_a_disk_that_is_full_stops_the_readers_and_is_told_at_the_end():
    error = LedgerStorageError("ledger: database or disk is full")
    book, stop = Book(error), Event()
    writer = Writer(book, stop)
    for number in range(5 * QUEUE_RESULTS_MAX):  # nobody blocks on what will not be written
        writer.put(lambda number=number: book.write(number))
    with pytest.raises(LedgerStorageError) as caught:
        writer.close()
    assert caught.value is error
    assert stop.is_set()
    assert book.written == []


def test_a_step_that_fails_takes_its_group_with_it_and_ends_the_writing():
    book, stop = Book(), Event()
    writer = Writer(book, stop)
    gate = held(writer)
    writer.put(lambda: book.write(1))
    writer.put(lambda: 1 / 0)
    writer.put(lambda: book.write(2))
    gate.set()
    with pytest.raises(ZeroDivisionError):
        writer.close()
    assert stop.is_set()
    assert book.written == []


def test_a_writer_with_nothing_to_write_ends():
    stop = Event()
    Writer(Book(), stop).close()
    assert not stop.is_set()


def test_small_things_are_handed_over_together():
    book = Book()
    writer = Writer(book, Event())
    for number in range(GATHERED_MAX - 1):
        writer.put_soon(lambda number=number: book.write(number))
    assert writer._queue.empty()
    assert book.groups == []
    writer.put_soon(lambda: book.write(GATHERED_MAX - 1))
    writer.close()
    assert book.groups == [list(range(GATHERED_MAX))]


def test_anything_large_takes_the_small_things_before_it_along():
    book = Book()
    writer = Writer(book, Event())
    gate = held(writer)
    writer.put_soon(lambda: book.write(1))
    writer.put(lambda: book.write(2))
    assert writer._queue.qsize() == 1
    writer.put_soon(lambda: book.write(3))
    gate.set()
    writer.close()
    assert book.written == [1, 2, 3]


def test_small_things_do_not_make_a_group_too_large():
    book = Book()
    writer = Writer(book, Event())
    gate = held(writer)
    for number in range(3 * GROUP_MAX):
        writer.put_soon(lambda number=number: book.write(number))
    gate.set()
    writer.close()
    assert book.written == list(range(3 * GROUP_MAX))
    assert max(map(len, book.groups)) == GROUP_MAX


# The recorder, on a real ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "state" / "ledger.sqlite", Clock()) as opened:
        yield opened


class Desk:
    """A recorder on a ledger, and one file."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.number = ledger.repository("fs", "backups", "/srv/backups").id
        self.writer: Writer | None = None
        self.recorder: RunRecorder | None = None

    @contextmanager
    def run(self) -> Iterator[RunRecorder]:
        run_id = self.ledger.begin_run(self.number, START)
        writer = Writer(self.ledger, Event())
        yield RunRecorder(writer, self.ledger, self.number, run_id)
        writer.close()

    @property
    def file(self):
        found = self.ledger.files([self.number])
        return found[0] if found else None

    def units(self) -> list[int]:
        return [unit.offset for unit in self.ledger.recorded_units(self.number, "a.img")]


@pytest.fixture
def desk(ledger: Ledger) -> Desk:
    return Desk(ledger)


def unit(offset: int, length: int = MIB) -> UnitResult:
    return UnitResult(offset, length, b"\1" * 16, NOW, length)


def work(*results: UnitResult, stamps: Stamps = STAMPS) -> Work:
    made = Work(Job(Path("/srv/backups"), "a.img", stamps), MIB, 64 * MIB, stamps)
    made.results = {item.offset: item for item in results}
    return made


def result(state: FileState, **more: object) -> FileResult:
    return FileResult("a.img", STAMPS, state, read_at=NOW, **more)


def test_units_are_kept_until_the_file_is_finished(desk):
    with desk.run() as recorder:
        recorder.started(work())
        recorder.units(work(unit(0)), (unit(0),))
        recorder.units(work(unit(0), unit(MIB)), (unit(MIB),))
    assert desk.units() == [0, MIB]
    assert desk.file.state is FileState.READING
    last = unit(2 * MIB)
    with desk.run() as recorder:
        recorder.finished(work(unit(0), unit(MIB), last), result(FileState.READ), (last,))
    assert desk.units() == []
    assert desk.file.state is FileState.READ


def test_a_file_of_one_unit_is_entered_and_finished_at_once(desk):
    with desk.run() as recorder:
        recorder.finished(work(unit(0)), result(FileState.READ), (unit(0),))
        assert (recorder.files, recorder.bytes_read, recorder.bugs) == (1, MIB, 0)
    assert desk.file.state is FileState.READ
    assert desk.units() == []


def test_only_bytes_of_this_run_are_counted(desk):
    begun(desk)
    with desk.run() as recorder:
        ends = result(FileState.READ, bytes_read=3 * MIB)
        recorder.finished(work(unit(0), unit(MIB)), ends, (unit(MIB),))
        assert recorder.bytes_read == MIB


def begun(desk: Desk) -> None:
    with desk.run() as recorder:
        recorder.started(work())
        recorder.units(work(unit(0)), (unit(0),))


def test_a_refusal_without_a_look_inside_keeps_the_units(desk):
    begun(desk)
    refusal = Evidence("storage.refused", Outcome.UNREADABLE)
    with desk.run() as recorder:
        recorder.finished(work(), result(FileState.REFUSED, evidence=(refusal,)), ())
    assert desk.units() == [0]
    assert desk.file.state is FileState.REFUSED


def test_a_refusal_in_the_middle_keeps_the_units_of_both_runs(desk):
    begun(desk)
    with desk.run() as recorder:
        second = unit(MIB)
        recorder.finished(work(unit(0), second), result(FileState.REFUSED), (second,))
    assert desk.units() == [0, MIB]


def test_a_stop_before_anything_was_read_changes_nothing(desk):
    with desk.run() as recorder:
        recorder.finished(work(unit(0)), result(FileState.READ), (unit(0),))
    before = desk.file
    with desk.run() as recorder:
        recorder.finished(work(), result(FileState.READING), ())
    assert desk.file == before


def test_a_stop_of_an_unknown_file_enters_nothing(desk):
    with desk.run() as recorder:
        recorder.finished(work(), result(FileState.READING), ())
    assert desk.file is None


@pytest.mark.parametrize("state", [FileState.CHANGED, FileState.FAILED, FileState.READ])
def test_units_of_a_file_that_is_not_what_it_was_are_dropped(desk, state):
    begun(desk)
    with desk.run() as recorder:
        recorder.finished(work(), result(state), ())
    assert desk.units() == []
    assert desk.file.state is state


def test_an_empty_file_does_not_inherit_digests_of_what_it_was(desk):
    begun(desk)
    empty = Stamps(0, 2_000, 2_000, 7)
    with desk.run() as recorder:
        recorder.finished(
            work(stamps=empty), FileResult("a.img", empty, FileState.READ, read_at=NOW), ()
        )
    assert desk.units() == []
    assert desk.file.size == 0


def test_a_file_that_vanished_is_noted_and_not_written(desk):
    begun(desk)
    with desk.run() as recorder:
        recorder.finished(work(), result(FileState.GONE), ())
        assert recorder.vanished == {"a.img"}
    assert desk.file.state is FileState.READING


def test_bugs_are_counted(desk):
    with desk.run() as recorder:
        recorder.finished(work(), result(FileState.FAILED, traceback="Traceback"), ())
        assert recorder.bugs == 1
    assert desk.ledger.traceback(desk.file.id) == "Traceback"
