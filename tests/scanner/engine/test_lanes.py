"""Lanes: the same result for any number of workers, from any point of resuming; no trouble of one
file touches another; nothing is left open, lost or done twice.
"""

import errno
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from threading import Event

import numpy as np
import pytest

from formats.core.errors import FormatError, Truncated
from formats.core.model import Algorithm, Bearing, Declared, ExtentBatch, Format, Payload, Source
from scanner.config import MIB, Settings
from scanner.engine.work import Job, Work
from scanner.errors import ScannerError
from scanner.results import BUG_CHECK, FileState, Stamps, UnitResult
from tests import damage
from tests.faulty import Faults
from tests.scanner.engine import toys
from tests.scanner.engine.runs import (
    ROOT,
    SMALL,
    Records,
    coordinates,
    lane_over,
    said,
)

NAME = "file.toy"


def several_units() -> tuple[Format, bytes]:
    """A file of five units with something of every kind, some of it across unit ends."""
    stride = 1000
    blocks = toys.with_sums(np.random.default_rng(1).bytes(stride * 2700), stride)
    claimed = np.random.default_rng(2).bytes(MIB + 12_345)
    content = toys.MAGIC.ljust(777, b"h") + blocks + claimed + bytes(300_000) + b"p" * 400_000
    at = 777 + len(blocks)
    padding = at + len(claimed)
    kernel = toys.block_sums(stride)

    def batches(_source: Source) -> Sequence[ExtentBatch]:
        half = stride * 1350
        return (
            toys.batch(kernel, [(777, half)], check_id=toys.BLOCK),
            toys.claims(content, [(at, len(claimed))], Algorithm.SHA256),
            toys.batch(kernel, [(777 + half, half)], check_id=toys.BLOCK),
            toys.batch(Declared(Algorithm.ZEROS), [(padding, 300_000)], check_id=toys.PADDING),
            toys.batch(Payload(), [(padding + 300_000, 400_000)]),
        )

    return toys.toy(batches), content


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("unit_blocks", [1, 2, 64])
@pytest.mark.parametrize("window_bytes", [100_003, 2 * MIB])
def test_workers_units_and_windows_change_nothing(workers, unit_blocks, window_bytes):
    subject, content = several_units()
    wrong = damage.flip(damage.flip(content, 777 + 1_049_000), 2_800_000)
    reference = lane_over({NAME: wrong}, [subject])
    assert coordinates(reference.only.images[0].evidence) == [
        (toys.BLOCK, "mismatched", 777 + 1_049_000, 1000),
        (toys.CLAIM, "mismatched", 2_700_777, MIB + 12_345),
    ]
    settings = Settings(unit_bytes=unit_blocks * MIB, window_bytes=window_bytes)
    run = lane_over({NAME: wrong}, [subject], workers=workers, settings=settings)
    assert said(run.only) == said(reference.only)
    assert digests(run.units()) == digests(reference.units())
    assert run.watcher.done == {NAME: len(content)}
    assert run.failure is None


def digests(units: Sequence[UnitResult]) -> bytes:
    return b"".join(unit.digests for unit in units)


def test_every_byte_is_read_once():
    content = toys.MAGIC + np.random.default_rng(1).bytes(4 * MIB)
    faults = Faults()
    lane_over({NAME: content}, [toys.toy()], {NAME: faults}, workers=3)
    probes = [item for item in faults.reads if item[1] - item[0] <= 128 * 1024]
    windows = sorted(item for item in faults.reads if item not in probes)
    assert sum(end - start for start, end in windows) + 4 == len(content)
    assert len(probes) == 3, "both ends to identify, and four bytes behind the last whole window"


@pytest.mark.parametrize("workers", [1, 3])
def test_resuming_anywhere_gives_the_same_and_reads_only_the_rest(workers):
    subject, content = several_units()
    whole = lane_over({NAME: content}, [subject])
    units = {unit.offset: unit for unit in whole.units()}
    assert len(units) == 5
    numbers = Random(4)  # noqa: S311 - which units were read before is no secret
    for known in [(), *([offset] for offset in units), *(numbers.sample(list(units), 3),), units]:
        before = tuple(units[offset] for offset in sorted(known))
        run = lane_over(
            {NAME: content},
            [subject],
            workers=workers,
            recorded=lambda _stamps, _name, _revision, before=before: before,
        )
        assert said(run.only) == said(whole.only), known
        assert sorted(run.records.units_of[NAME]) == sorted(set(units) - set(known)), known
        assert run.watcher.done == {NAME: len(content)}


def test_many_small_files_and_some_large_ones_are_all_finished_once():
    subject, large = several_units()
    files = {f"{number}.toy": toys.MAGIC + bytes([number]) * number for number in range(60)}
    files |= {"large.toy": large, "second.toy": large, "empty.toy": b"", "other.txt": b"text"}
    run = lane_over(files, [subject], workers=4)
    assert set(run.records.results) == set(files)
    assert {result.state for result in run.records.results.values()} == {FileState.READ}
    assert sorted(run.watcher.ended) == sorted(files)
    assert run.watcher.done == {name: len(content) for name, content in files.items()}
    assert run.records.started_paths.count("large.toy") == 1
    assert set(run.records.started_paths) == {"large.toy", "second.toy"}


# Bugs of ours


class Mistake(RuntimeError):
    """Something nobody foresaw."""


def broken(step: str, error: Exception) -> Format:
    """Return a format that fails in one step."""
    subject, _ = several_units()
    match step:
        case "kernel":
            return toys.toy(lambda source: broken_kernel(subject, source, error))
        case "second batch":
            return replace(subject, extents=lambda *_: breaking_off(subject, error))
        case _:
            return toys.failing(subject, **{step: error})


def broken_kernel(subject: Format, source: Source, error: Exception) -> list[ExtentBatch]:
    first, *rest = subject.extents(source, ())

    def kernel(*_arguments: object) -> object:
        raise error

    return [replace(first, check=replace(first.check, kernel=kernel)), *rest]


def breaking_off(subject: Format, error: Exception) -> Iterator[ExtentBatch]:
    yield next(subject.extents(None, ()))
    raise error


STEPS = ["probe", "inspect", "extents", "second batch", "kernel", "conclude"]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("error", [Mistake("oh"), ZeroDivisionError(), KeyError("x")])
def test_a_bug_is_recorded_with_its_traceback_and_the_scan_goes_on(step, error, workers):
    subject = broken(step, error)
    _, content = several_units()
    files = {NAME: content, "none.txt": b"text" * 1000, "empty": b""}
    if step == "probe":
        files = {NAME: content, "empty": b""}
    run = lane_over(files, [subject], workers=workers)
    assert run.failure is None
    result = run.records.results[NAME]
    assert result.state is FileState.FAILED
    assert type(error).__name__ in result.traceback
    (row,) = [row for row in result.evidence if row.check == BUG_CHECK]
    assert row.actual == type(error).__name__
    assert row.bearing is Bearing.DOUBTFUL
    for name in set(files) - {NAME}:
        assert run.records.results[name].state is FileState.READ
        assert run.records.results[name].traceback is None


@pytest.mark.parametrize("error", [Mistake(), OSError(errno.ESTALE, "stale")])
def test_an_error_in_the_plan_of_a_later_span_is_not_lost(error):
    # With one worker nobody is reading when the plan of the next span fails.
    subject, content = several_units()
    run = lane_over({NAME: content}, [lost_map(subject, 1, error)], span_bytes=2 * MIB)
    refused = isinstance(error, OSError)
    assert run.only.state is (FileState.REFUSED if refused else FileState.FAILED)
    assert sorted(run.records.units_of[NAME]) == [0, MIB]


def test_a_parser_that_reads_behind_the_end_of_a_quiet_file_is_a_bug():
    subject, content = several_units()
    run = lane_over({NAME: content}, [toys.failing(subject, conclude=Truncated(10, 20, 15))])
    assert run.only.state is FileState.FAILED
    assert "Truncated" in run.only.traceback


def test_a_format_that_returns_no_image_is_a_bug():
    subject, content = several_units()
    silent = replace(subject, inspect=lambda *_: ())
    run = lane_over({NAME: content}, [silent])
    assert "returned no image" in run.only.traceback


# Maps that cannot be followed


def lost_map(subject: Format, spans: int, error: Exception) -> Format:
    """Return a format whose map can be followed for so many spans, in each reading."""
    asked = []

    def inspect(source: Source, neighbours: object) -> object:
        asked.clear()
        return subject.inspect(source, neighbours)

    def extents(source: Source, inspections: object) -> Iterator[ExtentBatch]:
        asked.append(1)  # the first time to see whether the map is small
        if len(asked) > spans + 1:
            raise error
        return subject.extents(source, inspections)

    return replace(subject, inspect=inspect, extents=extents)


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("spans", [0, 1, 2])
def test_a_map_that_breaks_off_costs_its_checks_and_no_byte(spans, workers):
    subject, content = several_units()
    faults = Faults()
    run = lane_over(
        {NAME: content},
        [lost_map(subject, spans, toys.LOST)],
        {NAME: faults},
        span_bytes=2 * MIB,
        workers=workers,
    )
    assert run.only.state is FileState.READ
    assert coordinates(run.only.evidence) == [("toy.map.entry", "mismatched", 123, 8)]
    units = run.units()
    assert [unit.offset for unit in units] == list(range(0, len(content), MIB))
    assert run.watcher.done == {NAME: len(content)}
    assert all(not unit.evidence for unit in units[2 * spans :])
    assert spans == 0 or any(unit.evidence for unit in units)
    assert run.only.baseline.action == "none"


def test_a_map_that_breaks_off_is_not_forgiven_when_all_units_are_known():
    # Killed behind the last unit, before the end: the next run plans nothing, and must still know.
    subject, content = several_units()
    first = lane_over({NAME: content}, [lost_map(subject, 1, toys.LOST)], span_bytes=2 * MIB)
    again = lane_over(
        {NAME: content},
        [lost_map(subject, 1, toys.LOST)],
        span_bytes=2 * MIB,
        recorded=lambda *_: tuple(first.units()),
    )
    assert said(again.only) == said(first.only)
    assert coordinates(again.only.evidence) == [("toy.map.entry", "mismatched", 123, 8)]
    assert again.only.bytes_read == first.only.bytes_read


def test_a_structure_that_cannot_be_read_is_evidence_and_the_bytes_are_read_all_the_same():
    subject, content = several_units()
    error = FormatError("toy.header.magic", offset=4, length=2, expected="a", actual="b")
    run = lane_over({NAME: content}, [toys.failing(subject, inspect=error)])
    (image,) = run.only.images
    assert not image.inspection.complete
    assert coordinates(image.evidence)[0] == ("toy.header.magic", "mismatched", 4, 2)
    assert run.only.bytes_read >= len(content)


# Storage that fails


def reading_head(subject: Format, offset: int) -> Format:
    """Return a format that reads something to find its way, and again for its map."""

    def inspect(source: Source, neighbours: object) -> object:
        source.read_at(offset, 16)
        return subject.inspect(source, neighbours)

    return replace(subject, inspect=inspect)


def reading_map(subject: Format, offset: int) -> Format:
    def extents(source: Source, inspections: object) -> Iterator[ExtentBatch]:
        source.read_at(offset, 16)
        return subject.extents(source, inspections)

    return replace(subject, extents=extents)


MIDDLE = 2 * MIB + 5000
GAP = (2 * MIB + 4096, 2 * MIB + 8192)


@pytest.mark.parametrize("reader", [reading_head, reading_map])
def test_a_bad_sector_under_the_structure_costs_the_structure_not_the_file(reader):
    subject, content = several_units()
    faults = Faults(refused=[GAP])
    run = lane_over({NAME: content}, [reader(subject, MIDDLE)], {NAME: faults})
    result = run.only
    assert result.state is FileState.READ
    rows = [*result.evidence, *result.images[0].evidence]
    assert ("storage.unreadable", "unreadable", None, None) in coordinates(rows)
    assert ("storage.unreadable", "unreadable", GAP[0], 4096) in coordinates(result.evidence)
    assert all(row.bearing is Bearing.NEEDED for row in rows if row.check == "storage.unreadable")
    assert result.bytes_read >= len(content)


@pytest.mark.parametrize("reader", [reading_head, reading_map])
def test_a_sector_that_is_refused_once_under_the_structure_is_unsteady(reader):
    subject, content = several_units()
    faults = Faults(refused_once=[GAP])
    run = lane_over({NAME: content}, [reader(subject, MIDDLE)], {NAME: faults})
    rows = [*run.only.evidence, *run.only.images[0].evidence]
    assert [row[:2] for row in coordinates(rows)] == [("storage.steady", "unsteady")]
    assert run.only.baseline.action == "none"


@pytest.mark.parametrize("place", [0, 100_000, 4_400_000])
def test_a_bad_sector_at_an_end_of_the_file_costs_that_sector(place):
    subject, content = several_units()
    content = content[:4_400_100]
    plain = toys.toy()
    run = lane_over({NAME: content}, [plain], {NAME: Faults(refused=[(place, place + 1)])})
    assert run.only.state is FileState.READ
    start = place // 4096 * 4096
    length = min(4096, len(content) - start)
    assert coordinates(run.only.evidence) == [("storage.unreadable", "unreadable", start, length)]
    assert run.only.format == (None if place == 0 else "toy")
    assert subject.name == "toy"


@pytest.mark.parametrize("number", [errno.ESTALE, errno.ETIMEDOUT, errno.EACCES, errno.ENODEV])
@pytest.mark.parametrize("workers", [1, 3])
def test_storage_that_stops_answering_leaves_the_file_refused_with_its_units(number, workers):
    subject, content = several_units()
    faults = Faults(after=12, later_errno=number)
    run = lane_over({NAME: content}, [subject], {NAME: faults}, workers=workers)
    assert run.only.state is FileState.REFUSED
    (row,) = run.only.evidence
    assert row.check == "storage.refused"
    assert row.actual.startswith(errno.errorcode[number])
    assert row.bearing is Bearing.DOUBTFUL
    assert len(run.units()) < 5
    resumed = lane_over({NAME: content}, [subject], recorded=lambda *_: tuple(run.units()))
    assert said(resumed.only) == said(lane_over({NAME: content}, [subject]).only)


@pytest.mark.parametrize(
    ("number", "state"),
    [
        (errno.EACCES, FileState.REFUSED),
        (errno.EIO, FileState.REFUSED),
        (errno.ELOOP, FileState.REFUSED),
        (errno.ENOENT, FileState.GONE),
    ],
)
def test_a_file_that_cannot_be_opened_is_told_from_one_that_went_away(number, state):
    _, content = several_units()
    run = lane_over({NAME: content, "b": b"x"}, [toys.toy()], {NAME: Faults(open_errno=number)})
    assert run.records.results[NAME].state is state
    assert run.records.results["b"].state is FileState.READ


CHANGES = {
    "shrinks at once": Faults(after=0, later_size=100),
    "shrinks while it is read": Faults(after=9, later_size=2 * MIB),
    "shrinks by one byte at the end": Faults(after=18, later_size=4_412_344),
    "grows": Faults(after=9, later_size=5 * MIB),
    "is written to": Faults(after=9, later_mtime_ns=2_000),
    "grew between two looks at it": Faults(after=-1, later_size=5 * MIB),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("workers", [1, 3])
def test_a_file_that_changes_under_the_scan_is_changed_not_damaged(name, workers):
    subject, content = several_units()
    faults = replace(CHANGES[name], reads=[])
    run = lane_over({NAME: content}, [subject], {NAME: faults}, workers=workers)
    assert run.only.state is FileState.CHANGED
    (row,) = run.only.evidence
    assert row.check == "storage.changed"
    assert row.bearing is Bearing.DOUBTFUL
    assert run.only.traceback is None
    assert run.only.baseline is None


# Ends of all kinds


def test_a_stop_keeps_what_was_read_and_says_reading():
    subject, content = several_units()
    stop = Event()

    class Stopping(Records):
        def units(self, work: Work, results: tuple[UnitResult, ...]) -> None:
            super().units(work, results)
            if len(self.units_of[NAME]) == 3:
                stop.set()

    run = lane_over({NAME: content, "later": b"x"}, [subject], stop=stop, records=Stopping())
    assert run.failure is None
    assert sorted(run.records.units_of[NAME]) == [0, MIB, 2 * MIB]
    assert "later" not in run.records.results
    assert all(result.state is FileState.READING for result in run.records.results.values())


def test_a_stop_in_the_middle_of_a_unit_throws_that_unit_away():
    subject, content = several_units()
    stop = Event()

    def batches(source: Source) -> Sequence[ExtentBatch]:
        first, *rest = subject.extents(source, ())
        kernel = first.check.kernel

        def stopping(elements: np.ndarray, offset: int, origin: int) -> object:
            if offset > MIB:
                stop.set()
            return kernel(elements, offset, origin)

        return [replace(first, check=replace(first.check, kernel=stopping)), *rest]

    run = lane_over({NAME: content}, [toys.toy(batches)], stop=stop)
    assert run.only.state is FileState.READING
    assert sorted(run.records.units_of[NAME]) == [0]


@pytest.mark.parametrize("method", ["started", "units", "finished"])
@pytest.mark.parametrize("workers", [1, 4])
def test_a_recorder_that_fails_ends_the_lane_without_hanging_it(method, workers):
    subject, content = several_units()

    class Failing(Records):
        pass

    def fail(*_arguments: object) -> None:
        raise ScannerError

    setattr(Failing, method, fail)
    files = {NAME: content, **{f"{number}": b"x" * number for number in range(9)}}
    run = lane_over(files, [subject], workers=workers, records=Failing())
    assert isinstance(run.failure, ScannerError)


@pytest.mark.parametrize("callback", ["recorded", "baseline"])
@pytest.mark.parametrize("workers", [1, 4])
def test_a_ledger_that_cannot_be_read_is_no_bug_of_the_file(callback, workers):
    subject, content = several_units()

    def fail(*_arguments: object) -> None:
        raise ScannerError

    run = lane_over({NAME: content, "b": content}, [subject], workers=workers, **{callback: fail})
    assert isinstance(run.failure, ScannerError)
    states = {result.state for result in run.records.results.values()}
    assert states <= {FileState.READING}, "stopped with the lane, and no more"


def test_the_end_of_a_file_is_not_told_before_units_that_are_on_their_way():
    # A queue that is full holds one worker back while another one finishes the file.
    subject, content = several_units()

    class Slow(Records):
        on_their_way = 0
        told = Event()

        def units(self, work: Work, results: tuple[UnitResult, ...]) -> None:
            self.on_their_way += 1
            self.told.wait(0.1)
            super().units(work, results)
            self.on_their_way -= 1

        def finished(self, work: Work, result: object, units: tuple[UnitResult, ...]) -> None:
            assert not self.on_their_way, "told too early"
            self.told.set()
            super().finished(work, result, units)

    run = lane_over({NAME: content}, [subject], workers=3, records=Slow())
    assert run.failure is None
    assert len(run.units()) == 5


def test_jobs_that_cannot_be_listed_end_the_lane():
    def jobs() -> Iterator[Job]:
        yield Job(ROOT, "a", Stamps(1, 1, 1, 1))
        raise Mistake

    run = lane_over({"a": b"x"}, [toys.toy()], workers=3, jobs=jobs())
    assert isinstance(run.failure, Mistake)


def test_workers_wait_for_the_units_of_a_file_another_one_opens():
    # The second worker finds no job left while the first one inspects; it must not go home.
    subject, content = several_units()
    begun, seen = Event(), set()

    def inspect(source: Source, neighbours: object) -> object:
        begun.set()
        return subject.inspect(source, neighbours)

    def batches(source: Source) -> Sequence[ExtentBatch]:
        first, *rest = subject.extents(source, ())
        kernel, met = first.check.kernel, threading.Barrier(2)

        def meeting(elements: np.ndarray, offset: int, origin: int) -> object:
            if threading.get_ident() not in seen:
                seen.add(threading.get_ident())
                met.wait(10)
            return kernel(elements, offset, origin)

        return [replace(first, check=replace(first.check, kernel=meeting)), *rest]

    meeting = replace(toys.toy(batches), inspect=inspect)
    run = lane_over({NAME: content}, [meeting], workers=2)
    assert run.only.state is FileState.READ
    assert len(seen) == 2


def test_settings_of_these_tests_cut_the_file_into_units():
    _, content = several_units()
    assert SMALL.unit_bytes == MIB
    assert 4 * MIB < len(content) < 5 * MIB
