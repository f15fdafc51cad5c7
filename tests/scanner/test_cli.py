"""The command line, run in this process with a stopped clock: words, streams and exit codes."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scanner.cli import run
from scanner.cli.options import World
from scanner.cli.signals import stopping
from scanner.judge.model import Judgement
from scanner.ledger.lock import RepositoryLock
from scanner.ledger.store import Ledger
from scanner.outlets.exit_codes import ExitCode, help_text
from scanner.scan import ScanOutcome
from scanner.survey.filesystems import place_of
from tests import demo
from tests.damage import flip
from tests.scanner.outlets.golden import assert_golden

NOW = datetime(2026, 3, 14, 12, 0, 0, tzinfo=UTC)
OLD = (NOW - timedelta(days=2)).timestamp()


@dataclass
class Bench:
    """A repository, a ledger outside of it, and a clock that stands still until told."""

    folder: Path
    capture: pytest.CaptureFixture[str]
    now: datetime = NOW
    left_with: list[int] = field(default_factory=list)

    @property
    def repository(self) -> Path:
        return self.folder / "backups"

    @property
    def ledger(self) -> Path:
        return self.folder / "state" / "ledger.sqlite"

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    def put(self, name: str, content: bytes = b"") -> Path:
        path = self.repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (OLD, OLD))
        return path

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Return exit code, standard output and standard error."""
        world = World(
            clock=lambda: self.now,
            monotonic=lambda: 0.0,
            environment={
                "STATE_DIRECTORY": str(self.folder / "state"),
                # Whatever lies on the machine that runs the tests is none of theirs.
                "BAKPROOF_CONFIG": str(self.config if self.config.exists() else os.devnull),
                "TZ": "Europe/Berlin",
            },
            leave=self.left_with.append,
        )
        code = run(arguments, world)
        out, err = self.capture.readouterr()
        return code, out, err

    def scan(self, *options: str) -> tuple[int, str, str]:
        return self.run("scan", str(self.repository), "--no-progress", *options)


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    (tmp_path / "backups").mkdir()
    return Bench(tmp_path, capsys)


def only_finding(bench: Bench) -> str:
    """Return the id of the one finding on record."""
    _, out, _ = bench.run("status", "--json")
    whole = json.loads(out)
    (name,) = [row["id"] for part in ("images", "others") for one in whole[part]
               for row in one["findings"]]  # fmt: skip
    return str(name)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("scan",),
        ("scan", "x", "--jobs", "0"),
        ("scan", "x", "--json", "--ndjson"),
        ("scan", "x", "--fail-on", "anything"),
        ("scan", "x", "--nonsense"),
        ("nonsense",),
        ("ack", "f0", "--until", "2026-04-01"),
        ("ack", "f0", "--until", "tomorrow", "--reason", "x"),
        ("ack", "f0", "--until", "2026-04-01", "--reason", " "),
        ("ack", "f0", "--until", "2026-03-13", "--reason", "that day is over"),
    ],
)
def test_usage_errors_exit_2_and_print_no_result(bench: Bench, arguments: tuple[str, ...]) -> None:
    code, out, err = bench.run(*arguments)
    assert (code, out) == (2, "")
    assert err


def test_help_documents_every_exit_code(bench: Bench) -> None:
    for arguments in (("--help",), ("scan", "--help"), ("status", "-h")):
        code, out, _ = bench.run(*arguments)
        assert code == 0
        for line in help_text().splitlines():
            assert line in out


def test_repository_that_is_not_there_exits_10_and_is_named(bench: Bench) -> None:
    missing = str(bench.folder / "nowhere")
    code, out, err = bench.run("scan", missing)
    assert (code, out) == (10, "")
    assert repr(missing) in err


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "I/O")])
def test_repository_that_cannot_be_listed_exits_10_and_no_ledger_is_begun(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    really_scan = os.scandir

    def scandir(folder: os.PathLike[str]) -> "os._ScandirIterator[str]":
        if Path(folder) == bench.repository:
            raise error
        return really_scan(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    code, out, err = bench.scan()
    assert (code, out) == (10, "")
    assert err == f"bakproof: {str(bench.repository)!r}: {error.strerror}\n"
    assert not bench.ledger.exists()


def test_repository_nobody_may_read_is_no_usage_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def access(*_: object, **__: object) -> bool:
        return False

    monkeypatch.setattr(os, "access", access)  # what click asks; what a test as root cannot know
    assert bench.scan()[0] == 5


def test_device_is_no_repository(bench: Bench) -> None:
    code, out, err = bench.run("scan", os.devnull)
    assert (code, out) == (2, "")
    assert err == "bakproof: '/dev/null': neither a folder nor a regular file\n"


def test_single_file_that_is_no_backup_is_named(bench: Bench) -> None:
    path = bench.put("notes.txt", b"milk, eggs\n")
    bench.put("more.txt", b"bread\n")
    code, out, _ = bench.run("scan", str(path), "--no-progress")
    assert code == 5
    assert ": 1 file, not a known backup: 'notes.txt'\n" in out


def test_folder_without_any_file_is_said_to_be_empty_or_not_mounted(bench: Bench) -> None:
    code, out, _ = bench.scan()
    assert code == 5
    where = repr(str(bench.repository))
    assert out.startswith(f"Nothing to scan in {where}: no file there; it is empty, or not mounted")


@pytest.mark.parametrize("command", ["status", "explain", "ack"])
def test_questions_to_a_ledger_that_is_not_there_exit_10(bench: Bench, command: str) -> None:
    extra = {
        "status": (),
        "explain": ("x",),
        "ack": ("f", "--until", "2027-01-01", "--reason", "x"),
    }
    code, out, err = bench.run(command, *extra[command])
    assert (code, out) == (10, "")
    assert repr(str(bench.ledger)) in err
    assert not bench.ledger.exists()


def test_ledger_inside_the_repository_is_refused(bench: Bench) -> None:
    inside = bench.repository / "ledger.sqlite"
    code, _, err = bench.scan("--ledger", str(inside))
    assert code == 10
    assert repr(str(inside)) in err
    assert list(bench.repository.iterdir()) == []


def test_repository_held_by_another_run_exits_11(bench: Bench) -> None:
    place = place_of(bench.repository)
    bench.ledger.parent.mkdir()
    lock = RepositoryLock.take(bench.ledger, place.filesystem, place.root, bench.repository, NOW)
    with lock:
        code, out, err = bench.scan()
    assert (code, out) == (11, "")
    assert "is being scanned by process" in err


def test_folder_without_backups_exits_5_whatever_fail_on_says(bench: Bench) -> None:
    bench.put("notes.txt", b"milk, eggs\n")
    for level in ("weakened", "unproven", "damage"):
        code, out, _ = bench.scan("--fail-on", level)
        assert code == 5
        assert f"Nothing recognised to scan in {str(bench.repository)!r}: 1 file" in out


def test_empty_backup_exits_4_and_says_so_first(bench: Bench) -> None:
    bench.put("sql/new.vhd")
    code, out, _ = bench.scan()
    assert code == 4
    assert out.startswith("empty       'sql/new.vhd'\n")
    assert "\n1 other file: 1 empty\n" in out
    assert out.endswith("exit code 4: damaged, incomplete or empty\n")


def test_fail_on_damage_lets_unproven_pass(bench: Bench) -> None:
    bench.put("disk.vhdx", b"not a disk at all")
    codes = [bench.scan("--fail-on", level)[0] for level in ("weakened", "unproven", "damage")]
    assert codes == [5, 5, 0]
    assert bench.run("status", "--fail-on", "damage")[1].endswith(
        "exit code 0: nothing in scope is worse than unproven; "
        "let pass by --fail-on damage: 1 unproven\n"
    )


def test_json_is_one_document_and_progress_goes_to_standard_error(bench: Bench) -> None:
    bench.put("sql/new.vhd")
    code, out, err = bench.run("scan", str(bench.repository), "--json")
    whole = json.loads(out)
    assert code == whole["summary"]["exit_code"] == 4
    assert [other["path"] for other in whole["others"]] == ["sql/new.vhd"]
    assert err == "1 file to read, 0 B\n"


def test_no_progress_leaves_standard_error_empty(bench: Bench) -> None:
    bench.put("sql/new.vhd")
    assert bench.scan()[2] == ""


def test_ndjson_tells_files_while_they_are_read_and_ends_with_the_summary(bench: Bench) -> None:
    bench.put("sql/new.vhd")
    bench.put("notes.txt", b"milk")
    _, out, _ = bench.scan("--ndjson")
    kinds = [json.loads(line)["type"] for line in out.splitlines()]
    assert kinds == ["file", "file", "run", "repository", "other", "other", "summary"]


def test_exclude_leaves_out_what_matches(bench: Bench) -> None:
    bench.put("sql/new.vhd")
    bench.put("notes.txt", b"milk")
    code, out, _ = bench.scan("--exclude", "sql")
    assert code == 5
    assert "1 file, not a known backup: 'notes.txt'" in out


def test_second_scan_reads_nothing_again_unless_told(bench: Bench) -> None:
    bench.put("notes.txt", bytes(range(200)))

    def read(*options: str) -> int:
        return int(json.loads(bench.scan("--json", *options)[1])["run"]["bytes_read"])

    assert [read(), read(), read("--reread")] == [200, 0, 200]


def test_status_answers_without_the_repository_and_with_the_same_code(bench: Bench) -> None:
    lost = bench.put("sql/new.vhd")
    scanned, said, _ = bench.scan()
    lost.unlink()
    lost.parent.rmdir()
    bench.repository.rmdir()
    bench.now += timedelta(hours=5)
    code, out, _ = bench.run("status")
    assert code == scanned == 4
    assert out.splitlines()[:4] == said.splitlines()[:4]
    assert "last scan 5 h ago: 1 file, 0 B read" in out


@pytest.mark.parametrize("way", ["absolute", "to the present folder", "to the repository"])
def test_explain_finds_the_file(bench: Bench, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    path = bench.put("sql/new.vhd")
    bench.scan()
    monkeypatch.chdir(path.parent if way == "to the present folder" else bench.folder)
    wanted = {
        "absolute": str(path),
        "to the present folder": "new.vhd",
        "to the repository": "sql/new.vhd",
    }
    code, out, _ = bench.run("explain", wanted[way])
    assert code == 0
    assert out.startswith("empty  'sql/new.vhd'\n")


def test_explain_names_the_other_names_of_a_hard_linked_file(bench: Bench) -> None:
    path = bench.put("b/new.vhd", b"x" * 5000)
    for other in ("a/same.vhd", "c/same.vhd"):
        bench.repository.joinpath(other).parent.mkdir()
        bench.repository.joinpath(other).hardlink_to(path)
    bench.put("b/twin.vhd", b"x" * 5000)
    bench.scan()
    _, out, _ = bench.run("explain", "b/new.vhd")
    assert out.endswith("  also            'a/same.vhd'\n  also            'c/same.vhd'\n")
    for name, rest in (
        ("a/same.vhd", ["b/new.vhd", "c/same.vhd"]),
        ("c/same.vhd", ["a/same.vhd", "b/new.vhd"]),
    ):
        (linked,) = json.loads(bench.run("explain", name, "--json")[1])["hard_links"]
        assert (linked["path"], linked["other_names"]) == (name, rest)
    assert json.loads(bench.run("explain", "b/twin.vhd", "--json")[1])["hard_links"] == []


def test_explain_of_a_file_nobody_knows_exits_2(bench: Bench) -> None:
    bench.scan()
    code, out, err = bench.run("explain", "nowhere.vhd")
    assert (code, out) == (2, "")
    assert err == "bakproof: the ledger knows no file 'nowhere.vhd'\n"


def test_explain_answers_in_json_too(bench: Bench) -> None:
    bench.put("sql/new.vhd")
    bench.scan()
    _, out, _ = bench.run("explain", "sql/new.vhd", "--json")
    assert [other["path"] for other in json.loads(out)["others"]] == ["sql/new.vhd"]


def test_accepted_finding_is_shown_but_does_not_decide_until_its_day_is_over(bench: Bench) -> None:
    bench.put("sql/new.vhd")
    assert bench.scan()[0] == 4
    name = only_finding(bench)
    code, out, _ = bench.run("ack", name, "--until", "2026-03-20", "--reason", "made by a test")
    assert code == 0
    assert out.splitlines()[-1] == "accepted until 2026-03-20"
    bench.now = datetime(2026, 3, 20, 23, 59, 58, tzinfo=UTC)
    for question in (bench.run("status"), bench.scan()):
        assert question[0] == 5  # named like a backup, and nothing speaks for it
        told = f"[finding {name}] (acknowledged until 2026-03-20: made by a test)"
        assert told in question[1]
    bench.now += timedelta(seconds=2)
    code, out, _ = bench.run("status")
    assert code == 4
    assert f"[finding {name}]" in out


def test_accepted_damage_is_not_called_sound(bench: Bench) -> None:
    sound = demo.contents()["fileserver/monday-full.vhd"]
    bench.put("full.vhd", flip(sound, 100))  # in the copy of the footer
    assert bench.scan()[0] == 3
    bench.run("ack", only_finding(bench), "--until", "2026-04-01", "--reason", "a copy")
    code, out, _ = bench.scan()
    meaning = json.loads(bench.run("status", "--json")[1])["summary"]["exit_meaning"]
    assert (code, meaning) == (0, "nothing unaccepted is worse than sound; accepted: 1 weakened")
    assert out.endswith(f"exit code 0: {meaning}\n")


def test_finding_nobody_knows_cannot_be_accepted(bench: Bench) -> None:
    bench.scan()
    code, _, err = bench.run("ack", "beef", "--until", "2026-03-20", "--reason", "x")
    assert (code, err) == (2, "bakproof: the ledger knows no finding 'beef'\n")


def test_corrupt_ledger_is_kept_aside_and_is_a_warning(bench: Bench) -> None:
    bench.put("sql/new.vhd")
    bench.scan()
    bench.ledger.write_bytes(b"SQLite format 3\0" + b"\xff" * 8000)
    _, out, _ = bench.scan("--fail-on", "weakened")
    assert "note: ledger " in out
    assert "is corrupt" in out


def test_formats_are_listed_with_what_they_prove(bench: Bench) -> None:
    code, out, _ = bench.run("formats")
    assert code == 0
    assert "qcow2" in out
    _, checks, _ = bench.run("formats", "--checks")
    assert any(line.startswith("qcow2.") and ": " in line for line in checks.splitlines())
    names = {entry["name"] for entry in json.loads(bench.run("formats", "--json")[1])["formats"]}
    assert {"qcow2", "vhd", "vhdx"} <= names


def test_demonstration_shows_one_of_each(bench: Bench) -> None:
    demo.make(bench.repository)
    code, out, _ = bench.scan()
    assert code == 4
    # An id is made of the file system and the folder, which are others on every machine.
    assert_golden("demo.txt", re.sub(r"(?<=\[finding )\w{10}(?=\])", "0123456789", out))


def test_status_says_when_nobody_scans_any_more(bench: Bench) -> None:
    demo.make(bench.repository)
    bench.scan()
    said = "note: no scan has finished for 3 days: all that is said here is as old\n"
    bench.now = NOW + timedelta(days=3)
    assert said not in bench.run("status")[1]
    bench.now = NOW + timedelta(days=3, hours=1)
    assert said in bench.run("status")[1]
    bench.scan()
    assert said not in bench.run("status")[1]


def test_a_scanner_that_died_leaves_nothing_green(bench: Bench) -> None:
    whole = demo.contents()["fileserver/monday-full.vhd"]
    bench.put("full.vhd", whole)
    bench.scan()
    assert bench.run("status")[0] == 0
    bench.now = NOW + timedelta(days=4)
    assert bench.run("status")[0] == 3


def test_status_misses_a_scan_of_what_is_configured(bench: Bench) -> None:
    demo.make(bench.repository)
    other = bench.folder / "other"
    other.mkdir()
    paths = (bench.repository, other)
    bench.config.write_text("".join(f'[[repository]]\npath = "{path}"\n' for path in paths))
    bench.run("scan", str(bench.repository), "--no-progress")
    assert f"note: {str(other)!r} is configured, and was never scanned\n" in bench.run("status")[1]
    bench.run("scan", str(other), "--no-progress")
    assert "is configured" not in bench.run("status")[1]
    bench.now = NOW + timedelta(days=4)
    bench.run("scan", str(bench.repository), "--no-progress")
    said = f"note: no scan of {str(other)!r} has finished for 4 days\n"
    assert said in bench.run("status")[1]


def test_ledger_says_how_each_source_stands(bench: Bench) -> None:
    demo.make(bench.repository)
    bench.scan()
    with closing(sqlite3.connect(bench.ledger)) as database:
        rows = database.execute(
            "SELECT name, kind, state, restorable_path, failing_path, first_step IS NULL"
            " FROM v_sources ORDER BY name"
        ).fetchall()
    lost = "copy-of-fileserver/monday-full.vhd"
    newest = "fileserver/wednesday-increment.vhd"
    assert rows == [
        ("copy-of-fileserver/monday", "disk", "lost", None, lost, 0),
        ("fileserver/monday", "disk", "restorable", newest, None, 1),
        ("new-server/first", "disk", "lost", None, "new-server/first-full.vhd", 0),
    ]


def test_demonstration_leaves_alone_what_is_there(bench: Bench) -> None:
    demo.make(bench.repository)
    bench.scan()
    demo.make(bench.repository)
    assert json.loads(bench.scan("--json")[1])["run"]["bytes_read"] == 0


def test_demonstration_links_its_chain_by_identity(bench: Bench) -> None:
    demo.make(bench.repository)
    whole = json.loads(bench.scan("--json")[1])
    chain = next(entry for entry in whole["chains"] if len(entry["images"]) > 1)
    assert [entry["path"].partition("/")[2] for entry in chain["images"]] == [
        "monday-full.vhd",
        "tuesday-increment.vhd",
        "wednesday-increment.vhd",
    ]
    linked = [parent["by"] for image in whole["images"] for parent in image["parents"]]
    assert linked == ["identity", "identity"]


def outcome_of(judgement: Judgement, *, interrupted: bool) -> ScanOutcome:
    return ScanOutcome((), NOW, NOW, 0, 0, interrupted, 0, judgement, judgement, (), (), (), ())


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_signal_stops_the_scan_and_decides_the_code(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    def stopped(*_: object, stop: threading.Event, **__: object) -> ScanOutcome:
        os.kill(os.getpid(), number)
        assert stop.is_set()
        return outcome_of(Judgement((), (), ()), interrupted=stop.is_set())

    monkeypatch.setattr("scanner.cli.scan.scan", stopped)
    before = signal.getsignal(number)
    ended, out, _ = bench.scan()
    assert ended == code
    assert "progress is kept" in out
    assert bench.left_with == []
    assert signal.getsignal(number) is before


def test_second_signal_ends_at_once() -> None:
    left: list[int] = []
    with stopping(threading.Event(), left.append) as caught:
        os.kill(os.getpid(), signal.SIGINT)
        assert left == []
        os.kill(os.getpid(), signal.SIGTERM)
    assert left == [143]
    assert caught.code is ExitCode.INTERRUPTED


def test_signal_after_the_last_byte_changes_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def complete(*_: object, **__: object) -> ScanOutcome:
        os.kill(os.getpid(), signal.SIGTERM)
        return outcome_of(Judgement((), (), ()), interrupted=False)

    monkeypatch.setattr("scanner.cli.scan.scan", complete)
    assert bench.scan()[0] == 5


def test_bug_of_ours_is_not_swallowed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> ScanOutcome:
        message = "a bug"
        raise ZeroDivisionError(message)

    monkeypatch.setattr("scanner.cli.scan.scan", broken)
    with pytest.raises(ZeroDivisionError):
        bench.scan()
    with Ledger.open(bench.ledger, lambda: NOW):  # it was closed all the same
        pass


def piped(*arguments: str, close: Callable[["subprocess.Popen[bytes]"], None]) -> tuple[int, str]:
    """Run the program in a process of its own whose standard output goes away."""
    with subprocess.Popen(
        [sys.executable, "-m", "scanner", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        close(process)
        assert process.stderr is not None
        err = process.stderr.read().decode()
        return process.wait(), err


def test_reader_that_goes_away_is_no_error() -> None:
    def close(process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        process.stdout.close()

    assert piped("formats", "--checks", close=close) == (0, "")
