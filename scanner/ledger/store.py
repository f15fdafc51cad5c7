"""The ledger: what is remembered from scan to scan, in one SQLite file.

There is one writing connection; who writes holds it for a whole transaction, so results can be
committed in groups. Everybody else reads through a second connection, which sees what is
committed. Inside a transaction its own thread also reads what it has just written.

The ledger never touches a repository: it is told about files, it does not look at them.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from formats.core.model import Evidence, Tally
from scanner.clock import Clock
from scanner.judge.model import Judgement
from scanner.judge.sources.outlook import Outlook
from scanner.ledger import (
    baselines,
    evidence,
    files,
    finish,
    history,
    images,
    reads,
    runs,
    standing,
    units,
    verdicts,
    whole,
)
from scanner.ledger.errors import LedgerStorageError
from scanner.ledger.opening import connect_reader, open_writer, require_file, storage_errors
from scanner.ledger.packing import to_us
from scanner.ledger.rows import (
    AcknowledgementRow,
    Baseline,
    EvidenceRow,
    FileRow,
    HistoryRow,
    ImageRow,
    KnownFile,
    RepositoryRow,
    RunRow,
    SpaceRow,
)
from scanner.results import FileResult, Stamps, UnitResult


class Ledger:
    """An open ledger. Every method raises `LedgerStorageError` where the disk lets it down.

    ``notes`` is what the operator should be told about opening it.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        writer: sqlite3.Connection,
        reader: sqlite3.Connection,
        notes: tuple[str, ...],
    ) -> None:
        self.path = path
        self.notes = notes
        self._clock = clock
        self._writer = writer
        self._reader = reader
        self._write_lock = threading.RLock()
        self._read_lock = threading.Lock()
        self._writing_thread: int | None = None

    @classmethod
    def open(cls, path: Path, clock: Clock, *, create: bool = True) -> Self:
        """Open a ledger, make it where there is none, and set a broken one aside.

        Raises `NotThereError` for a missing one where ``create`` is False, `LedgerForeignError`
        for one of a newer version and for files that are no ledger, `LedgerPlaceError` where no
        file can be made.
        """
        if not create:
            require_file(path)
        with storage_errors(path):
            try:
                writer, notes = open_writer(path, clock())
            except OSError as error:
                message = f"ledger {str(path)!r}: {error.strerror}"
                raise LedgerStorageError(message) from error
            try:
                return cls(path, clock, writer, connect_reader(path), notes)
            except BaseException:
                writer.close()
                raise

    def close(self) -> None:
        """Close both connections; the journal is folded into the file."""
        with self._write_lock, self._read_lock:
            self._reader.close()
            with storage_errors(self.path):
                self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all writes of the block together, or none where it raises; blocks may nest.

        Other threads that write wait for the end of the block.
        """
        with self._writing():
            yield

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Give the writing connection, inside a transaction."""
        with self._write_lock, storage_errors(self.path):
            if self._writing_thread is not None:
                yield self._writer
                return
            self._writer.execute("BEGIN IMMEDIATE")
            self._writing_thread = threading.get_ident()
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                # A full disk may have ended the transaction already.
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            finally:
                self._writing_thread = None

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection to read from: the writing one to the thread that is writing."""
        if self._writing_thread == threading.get_ident():
            with storage_errors(self.path):
                yield self._writer
            return
        with self._read_lock, storage_errors(self.path):
            yield self._reader

    # Repositories and runs

    def repository(self, filesystem: str, root: str, path: str) -> RepositoryRow:
        """Return a repository by its file system and the folder in it; enter it if it is new.

        ``path`` is where it is mounted today, and replaces where it was.
        """
        with self._writing() as db:
            return runs.enter_repository(db, filesystem, root, path)

    def repositories(self) -> tuple[RepositoryRow, ...]:
        """Return all repositories, in the order they were first scanned."""
        with self._reading() as db:
            return runs.read_repositories(db)

    def begin_run(self, repository_id: int, started_at: datetime) -> int:
        """Return the number of a new run."""
        with self._writing() as db:
            return runs.begin(db, repository_id, started_at)

    def end_run(
        self,
        run_id: int,
        finished_at: datetime,
        files: int,
        bytes_read: int,
        exit_code: int | None,
    ) -> None:
        """Write how a run ended. A run that was killed stays without an end."""
        with self._writing() as db:
            runs.end(db, run_id, finished_at, files, bytes_read, exit_code)

    def set_exit_code(self, run_id: int, exit_code: int) -> None:
        """Write what a run exited with: known only when its report is made."""
        with self._writing() as db:
            runs.set_exit_code(db, run_id, exit_code)

    def runs(self, repository_id: int, limit: int = 1) -> tuple[RunRow, ...]:
        """Return the newest runs of a repository, newest first."""
        with self._reading() as db:
            return runs.read_runs(db, repository_id, limit)

    # The survey

    def known_files(self, repository_id: int) -> Mapping[str, KnownFile]:
        """Return every file ever seen in a repository by its path, gone ones too."""
        with self._reading() as db:
            return files.known(db, repository_id)

    def mark_seen(self, run_id: int, repository_id: int, paths: Iterable[str]) -> None:
        """Write that this run's survey found these files, unchanged or not.

        Say it of all known files before the first is read: `baseline` takes a file that was not
        seen for one that may have been moved. Paths the ledger does not know are skipped.
        """
        now_us = to_us(self._clock())
        with self._writing() as db:
            files.see(db, run_id, repository_id, paths, now_us)

    def mark_gone(
        self,
        repository_id: int,
        run_id: int,
        under: Sequence[str],
        except_under: Sequence[str] = (),
    ) -> tuple[str, ...]:
        """Mark files gone that this run looked for and has not seen; return their paths.

        It looked under ``under`` (folders or single files, "" is the whole repository), and could
        not look under ``except_under``.
        """
        now_us = to_us(self._clock())
        with self._writing() as db:
            return files.miss(db, repository_id, run_id, under, except_under, now_us)

    def rename(self, repository_id: int, moves: Mapping[str, str]) -> None:
        """Give files their new paths (old to new), all at once; they keep everything.

        Names may be exchanged or handed on. What was known of a file at a new path that did not
        itself move is dropped.
        """
        with self._writing() as db:
            files.move(db, repository_id, moves)
            history.move(db, repository_id, moves)

    def enter_new(
        self, repository_id: int, run_id: int, found: Iterable[tuple[str, Stamps]]
    ) -> None:
        """Enter files the ledger has never seen; all of them are still to be read."""
        now_us = to_us(self._clock())
        with self._writing() as db:
            files.enter_new(db, repository_id, run_id, found, now_us)

    # The engine

    def start_file(
        self,
        repository_id: int,
        run_id: int,
        path: str,
        stamps: Stamps,
        format_name: str | None,
        format_revision: int | None,
    ) -> None:
        """Write that a file is being read from now on.

        Its recorded units survive where stamps, format and revision are those they were recorded
        with. Leave the transaction before other threads ask for `recorded_units`.
        """
        now_us = to_us(self._clock())
        with self._writing() as db:
            file_id = files.enter(db, repository_id, run_id, path, stamps, now_us)
            files.start(db, file_id, stamps, format_name, format_revision)

    def record_unit(self, repository_id: int, path: str, unit: UnitResult) -> None:
        """Write one unit of a file that was started; once committed it need not be read again."""
        with self._writing() as db:
            file_id = files.find(db, repository_id, path)
            assert file_id is not None, path
            units.record(db, file_id, unit)

    def recorded_units(self, repository_id: int, path: str) -> tuple[UnitResult, ...]:
        """Return the units of a file whose reading is not finished, by offset."""
        with self._reading() as db:
            file_id = files.find(db, repository_id, path)
            return () if file_id is None else units.recorded(db, file_id)

    def finish_file(self, repository_id: int, run_id: int, result: FileResult) -> None:
        """Replace what is known of a file by this result, and settle its baseline.

        Evidence is dated by the oldest byte of the reading. A file that was refused without a look
        inside keeps its images, its evidence about them and its units.
        """
        now_us = to_us(self._clock())
        with self._writing() as db:
            file_id = files.enter(db, repository_id, run_id, result.path, result.stamps, now_us)
            finish.finish(db, file_id, result, now_us)

    def finish_whole(
        self, repository_id: int, run_id: int, result: FileResult, read: Sequence[UnitResult]
    ) -> None:
        """Write a file of which no unit was recorded yet: start, units and finish in one step."""
        now_us = to_us(self._clock())
        with self._writing() as db:
            whole.write(db, repository_id, run_id, result, read, now_us)

    def baseline(self, repository_id: int, path: str, identity_key: str | None) -> Baseline | None:
        """Return what to compare a file with, or None where nothing is remembered.

        First choice is a baseline of the same images: at this path, else of a file the newest run
        has not seen any more. Without one it is whatever lay at this path.
        """
        with self._reading() as db:
            return baselines.read(db, repository_id, path, identity_key)

    # Sets of pieces

    def tallies(self, image_id: int) -> Tally:
        """Return what was counted in one piece of an image; empty once nothing is kept."""
        with self._reading() as db:
            return units.image_tally(db, image_id)

    def unreadable(self, image_id: int) -> tuple[tuple[int, int], ...]:
        """Return the (offset, length) ranges the storage refused in one piece's file."""
        with self._reading() as db:
            return units.image_gaps(db, image_id)

    def record_joint(self, image_id: int, rows: tuple[Evidence, ...], found_at: datetime) -> None:
        """Replace what all pieces of an image showed together; filed with the piece given."""
        with self._writing() as db:
            finish.record_joint(db, image_id, rows, to_us(found_at))

    # The judge

    def files(self, repository_ids: Sequence[int]) -> tuple[FileRow, ...]:
        """Return all files of some repositories, gone ones too, by path."""
        with self._reading() as db:
            return reads.files(db, repository_ids)

    def images(self, repository_ids: Sequence[int]) -> tuple[ImageRow, ...]:
        """Return all images of some repositories, by path and place in the file."""
        with self._reading() as db:
            return images.read(db, repository_ids)

    def evidence(self, repository_ids: Sequence[int]) -> tuple[EvidenceRow, ...]:
        """Return all evidence of some repositories, in the order it was recorded."""
        with self._reading() as db:
            return evidence.read(db, repository_ids)

    def history(self, repository_ids: Sequence[int]) -> tuple[HistoryRow, ...]:
        """Return what images of some repositories measured, also gone ones, as it was seen."""
        with self._reading() as db:
            return history.read(db, repository_ids)

    def save_space(self, space: SpaceRow) -> None:
        """Replace what is known of the space a repository has."""
        with self._writing() as db:
            history.write_space(db, space)

    def mark_cramped(self, repository_id: int, paths: Iterable[str]) -> None:
        """Write that no room was left right after these files were last written.

        It holds for their present content, however much room there will be.
        """
        with self._writing() as db:
            files.mark_cramped(db, repository_id, paths)

    def spaces(self, repository_ids: Sequence[int]) -> tuple[SpaceRow, ...]:
        """Return the space of some repositories, as far as it was measured."""
        with self._reading() as db:
            return history.read_spaces(db, repository_ids)

    def traceback(self, file_id: int) -> str | None:
        """Return the error of ours that was met while a file was read, if any."""
        with self._reading() as db:
            return reads.traceback(db, file_id)

    def save_verdicts(self, repository_id: int, judgement: Judgement, judged_at: datetime) -> None:
        """Replace all verdicts of a repository; images of other repositories are passed over."""
        with self._writing() as db:
            verdicts.save(db, repository_id, judgement, judged_at)

    def save_outlook(self, outlook: Outlook, judged_at: datetime) -> None:
        """Replace how all sources stand."""
        with self._writing() as db:
            standing.save(db, outlook, judged_at)

    def acknowledge(
        self,
        finding_id: str,
        until: datetime,
        reason: str,
        made_at: datetime,
        *,
        derived: bool = False,
    ) -> None:
        """Accept a finding until a day. Raises `NotThereError` for one the ledger does not know.

        ``derived`` is for what follows from rows and stands in none: warnings about a database.
        """
        with self._writing() as db:
            if not derived:
                verdicts.require_finding(db, finding_id)
            verdicts.acknowledge(db, finding_id, until, reason, made_at)

    def acknowledgements(self, now: datetime) -> tuple[AcknowledgementRow, ...]:
        """Return what is accepted now; expired ones are left out."""
        with self._reading() as db:
            return verdicts.acknowledgements(db, now)
