"""One writer, many readers, and kills at any moment."""

import signal
import sqlite3
import subprocess
import sys
import threading

import pytest

from scanner.ledger.store import Ledger
from scanner.results import FileState
from tests.scanner.ledger.stories import MIB, Story, baseline, result, stamps, unit

KILLED = """
import os, signal, sys
from pathlib import Path
from scanner.ledger.store import Ledger
from tests.scanner.ledger.stories import *

clock = Clock()
story = Story(Ledger.open(Path(sys.argv[1]), clock), clock)
story.read("done.vhdx", evidence=(damaged(),), baseline=baseline())
story.start("half.vhdx", stamps(6 * MIB))
story.record(unit(0), "half.vhdx")
with story.ledger.transaction():
    story.record(unit(3 * MIB, (4, 5, 6)), "half.vhdx")
    story.finish(result("half.vhdx", stamps=stamps(6 * MIB), baseline=baseline()))
    story.read("done.vhdx", stamps=stamps(mtime_ns=99), baseline=baseline())
    story.read("never.vhdx")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_kill_leaves_what_was_committed_and_nothing_half(ledger_path, clock):
    killed = subprocess.run([sys.executable, "-c", KILLED, ledger_path], check=False)
    assert killed.returncode == -signal.SIGKILL
    with Ledger.open(ledger_path, clock) as ledger:
        assert ledger.notes == ()
        story = Story(ledger, clock)
        assert {row.path: row.state for row in story.files()} == {
            "done.vhdx": FileState.READ,
            "half.vhdx": FileState.READING,
        }
        assert story.known("done.vhdx").stamps == stamps()
        assert len(story.evidence()) == 3
        assert [one.offset for one in story.recorded("half.vhdx")] == [0]
        assert story.baseline("half.vhdx", None) is None
        story.start("half.vhdx", stamps(6 * MIB))
        assert [one.offset for one in story.recorded("half.vhdx")] == [0]


def test_block_that_raises_leaves_nothing(story):
    with pytest.raises(ZeroDivisionError):
        read_two_and_fail(story)
    assert story.files() == ()
    story.read("c.vhdx")
    assert [row.path for row in story.files()] == ["c.vhdx"]


def read_two_and_fail(story):
    with story.ledger.transaction():
        story.read("a.vhdx")
        with story.ledger.transaction():
            story.read("b.vhdx")
        raise ZeroDivisionError


def test_many_results_are_one_commit(story):
    commits = []
    story.ledger._writer.set_trace_callback(
        lambda sql: commits.append(sql) if sql == "COMMIT" else None
    )
    with story.ledger.transaction():
        for number in range(20):
            story.read(f"{number}.vhdx", baseline=baseline())
    assert commits == ["COMMIT"]


def test_writing_thread_sees_its_own_writes_and_others_only_commits(story):
    seen = []

    def look():
        seen.append(len(story.files()))

    def in_another_thread():
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    with story.ledger.transaction():
        story.read()
        look()
        in_another_thread()
    in_another_thread()
    assert seen == [1, 0, 1]


def test_readers_read_while_the_writer_writes(story):
    """Every reader sees whole groups only: files come in tens."""
    counts, failures = [], []
    done = threading.Event()

    def read():
        while not done.is_set():
            try:
                counts.append(len(story.files()))
                story.ledger.known_files(story.repository.id)
            except (sqlite3.Error, AssertionError) as error:
                failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for group in range(10):
        with story.ledger.transaction():
            for number in range(10):
                story.finish(result(f"{group}-{number}.vhdx"))
    done.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert {count % 10 for count in counts} <= {0}
    assert len(story.files()) == 100


def test_threads_that_write_wait_for_each_other(story):
    def write(name):
        for number in range(10):
            with story.ledger.transaction():
                story.start(f"{name}{number}")
                story.record(unit(), f"{name}{number}")

    writers = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(story.files()) == 20
    assert story.count("units") == 20


def test_two_processes_write_one_after_the_other(story, ledger_path, clock):
    with Ledger.open(ledger_path, clock) as other:
        theirs = Story(other, clock, "uuid:two")
        story.read("a.vhdx")
        theirs.read("a.vhdx")
        assert len(other.files([1, 2])) == len(story.ledger.files([1, 2])) == 2


def test_ledger_writes_beside_itself_only(story, ledger_path):
    story.read(baseline=baseline())
    beside = {entry.name for entry in ledger_path.parent.iterdir()}
    assert beside == {"ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"}
    assert [entry.name for entry in ledger_path.parent.parent.iterdir()] == ["state"]
