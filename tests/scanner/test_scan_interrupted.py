"""Scans that are cut short: by a stop, by the storage, by a ledger that fails, by our own bugs."""

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from formats.core.model import Evidence, Inspection, Outcome, PieceOf, Source
from scanner import recording
from scanner import scan as module
from scanner.config import MIB
from scanner.judge.model import Verdict
from scanner.judging import judge_ledger
from scanner.ledger.errors import LedgerStorageError
from scanner.ledger.store import Ledger
from scanner.progress import Silent
from scanner.results import BUG_CHECK, FileResult, FileState
from tests.faulty import Faults
from tests.scanner.engine import toys
from tests.scanner.scans import SOUND, START, Bench, chain, news, of, other, ruled


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path, [toys.DISK])
    made.repository.mkdir()
    return made


# Our own bugs


@pytest.mark.parametrize("step", ["inspect", "extents", "conclude"])
def test_a_bug_in_a_format_is_counted_and_the_other_files_are_read(bench, step):
    chain(bench)
    bench.subjects = [toys.failing(toys.DISK, **{step: RuntimeError("oh")})]
    outcome = bench.scan()
    assert outcome.bugs == 3
    assert other(outcome, "notes.txt").ruling is None
    with bench.ledger() as ledger:
        rows = {row.path: row for row in ledger.files([1])}
        assert "RuntimeError: oh" in ledger.traceback(rows["vm/full.disk"].id)
        bugs = [row for row in ledger.evidence([1]) if row.evidence.check == BUG_CHECK]
        assert len(bugs) == 3
        ruling = judge_ledger(ledger, ledger.repositories(), bench.clock())
    said = [item.ruling for item in (*ruling.images, *ruling.others) if item.ruling]
    assert {item.verdict for item in said} <= {Verdict.UNPROVEN, Verdict.INCOMPLETE}
    bench.subjects = [toys.DISK]
    assert ruled(bench.scan(), "vm/full.disk") == SOUND


def striped(conclude: Callable[..., tuple[Evidence, ...]]) -> object:
    """Return a format whose files are pieces: disk ``a`` is piece 1 of a set, ``b`` piece 2."""

    def inspect(source: Source, neighbours: object) -> tuple[Inspection, ...]:
        (image,) = toys.inspect_sets(source, neighbours)
        (identity,) = image.identities
        whole = replace(identity, value="set")
        return (replace(image, piece=PieceOf(whole, "ab".index(identity.value) + 1, 2)),)

    return replace(toys.DISK, inspect=inspect, conclude=conclude)


def test_a_set_is_concluded_when_its_last_piece_was_read(bench):
    seen: list[int] = []

    def conclude(parts: object) -> tuple[Evidence, ...]:
        seen.append(sum(len(part.tally["seen"]) for part in parts))
        return (Evidence("disk.set.joined", Outcome.MATCHED),)

    bench.subjects = [striped(conclude)]
    bench.put("a.disk", toys.disk("a"))
    outcome = bench.scan()
    assert seen == []
    assert ruled(outcome, "a.disk")[0] is Verdict.INCOMPLETE
    bench.clock.wait(days=1)
    bench.put("b.disk", toys.disk("b", blocks=1000))
    outcome = bench.scan()
    assert seen == [3000]
    assert ruled(outcome, "a.disk") == SOUND
    assert [file.path for file in of(outcome, "a.disk").files] == ["a.disk", "b.disk"]


def test_a_bug_in_joining_a_set_is_counted_and_ends_nothing(bench):
    def conclude(_parts: object) -> tuple[Evidence, ...]:
        raise KeyError("oh")

    bench.subjects = [striped(conclude)]
    bench.put("a.disk", toys.disk("a"))
    bench.put("b.disk", toys.disk("b"))
    bench.put("c.txt", b"x")

    class Listening(Silent):
        notes: list[str] = []  # noqa: RUF012

        def note(self, text: str) -> None:
            self.notes.append(text)

    watcher = Listening()
    outcome = bench.scan(watcher=watcher)
    assert outcome.bugs == 1
    assert ruled(outcome, "a.disk") == (Verdict.UNPROVEN, "bug")
    assert watcher.notes == ["'a.disk' could not be judged: KeyError('oh')"]
    bench.subjects = [striped(toys.judged_by_tally)]
    assert ruled(bench.scan(), "a.disk") == SOUND


# Interrupted


class Stopping(Silent):
    """A watcher that stops the scan after so many reports of bytes."""

    def __init__(self, stop: Event, after: int) -> None:
        self._stop = stop
        self._left = after

    def read(self, path: str, length: int) -> None:  # noqa: ARG002
        self._left -= 1
        if self._left <= 0:
            self._stop.set()


@pytest.mark.parametrize("after", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("jobs", [1, 3])
def test_a_scan_that_was_stopped_and_goes_on_ends_like_one_that_was_not(bench, after, jobs):
    chain(bench)
    bench.put("big.disk", toys.disk("big", blocks=5000))
    bench.rot("vm/one.disk", MIB)
    settings = replace(bench.settings, jobs=jobs)
    undisturbed = Bench(bench.folder / "undisturbed", bench.subjects, settings=settings)
    whole = undisturbed.scan(bench.repository)
    stop = Event()
    outcome = bench.scan(settings=settings, stop=stop, watcher=Stopping(stop, after))
    assert outcome.interrupted
    assert all(
        item.ruling.verdict >= Verdict.UNPROVEN
        for item in outcome.judgement.images
        if any(file.state is not FileState.READ for file in item.files)
    )
    bench.clock.wait(hours=1)
    again = bench.scan(settings=settings)
    assert bench.rows() == undisturbed.rows()
    assert outcome.bytes_read + again.bytes_read == whole.bytes_read


def test_what_was_read_before_a_stop_is_not_read_again(bench):
    path = bench.put("big.disk", toys.disk("big", blocks=5000))
    stop = Event()
    settings = replace(bench.settings, jobs=1)
    first = bench.scan(settings=settings, stop=stop, watcher=Stopping(stop, 3))
    assert first.bytes_read == 2 * MIB
    faults = bench.faults["big.disk"] = Faults()
    second = bench.scan(settings=settings)
    assert second.bytes_read == path.stat().st_size - 2 * MIB
    windows = [start for start, end in faults.reads if end - start == settings.window_bytes]
    assert min(windows) == 2 * MIB
    assert ruled(second, "big.disk") == SOUND


def test_a_changed_file_whose_reading_was_stopped_goes_on_as_well(bench):
    # The stamps of its last finished reading are others; its units are good all the same.
    bench.put("big.disk", toys.disk("big", blocks=5000))
    bench.scan()
    bench.put("big.disk", toys.disk("big", blocks=5000, seed=1), written=START)
    stop = Event()
    settings = replace(bench.settings, jobs=1)
    first = bench.scan(settings=settings, stop=stop, watcher=Stopping(stop, 4))
    assert first.bytes_read == 3 * MIB
    assert bench.scan(settings=settings).bytes_read == 5000 * 1024 + 4096 - 3 * MIB


def test_a_file_that_changed_while_its_reading_rested_is_read_from_its_start(bench):
    bench.put("big.disk", toys.disk("big", blocks=5000))
    stop = Event()
    settings = replace(bench.settings, jobs=1)
    bench.scan(settings=settings, stop=stop, watcher=Stopping(stop, 4))
    path = bench.put("big.disk", toys.disk("other", blocks=5000))
    outcome = bench.scan(settings=settings)
    assert outcome.bytes_read == path.stat().st_size
    assert ruled(outcome, "big.disk") == SOUND


@pytest.mark.parametrize("unit_blocks", [2, 64])
def test_units_cut_otherwise_by_another_version_are_forgotten(bench, unit_blocks):
    path = bench.put("big.disk", toys.disk("big", blocks=9000))
    stop = Event()
    small = replace(bench.settings, jobs=1)
    bench.scan(settings=small, stop=stop, watcher=Stopping(stop, 4))
    other_units = replace(small, unit_bytes=unit_blocks * MIB)
    outcome = bench.scan(settings=other_units)
    assert outcome.bytes_read == path.stat().st_size
    assert ruled(outcome, "big.disk") == SOUND
    again = bench.scan(settings=replace(small, reread=True))
    assert of(again, "big.disk").proof.unchanged_since == START
    assert not news(of(again, "big.disk"))


def test_storage_that_stops_answering_costs_no_progress(bench):
    path = bench.put("big.disk", toys.disk("big", blocks=5000))
    settings = replace(bench.settings, jobs=1)
    bench.faults["big.disk"] = Faults(after=15, later_errno=errno.ESTALE)
    first = bench.scan(settings=settings)
    assert ruled(first, "big.disk") == (Verdict.UNPROVEN, "refused")
    bench.faults["big.disk"] = Faults(open_errno=errno.EACCES)
    assert ruled(bench.scan(settings=settings), "big.disk") == (Verdict.UNPROVEN, "refused")
    bench.faults.clear()
    last = bench.scan(settings=settings)
    assert ruled(last, "big.disk") == SOUND
    assert first.bytes_read >= 2 * MIB
    assert last.bytes_read == path.stat().st_size - first.bytes_read


def test_a_key_pressed_twice_leaves_no_reader_behind(bench, monkeypatch):
    # Whoever still reads must be able to hand over, or it waits for ever.
    for number in range(30):
        bench.put(f"{number}.disk", toys.disk(f"{number}", blocks=1500))
    really_join, calls = module.join, []

    def join(threads: object) -> None:
        calls.append(threads)
        if len(calls) == 1:
            raise KeyboardInterrupt
        really_join(threads)

    monkeypatch.setattr(module, "join", join)
    monkeypatch.setattr(recording, "QUEUE_RESULTS_MAX", 1)
    with pytest.raises(KeyboardInterrupt):
        bench.scan()
    assert len(calls) == 2
    monkeypatch.undo()
    assert {item.ruling.verdict for item in bench.scan().judgement.images} == {Verdict.SOUND}


# The ledger fails


@pytest.mark.parametrize("method", ["record_unit", "finish_file", "start_file"])
@pytest.mark.parametrize("jobs", [1, 4])
def test_a_ledger_whose_disk_is_full_ends_the_scan_with_a_message(bench, monkeypatch, method, jobs):
    chain(bench)
    for number in range(20):
        bench.put(f"{number}.disk", toys.disk(f"{number}", blocks=1500))

    def full(*_arguments: object) -> None:
        message = "ledger: database or disk is full"
        raise LedgerStorageError(message)

    monkeypatch.setattr(Ledger, method, full)
    with pytest.raises(LedgerStorageError, match="disk is full"):
        bench.scan(settings=replace(bench.settings, jobs=jobs))
    monkeypatch.undo()
    assert ruled(bench.scan(), "vm/full.disk") == SOUND


@pytest.mark.parametrize("method", ["baseline", "recorded_units"])
def test_a_ledger_that_cannot_be_read_ends_the_scan_and_is_no_bug_of_a_file(
    bench, monkeypatch, method
):
    chain(bench)
    stop = Event()
    bench.scan(stop=stop, watcher=Stopping(stop, 4), settings=replace(bench.settings, jobs=1))
    assert bench.files()["vm/full.disk"].state is FileState.READING

    def broken(*_arguments: object) -> None:
        message = "ledger: disk I/O error"
        raise LedgerStorageError(message)

    monkeypatch.setattr(Ledger, method, broken)
    with pytest.raises(LedgerStorageError):
        bench.scan()


def test_a_small_queue_loses_nothing(bench, monkeypatch):
    monkeypatch.setattr(recording, "QUEUE_RESULTS_MAX", 1)
    monkeypatch.setattr(recording, "GROUP_MAX", 1)
    chain(bench)
    outcome = bench.scan(settings=replace(bench.settings, jobs=4))
    assert {item.ruling.verdict for item in outcome.judgement.images} == {Verdict.SOUND}


def test_a_watcher_is_told_everything(bench):
    chain(bench)

    class Told(Silent):
        def __init__(self) -> None:
            self.planned: tuple[int, int] | None = None
            self.bytes: dict[str, int] = {}
            self.ended: list[FileResult] = []
            self.begun: list[str] = []

        def surveyed(self, files: int, bytes_to_read: int) -> None:
            self.planned = (files, bytes_to_read)

        def started(self, path: str, size: int) -> None:  # noqa: ARG002
            self.begun.append(path)

        def read(self, path: str, length: int) -> None:
            self.bytes[path] = self.bytes.get(path, 0) + length

        def finished(self, result: FileResult) -> None:
            self.ended.append(result)

    told = Told()
    bench.scan(watcher=told)
    sizes = {row.path: row.size for row in bench.files().values()}
    assert told.planned == (4, sum(sizes.values()))
    assert told.bytes == sizes
    assert sorted(told.begun) == sorted(result.path for result in told.ended) == sorted(sizes)
