"""Whole scans of a small repository, with a clock that stands until told and a ledger beside it."""

import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

from formats.core.model import Evidence, Format, WriteModel
from scanner.config import MIB, Settings
from scanner.judge.model import JudgedImage, JudgedOther, Verdict
from scanner.ledger.rows import FileRow
from scanner.ledger.store import Ledger
from scanner.progress import Silent, Watcher
from scanner.scan import ScanOutcome, scan
from tests.faulty import Faults, FaultyOpener
from tests.scanner.engine import toys
from tests.scanner.engine.runs import coordinates, speaking

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
WRITTEN = START - timedelta(days=10)
SOUND = (Verdict.SOUND, "proven")
ONCE = replace(toys.DISK, write_model=WriteModel.WRITE_ONCE)
GROWING = replace(toys.DISK, write_model=WriteModel.APPEND_ONLY)
SMALL = Settings(jobs=2, unit_bytes=MIB, window_bytes=256 * 1024)

# What is another one in every run, or says when: all else must be the same in any two.
PASSING = ("_at", "_id", "_us", "since", "seconds", "bytes_read", "run", "gone")


@dataclass
class Clock:
    """The time, which goes on when told."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def wait(self, **time: float) -> None:
        self.now += timedelta(**time)


@dataclass
class Bench:
    """A repository, formats that are known, and a ledger that lies elsewhere."""

    folder: Path
    subjects: Sequence[Format] | None = None
    clock: Clock = field(default_factory=Clock)
    faults: dict[str, Faults] = field(default_factory=dict)
    settings: Settings = SMALL

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    @property
    def ledger_path(self) -> Path:
        return self.folder / "state" / "ledger.sqlite"

    def put(self, name: str, content: bytes, *, written: datetime = WRITTEN) -> Path:
        """Write a file and give it an old time."""
        path = self.repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        stamp = int(written.timestamp())
        os.utime(path, (stamp, stamp))
        return path

    def rot(self, name: str, offset: int) -> None:
        """Change one byte as a dying disk does: size, times and inode stay."""
        path = self.repository / name
        status = path.stat()
        with path.open("r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 0x40]))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    def scan(
        self,
        *paths: Path,
        settings: Settings | None = None,
        stop: Event | None = None,
        watcher: Watcher | None = None,
    ) -> ScanOutcome:
        """Scan the repository, or some paths."""
        opener = FaultyOpener(self.faults)
        with self.ledger() as ledger, self.speaking():
            try:
                return scan(
                    paths or (self.repository,),
                    ledger,
                    settings or self.settings,
                    watcher=watcher or Silent(),
                    stop=stop or Event(),
                    clock=self.clock,
                    opener=opener,
                )
            finally:
                assert opener.opened == opener.closed, "files left open"

    def ledger(self) -> Ledger:
        return Ledger.open(self.ledger_path, self.clock)

    def files(self) -> Mapping[str, FileRow]:
        with self.ledger() as ledger:
            numbers = [row.id for row in ledger.repositories()]
            return {row.path: row for row in ledger.files(numbers)}

    def rows(self, *views: str) -> list[tuple]:
        """Return the ledger's views without what differs from run to run."""
        views = views or ("v_files", "v_images", "v_chains", "v_findings")
        with closing(sqlite3.connect(self.ledger_path)) as db:
            return [row for view in views for row in lasting(db, view)]

    @contextmanager
    def speaking(self):
        if self.subjects is None:
            yield
            return
        with speaking(*self.subjects):
            yield


def lasting(db: sqlite3.Connection, view: str) -> list[tuple]:
    names = [item[1] for item in db.execute(f"PRAGMA table_info({view})")]
    kept = [name for name in names if not any(part in name for part in PASSING)]
    columns = ", ".join(f'"{name}"' for name in kept)
    found = db.execute(f"SELECT {columns} FROM {view}")  # noqa: S608 - names from the ledger itself
    return sorted(((view, *row) for row in found), key=str)


def of(outcome: ScanOutcome, path: str) -> JudgedImage:
    (found,) = [item for item in outcome.judgement.images if item.path == path]
    return found


def other(outcome: ScanOutcome, path: str) -> JudgedOther:
    (found,) = [item for item in outcome.judgement.others if item.file.path == path]
    return found


def ruled(outcome: ScanOutcome, path: str) -> tuple[Verdict, str]:
    ruling = of(outcome, path).ruling
    return ruling.verdict, ruling.rule


def news(item: JudgedImage | JudgedOther) -> list[tuple[str, str, int | None, int | None]]:
    """Return check, outcome and place of the bad evidence about an image or a file."""
    rows: list[Evidence] = [row.evidence for row in item.evidence]
    return coordinates(rows)


def chain(bench: Bench) -> None:
    """Put a full and two increments there, and a file that is no backup."""
    bench.put("vm/full.disk", toys.disk("full"))
    bench.put("vm/one.disk", toys.disk("one", "full"))
    bench.put("vm/two.disk", toys.disk("two", "one", 10))
    bench.put("notes.txt", b"written by hand")
