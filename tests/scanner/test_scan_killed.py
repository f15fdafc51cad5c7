"""``kill -9`` of a real process at many moments, then again: the same rows as undisturbed, and
nothing read twice that was recorded. And what a scan does to files, by the kernel's own account.
"""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from scanner.config import MIB
from tests.samples import FIXTURES
from tests.scanner import killed
from tests.scanner.engine import toys
from tests.scanner.scans import Bench
from tests.sources import unpack

ROOT = Path(__file__).parents[2]
WORKERS = killed.SETTINGS.jobs
UNIT = killed.SETTINGS.unit_bytes

# Name, parent, and blocks of a KiB: 100 MiB in all.
DISKS = [("full", "", 64_000), ("one", "full", 24_000), ("two", "one", 9_000), ("tiny", "two", 5)]
SMALL = frozenset({"tiny.disk", "notes.txt"})
UNITS = sum(-(-(blocks * 1024 + 4096) // MIB) for _, _, blocks in DISKS)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bench = Bench(tmp_path_factory.mktemp("killed"))
    for name, parent, blocks in DISKS:
        bench.put(f"{name}.disk", toys.disk(name, parent, blocks))
    bench.rot("one.disk", 3 * MIB + 5)
    bench.put("notes.txt", b"by hand")
    return bench.repository


@pytest.fixture(scope="module")
def undisturbed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple]:
    bench = Bench(tmp_path_factory.mktemp("undisturbed"), [toys.DISK], settings=killed.SETTINGS)
    bench.scan(repository)
    return bench.rows()


def start(*arguments: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "tests.scanner.killed", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=120,
    )


def recorded(ledger: Path) -> set[tuple[str, int]]:
    """Return the units that need not be read again: those on record, and all of finished files."""
    with closing(sqlite3.connect(ledger)) as db:
        units = db.execute("SELECT f.path, u.offset FROM units u JOIN files f ON f.id = u.file_id")
        found = {(path, offset) for path, offset in units}
        done = [path for (path,) in db.execute("SELECT path FROM files WHERE state = 'read'")]
    sizes = {f"{name}.disk": blocks * 1024 + 4096 for name, _, blocks in DISKS} | {"notes.txt": 7}
    return found | {(path, at) for path in done for at in range(0, sizes[path], UNIT)}


def units_read(log: Path) -> Counter[tuple[str, int]]:
    """Return how many bytes of each unit were read."""
    found: Counter[tuple[str, int]] = Counter()
    for line in log.read_text().splitlines():
        name, offset, length = line.rsplit(" ", 2)
        found[name, int(offset) // UNIT * UNIT] += int(length)
    return found


MOMENTS = [
    ("reading", 40),
    ("reading", 190),
    ("writing", 33),
    ("finishing", 3),
]


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "number"), MOMENTS)
def test_a_killed_scan_goes_on_where_it_was(repository, undisturbed, tmp_path, moment, number):
    bench = Bench(tmp_path, [toys.DISK], settings=killed.SETTINGS)
    log, second = tmp_path / "first", tmp_path / "second"
    died = start(repository, bench.ledger_path, log, moment, number)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    before, kept = units_read(log), recorded(bench.ledger_path)
    killed.run(repository, bench.ledger_path, second, "never", 0)
    again = units_read(second)
    assert bench.rows() == undisturbed
    # The damaged unit is read a second time by doubt; past the cache, so not in the log.
    assert set(again) == all_units() - kept
    lost = set(before) & set(again)
    if moment == "reading":
        # Small files are handed over together, so some of them may be lost at once.
        assert len({unit for unit in lost if unit[0] not in SMALL}) <= WORKERS
    assert len(set(before) | set(again)) == UNITS + 1


def all_units() -> set[tuple[str, int]]:
    sizes = {f"{name}.disk": blocks * 1024 + 4096 for name, _, blocks in DISKS} | {"notes.txt": 7}
    return {(name, at) for name, size in sizes.items() for at in range(0, size, UNIT)}


@pytest.mark.slow
def test_a_scan_killed_again_and_again_comes_to_its_end(repository, undisturbed, tmp_path):
    bench = Bench(tmp_path, [toys.DISK], settings=killed.SETTINGS)
    log = tmp_path / "log"
    deaths = 0
    while start(repository, bench.ledger_path, log, "reading", 60).returncode:
        deaths += 1
        assert deaths <= 5, "no progress from one death to the next"
    assert deaths >= 3
    assert bench.rows() == undisturbed
    read_twice = sum(units_read(log).values()) - sum(blocks * 1024 + 4096 for _, _, blocks in DISKS)
    assert read_twice <= deaths * WORKERS * UNIT


# By the kernel's own account

FORBIDDEN = re.compile(
    r"\b(creat|rename\w*|unlink\w*|rmdir|mkdir\w*|link\w*|symlink\w*|mknod\w*|\w*chmod\w*|"
    r"\w*chown\w*|utime\w*|futimesat|truncate|ftruncate|\w*setxattr|\w*removexattr|fallocate)\("
)
OPENING = re.compile(r"\bopen(?:at2?)?\(")
TO_WRITE = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND")
TRACED = (
    "open,openat,openat2,creat,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,link,"
    "linkat,symlink,symlinkat,mknod,mknodat,chmod,fchmod,fchmodat,chown,fchown,lchown,fchownat,"
    "utime,utimes,futimesat,utimensat,truncate,ftruncate,setxattr,fsetxattr,lsetxattr,removexattr,"
    "fremovexattr,lremovexattr,fallocate,mmap"
)


def traced(tmp_path: Path, *command: str) -> Iterator[str]:
    """Yield the system calls of a command that concern files."""
    log = tmp_path / "strace"
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "HOME": str(tmp_path / "home")}
    done = subprocess.run(
        ["strace", "-f", "-y", "-s", "300", "-e", f"trace={TRACED}", "-o", str(log), *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
        timeout=300,
    )
    text = log.read_text(errors="replace") if log.exists() else ""
    if "exited with" not in text:
        pytest.skip(f"strace cannot trace here: {done.stderr.decode()[-200:]}")
    assert done.returncode in (3, 4, 5), done.stderr.decode()
    yield from text.splitlines()


@pytest.mark.realtool
@pytest.mark.slow
def test_strace_sees_no_write_outside_of_the_ledgers_folder(tmp_path):
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    bench = Bench(tmp_path)
    samples = [item for item in sorted(FIXTURES.rglob("*")) if item.suffix in {".xz", ".qcow2"}]
    for number, sample in enumerate(samples[:12]):
        source = unpack(sample)
        if source.size < 16 * MIB:
            bench.put(f"{number}/{sample.stem}", source.read_at(0, source.size))
    bench.put("full.disk", toys.disk("full"))
    for path in list(bench.repository.rglob("*.qcow2"))[:2]:
        bench.rot(str(path.relative_to(bench.repository)), 40)
    with (bench.repository / "sparse.img").open("wb") as file:
        file.truncate(64 * MIB)
    command = [sys.executable, "-m", "scanner", "scan", str(bench.repository), "--no-progress"]
    calls = list(traced(tmp_path, *command, "--ledger", str(bench.ledger_path)))
    state = str(bench.ledger_path.parent)
    assert any(is_write(call) for call in calls), "the ledger was written"
    wrong = [call for call in calls if is_write(call) and state not in call]
    assert [call for call in wrong if not in_devices(call)] == []
    repository = str(bench.repository)
    opened = [call for call in calls if OPENING.search(call) and repository in call]
    assert any("O_DIRECT" in call for call in opened), "nothing was in doubt"
    files = [call for call in opened if "O_DIRECTORY" not in call and " = -1" not in call]
    assert files
    assert all("O_NOFOLLOW" in call and "O_NOATIME" in call for call in files)
    assert not [call for call in calls if "mmap(" in call and repository in call]


def is_write(call: str) -> bool:
    if " = -1 " in call:
        return False
    return bool(FORBIDDEN.search(call) or (OPENING.search(call) and TO_WRITE.search(call)))


def in_devices(call: str) -> bool:
    return '"/dev/' in call or "</dev/" in call
