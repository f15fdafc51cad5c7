"""Progress with a clock that only moves when told: rates, the minute between lines, bad ends."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console

from scanner.outlets.meter import Meter, Running, Snapshot
from scanner.outlets.ndjson import FileEvents
from scanner.outlets.progress import (
    BUGS_KEPT_MAX,
    Bugs,
    LiveProgress,
    PlainProgress,
    Several,
    display,
    plain_line,
)
from scanner.progress import Watcher
from scanner.results import FileResult, FileState, Stamps
from tests.scanner.outlets.golden import rendered

MIB = 1 << 20


class Ticks:
    """A monotonic clock moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def result(path: str, *, traceback: str | None = None) -> FileResult:
    return FileResult(
        path,
        Stamps(MIB, 0, 0, 1),
        FileState.READ,
        format="vhd",
        read_at=datetime(2026, 1, 1, tzinfo=UTC),
        bytes_read=MIB,
        traceback=traceback,
    )


def test_meter_counts_files_bytes_rate_and_time_left() -> None:
    ticks = Ticks()
    meter = Meter(ticks)
    meter.surveyed(2, 100 * MIB)
    meter.started("a", 60 * MIB)
    ticks.now += 2
    meter.read("a", 20 * MIB)
    now = meter.snapshot()
    assert now.running == (Running("a", 20 * MIB, 60 * MIB, 10.0 * MIB, 4.0),)
    assert now.total == Running("total", 20 * MIB, 100 * MIB, 10.0 * MIB, 8.0)
    assert (now.files_done, now.files, now.elapsed_seconds) == (0, 2, 2.0)


def test_rate_follows_a_change_slowly() -> None:
    ticks = Ticks()
    meter = Meter(ticks)
    meter.surveyed(1, 1000 * MIB)
    for length in (10 * MIB, 0):
        ticks.now += 1
        meter.read("a", length)
        rate = meter.snapshot().total.bytes_per_second
    assert 8 * MIB < rate < 10 * MIB


def test_stalled_scan_cannot_say_how_long_it_takes() -> None:
    ticks = Ticks()
    meter = Meter(ticks)
    meter.surveyed(1, MIB)
    ticks.now += 5
    assert meter.snapshot().total.eta_seconds is None


def test_second_look_at_the_same_moment_changes_nothing() -> None:
    ticks = Ticks()
    meter = Meter(ticks)
    meter.surveyed(1, MIB)
    ticks.now += 1
    meter.read("a", MIB)
    assert meter.snapshot() == meter.snapshot()


def test_finished_files_leave_the_display_and_several_repositories_add_up() -> None:
    meter = Meter(Ticks())
    meter.surveyed(1, MIB)
    meter.surveyed(2, MIB)
    meter.started("a", MIB)
    meter.finished(result("a"))
    now = meter.snapshot()
    assert (now.running, now.files_done, now.files) == ((), 1, 3)
    assert now.total.total_bytes == 2 * MIB


def test_many_threads_lose_no_byte() -> None:
    meter = Meter(Ticks())

    def read() -> None:
        for _ in range(2000):
            meter.read("a", 3)

    meter.started("a", 0)
    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    now = meter.snapshot()
    assert (now.total.done_bytes, now.running[0].done_bytes) == (24_000, 24_000)


def test_plain_progress_writes_a_line_a_minute() -> None:
    ticks, stream = Ticks(), StringIO()
    progress = PlainProgress(stream.write, ticks)
    progress.surveyed(3, 100 * MIB)
    progress.started("a", 100 * MIB)
    for _ in range(7):
        ticks.now += 20
        progress.read("a", MIB)
    assert stream.getvalue().splitlines() == [
        "3 files to read, 100 MiB",
        "0 of 3 files, 3 MiB of 100 MiB, 51.2 KiB/s, 32 min 20 s left; 'a'",
        "0 of 3 files, 6 MiB of 100 MiB, 51.2 KiB/s, 31 min 20 s left; 'a'",
    ]


def test_plain_progress_writes_notes_at_once_and_harmless() -> None:
    stream = StringIO()
    PlainProgress(stream.write, Ticks()).note("folder '\x1b[31m'")
    assert stream.getvalue() == "folder '\\x1b[31m'\n"


@pytest.mark.parametrize(
    "error", [BrokenPipeError(), OSError(28, "No space"), ValueError("closed")]
)
def test_display_that_cannot_be_written_does_not_end_a_scan(error: Exception) -> None:
    ticks = Ticks()
    calls: list[str] = []

    def write(text: str) -> None:
        calls.append(text)
        raise error

    progress = PlainProgress(write, ticks)
    progress.surveyed(1, MIB)
    ticks.now += 61
    progress.finished(result("a"))
    progress.note("x")
    assert len(calls) == 3


def test_display_shows_each_running_file_and_the_total() -> None:
    now = Snapshot(
        (Running("srv/a.vhd", MIB, 4 * MIB, 2.0 * MIB, 1.5),),
        Running("total", 5 * MIB, 9 * MIB, 2.0 * MIB, 2.0),
        3,
        7,
        10.0,
    )
    lines = rendered(display(now), 100).splitlines()
    assert lines[0].startswith("'srv/a.vhd'")
    assert "1 MiB of 4 MiB" in lines[0]
    assert lines[0].endswith("1.5 s left")
    assert lines[1].startswith("3 of 7 files")
    assert "5 MiB of 9 MiB" in lines[1]


def test_long_names_do_not_widen_the_display() -> None:
    running = tuple(Running("n" * 300, 0, MIB, 0.0, None) for _ in range(20))
    now = Snapshot(running, Running("total", 0, MIB, 0.0, None), 0, 20, 0.0)
    lines = rendered(display(now), 80).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "and 4 more files at once"


def test_plain_line_without_rate_or_files_is_short() -> None:
    now = Snapshot((), Running("total", 0, 0, 0.0, None), 0, 0, 0.0)
    assert plain_line(now) == "0 of 0 files, 0 B of 0 B, 0 B/s"


def test_live_progress_draws_notes_and_stops_its_thread() -> None:
    stream = StringIO()
    console = Console(file=stream, force_terminal=True, width=100, color_system=None)
    with LiveProgress(console, Ticks()) as progress:
        drive(progress)
        progress.note("something \x1b[31m")
    assert "something \\x1b[31m" in stream.getvalue()
    assert "1 of 1 files" in stream.getvalue()


def test_terminal_that_went_away_does_not_end_a_scan() -> None:
    stream = StringIO()
    console = Console(file=stream, force_terminal=True, width=100, color_system=None)
    with LiveProgress(console, Ticks()) as progress:
        stream.close()
        drive(progress)
        progress.note("x")


def drive(watcher: Watcher) -> None:
    watcher.surveyed(1, MIB)
    watcher.started("a", MIB)
    watcher.read("a", MIB)
    watcher.finished(result("a", traceback="Traceback: x"))


def test_several_watchers_are_told_everything_in_order() -> None:
    told: list[str] = []

    class Recorder:
        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, call: str) -> Callable[..., None]:
            return lambda *_: told.append(f"{self._name}.{call}")

    both = Several([Recorder("one"), Recorder("two")])
    drive(both)
    both.note("x")
    calls = ["surveyed", "started", "read", "finished", "note"]
    assert told == [f"{name}.{call}" for call in calls for name in ("one", "two")]


def test_each_bug_is_kept_once_with_the_first_file_it_was_met_in() -> None:
    bugs = Bugs()
    drive(bugs)
    bugs.finished(result("b"))
    bugs.finished(result("c", traceback="Traceback: y"))
    for name in ("d", "e"):
        bugs.finished(result(name, traceback="Traceback: x"))
    assert bugs.met() == (
        "a bug of bakproof, met while reading 'a' and 2 more files:\nTraceback: x",
        "a bug of bakproof, met while reading 'c':\nTraceback: y",
    )


def test_no_more_bugs_are_kept_than_anybody_reads() -> None:
    bugs = Bugs()
    for number in range(BUGS_KEPT_MAX + 5):
        bugs.finished(result("a", traceback=f"Traceback: {number}"))
    assert len(bugs.met()) == BUGS_KEPT_MAX


def test_file_events_are_one_line_of_json_each() -> None:
    written: list[bytes] = []
    drive(FileEvents(written.append))
    (line,) = written
    assert line == (
        b'{"type":"file","v":1,"path":"a","format":"vhd","state":"read","images":0,"findings":0,'
        b'"file_bytes":1048576,"bytes_read":1048576,"bug":"Traceback: x"}\n'
    )
