"""The clinic's story at a small scale, and the same weeks in which nothing goes wrong.

Goal: what bakproof says is held, night by night, against what the story knows to be true. Both are
told once by ``python -m tests.story``, on a file system of their own; the tests read the record.
"""

import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.story import __main__ as story
from tests.story import nights, stage
from tests.story.play import Morning, State, remembered

ROOT = Path(__file__).parents[1]
COMMAND = (sys.executable, "-m", "tests.story")
SECONDS_MAX = 300

FIRST_FULL = "srv1/data-full-2026-03-06T2210.qcow2"
GREEN_SINCE = "2026-03-13"
DOUBLED = 9
"""The night in which the allotment is doubled, and a full succeeds."""


def tell_once(factory: pytest.TempPathFactory, name: str, *options: str) -> tuple[Morning, ...]:
    """Tell a story, or read what another test process had told meanwhile."""
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    record, reason = folder / f"{name}.json", folder / f"{name}.skipped"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not record.exists() and not reason.exists():
            done = subprocess.run(
                (*COMMAND, *options, "--record", record),
                cwd=ROOT, capture_output=True, text=True, timeout=SECONDS_MAX, check=False,
            )  # fmt: skip
            if done.returncode == story.NO_STAGE:
                reason.write_text(done.stderr)
            else:
                assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    if reason.exists():
        pytest.skip(reason.read_text().strip())
    return remembered(record.read_text())


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> tuple[Morning, ...]:
    return tell_once(tmp_path_factory, "clinic")


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Morning, ...]:
    return tell_once(tmp_path_factory, "twin", "--twin")


def verdicts(morning: Morning) -> dict[str, str]:
    return {
        image["path"]: image["verdict"] for image in morning.told["status json"].document["images"]
    }


def called_sound(morning: Morning) -> set[str]:
    """Return the files that are said to restore."""
    return {path for path, word in verdicts(morning).items() if word in ("sound", "weakened")}


def rules(morning: Morning, severity: str = "warning") -> set[str]:
    """Return the rules that have something to say."""
    said = morning.told["status json"].document["warnings"]
    return {item["rule"] for item in said if item["severity"] == severity}


def source(morning: Morning, name: str) -> dict:
    every = morning.told["status json"].document["sources"]
    return next(item for item in every if item["name"] == name)


def next_full(morning: Morning, name: str) -> dict:
    every = morning.told["forecast json"].document["sources"]
    made = next(item["forecasts"] for item in every if item["source"] == name)
    return next(item for item in made if item["kind"] == "full")


def green(morning: Morning, name: str) -> list[str]:
    """Return the days that are green in the calendar."""
    every = morning.told["calendar json"].document["sources"]
    days = next(item["days"] for item in every if item["source"] == name)
    return [day["date"] for day in days if day["state"] == "proven"]


def between(every: Sequence[Morning], first: int, last: int) -> Iterator[Morning]:
    return (morning for morning in every if first <= morning.night <= last)


# The clinic


@pytest.mark.slow
@pytest.mark.realtool
class TestClinic:
    def test_the_story_is_what_it_says(self, clinic: tuple[Morning, ...]) -> None:
        """Every kind of mishap really happened, or nothing is shown by what follows."""
        second, fifth = clinic[1], clinic[4]
        assert [morning.night for morning in clinic] == list(range(1, 12))
        assert second.states[FIRST_FULL] is State.CUT
        assert State.EMPTY in clinic[0].states.values()
        assert sorted(path for path, usable in fifth.usable.items() if not usable) == [
            "srv1/data-full-2026-03-05T2210.qcow2",
            "srv1/data-full-2026-03-08T2210.qcow2",
            "srv1/system-inc-2026-03-08T2200.qcow2",
            "srv1/system-inc-2026-03-09T2200.qcow2",
        ]
        assert all(all(morning.usable.values()) for morning in clinic[DOUBLED - 1 :])

    def test_night_one_says_that_the_full_cannot_fit(self, clinic: tuple[Morning, ...]) -> None:
        first = clinic[0]
        assert FIRST_FULL not in first.states
        assert next_full(first, "SRV1 data")["outcome"] == "cannot fit"
        assert next_full(first, "SRV1 data")["due"] == "2026-03-06T22:00:00+01:00"
        answer = first.told["forecast"]
        assert answer.exit_code == 3
        assert "on Friday 2026-03-06, 50 MB allotted: cannot ever fit" in answer.said

    def test_what_fits_is_not_said_to_be_too_large(self, clinic: tuple[Morning, ...]) -> None:
        assert next_full(clinic[0], "SRV1 system")["outcome"] == "fits"

    def test_every_night_says_so_until_there_is_room(self, clinic: tuple[Morning, ...]) -> None:
        outcomes = [
            next_full(morning, "SRV1 data")["outcome"]
            for morning in between(clinic, 1, DOUBLED - 1)
        ]
        assert outcomes == ["cannot fit"] * (DOUBLED - 1)

    def test_no_night_is_quiet_until_there_is_room(self, clinic: tuple[Morning, ...]) -> None:
        for morning in between(clinic, 1, DOUBLED - 1):
            codes = [morning.told[name].exit_code for name in ("scan", "status", "forecast")]
            assert codes == [4, 4, 3], morning.night

    def test_nothing_empty_cut_or_torn_is_called_sound(self, clinic: tuple[Morning, ...]) -> None:
        wrong = [
            (morning.night, path)
            for morning in clinic
            for path in called_sound(morning)
            if not morning.usable.get(path)
        ]
        assert wrong == []

    def test_a_full_that_ran_out_of_room_is_not_called_sound(
        self, clinic: tuple[Morning, ...]
    ) -> None:
        there = [morning for morning in clinic if FIRST_FULL in morning.states]
        assert [morning.night for morning in there] == [2, 3]
        assert [m.night for m in there if FIRST_FULL in called_sound(m)] == []
        assert [source(m, "SRV1 data")["state"] for m in there] == ["lost", "lost"]

    def test_what_is_whole_is_called_sound(self, clinic: tuple[Morning, ...]) -> None:
        for morning in clinic:
            whole = {path for path, usable in morning.usable.items() if usable}
            assert whole - called_sound(morning) == set(), morning.night

    def test_empty_cut_and_torn_have_names_of_their_own(self, clinic: tuple[Morning, ...]) -> None:
        said = verdicts(clinic[4])
        assert said["srv1/data-full-2026-03-05T2210.qcow2"] == "empty"
        assert said["srv1/data-full-2026-03-08T2210.qcow2"] == "incomplete"
        assert said["srv1/system-inc-2026-03-08T2200.qcow2"] == "incomplete"

    def test_missing_increment_is_named_and_breaks_what_came_after(
        self, clinic: tuple[Morning, ...]
    ) -> None:
        lost = "srv1/system-inc-2026-03-06T2200.qcow2"
        found = source(clinic[4], "SRV1 system")
        assert found["state"] == "behind"
        assert found["restorable"]["path"] == "srv1/system-full-2026-03-05T2200.qcow2"
        assert found["failed"] == 2
        broken = [point for point in found["points"] if point["verdict"] != "sound"]
        assert [point["deciding"] for point in broken] == [lost, lost]
        assert f"look for '{lost}'" in clinic[4].told["status"].said

    def test_database_backup_from_years_ago_is_missed_until_a_new_one_comes(
        self, clinic: tuple[Morning, ...]
    ) -> None:
        for morning in between(clinic, 1, DOUBLED - 1):
            assert "machine.no-database" in rules(morning), morning.night
            assert "sql.full-too-old" in rules(morning, "advice"), morning.night
        for morning in between(clinic, DOUBLED, 99):
            assert "machine.no-database" not in rules(morning), morning.night
            assert "sql.full-too-old" not in rules(morning, "advice"), morning.night

    def test_newest_point_too_old_is_said_once_the_limit_passed(
        self, clinic: tuple[Morning, ...]
    ) -> None:
        late = {
            morning.night
            for morning in clinic
            for item in morning.told["status json"].document["warnings"]
            if (item["rule"], item["source"]) == ("source.rpo", "SRV1 system")
        }
        assert late == {3, 5, 6, 7}

    def test_all_is_green_again_after_a_full_that_succeeds(
        self, clinic: tuple[Morning, ...]
    ) -> None:
        ninth = clinic[DOUBLED - 1]
        assert {item["state"] for item in ninth.told["status json"].document["sources"]} <= {
            "restorable",
            "attention",
        }
        # Two fulls of 780 GB do not fit 1000 GB: to say so is right, and all there is to say.
        assert rules(ninth) <= {"forecast.will-not-fit"}
        assert ninth.told["status"].exit_code in (0, 3)
        assert next_full(ninth, "SRV1 data")["outcome"] == "will not fit"
        for morning in between(clinic, DOUBLED + 1, 99):
            codes = [morning.told[name].exit_code for name in ("scan", "status", "forecast")]
            assert codes == [0, 0, 0], morning.night

    def test_calendar_says_since_when(self, clinic: tuple[Morning, ...]) -> None:
        before, last = clinic[DOUBLED - 2], clinic[-1]
        assert green(before, "SRV1 data") == []
        assert green(last, "SRV1 data") == ["2026-03-13", "2026-03-14", "2026-03-15"]
        assert green(last, "Clinic") == green(last, "SRV1 data")
        assert green(last, "SRV1 system") == ["2026-03-05", "2026-03-12", *green(last, "Clinic")]
        assert f"oldest {GREEN_SINCE} 22:10" in last.told["calendar"].said


# Its healthy twin


@pytest.mark.slow
@pytest.mark.realtool
class TestTwin:
    def test_no_night_warns(self, twin: tuple[Morning, ...]) -> None:
        assert len(twin) == nights.DAYS_OF_TWIN
        for morning in twin:
            codes = {name: answer.exit_code for name, answer in morning.told.items()}
            assert set(codes.values()) == {0}, (morning.night, codes)
            assert rules(morning) == set(), morning.night

    def test_all_it_says_is_that_it_learns(self, twin: tuple[Morning, ...]) -> None:
        said = set().union(*(rules(morning, "advice") for morning in twin))
        assert {rule for rule in said if not rule.endswith("learning")} == set()

    def test_every_image_is_sound_and_every_source_restorable(
        self, twin: tuple[Morning, ...]
    ) -> None:
        for morning in twin:
            assert called_sound(morning) == set(morning.usable), morning.night
            every = morning.told["status json"].document["sources"]
            assert {item["state"] for item in every} == {"restorable"}, morning.night

    def test_every_day_is_green(self, twin: tuple[Morning, ...]) -> None:
        for name in ("SRV1 data", "SRV1 system", "Clinic"):
            days = green(twin[-1], name)
            assert (days[0], len(days)) == ("2026-03-05", nights.DAYS_OF_TWIN), name


# The stage


def mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


def processes_in(namespace: str) -> list[int]:
    """Return who lives in a mount namespace."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if str((folder / "ns/mnt").readlink()) == namespace:
                found.append(int(folder.name))
        except OSError:
            continue  # ended meanwhile, or somebody else's
    return found


def wait_for(process: int) -> None:
    """Wait until a process that is no child of this one has ended."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return
    try:
        assert select.select([handle], [], [], 30)[0], f"process {process} lives on"
    finally:
        os.close(handle)


@pytest.mark.slow
@pytest.mark.realtool
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_story_that_is_stopped_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals
) -> None:
    before = mounts()
    with subprocess.Popen(
        COMMAND,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test runner in the background may ignore SIGINT, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "qemu-img convert" in line:
                break
        else:
            process.wait()
            if process.returncode == story.NO_STAGE:
                pytest.skip(process.stderr.read().strip())
            pytest.fail(process.stderr.read())
        namespace = str(Path(f"/proc/{process.pid}/ns/mnt").readlink())
        process.send_signal(number)
        process.communicate(timeout=SECONDS_MAX)
    assert process.returncode in (-number, 128 + number)
    assert namespace != str(Path("/proc/self/ns/mnt").readlink())
    for left in processes_in(namespace):
        wait_for(left)
    assert processes_in(namespace) == []
    assert mounts() == before
    assert list(tmp_path.iterdir()) == []


LONG_JOB = """
from pathlib import Path
from tests.story import jobs

jobs.tool(Path.cwd(), "sh", "-c", "echo $$ > {fifo}; exec cat {fifo}")
"""


def test_tool_ends_with_the_story_that_started_it(tmp_path: Path) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("not installed: setpriv")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen((sys.executable, "-c", LONG_JOB.format(fifo=fifo)), cwd=ROOT) as process:
        tool = int(fifo.read_text())
        process.kill()
    try:
        wait_for(tool)
    except AssertionError:
        os.kill(tool, signal.SIGKILL)
        raise


TRY_THE_STAGE = """
import os
from tests.story import stage

def room():
    found = os.statvfs(built.backups)
    return found.f_blocks * found.f_frsize

built = stage.build({kind!r}, 8 << 20)
assert 8 << 20 <= room() < 9 << 20, room()
file = built.backups / "a"
file.write_bytes(b"kept" * 1000)
os.utime(file, (1e9, 1e9))
try:
    (built.backups / "b").write_bytes(bytes(12 << 20))
except OSError as error:
    assert error.errno == 28, error
else:
    raise AssertionError("more than there is room for")
(built.backups / "b").unlink()
stage.resize(built, 16 << 20)
assert 16 << 20 <= room() < 17 << 20, room()
assert file.read_bytes() == b"kept" * 1000
assert file.stat().st_mtime == 1e9
(built.backups / "b").write_bytes(bytes(12 << 20))
"""


@pytest.mark.realtool
@pytest.mark.parametrize("kind", [stage.TMPFS, stage.LOOP])
def test_stage_is_as_large_as_asked_for_and_grows_with_its_files(kind: str) -> None:
    reason = stage.missing_tool() or stage.refused(kind)
    if reason is not None:
        pytest.skip(reason)
    trial = (sys.executable, "-c", TRY_THE_STAGE.format(kind=kind))
    done = subprocess.run(
        (*stage.NAMESPACES[kind], *trial), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_without_its_tools_the_story_is_skipped_with_a_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stage.shutil, "which", lambda name: None if "qemu" in name else name)
    assert story.main([]) == story.NO_STAGE
    assert capsys.readouterr().err == ("no stage for the story: not installed: qemu-img, qemu-io\n")


def test_where_no_stage_is_allowed_every_refusal_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stage, "missing_tool", lambda: None)
    monkeypatch.setattr(stage, "refused", lambda kind: f"{kind} is not for you")
    assert story.main([]) == story.NO_STAGE
    assert capsys.readouterr().err == (
        "no stage for the story: tmpfs: tmpfs is not for you; loop: loop is not for you\n"
    )


def test_stage_never_covers_the_program_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "PLACES", ("/", str(ROOT), "/no/such/place"))
    with pytest.raises(stage.StageError, match="can be mounted over"):
        stage.place()
