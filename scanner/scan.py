"""Steer one scan: survey the repositories, read what must be read, conclude, judge."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import formats
from scanner.clock import Clock
from scanner.config import Settings
from scanner.engine.lanes import Lane
from scanner.engine.storage import FileStorage, Opener
from scanner.engine.work import Job
from scanner.errors import NotThereError
from scanner.judge.cases import cases, shelve
from scanner.judge.judge import Vocabulary, judge
from scanner.judge.model import Judgement
from scanner.ledger.lock import RepositoryLock
from scanner.ledger.rows import Baseline, KnownFile, RepositoryRow
from scanner.ledger.store import Ledger
from scanner.progress import Watcher
from scanner.recording import RunRecorder, Writer
from scanner.results import FileState, Stamps, UnitResult
from scanner.sets import Place, conclude_set, whole
from scanner.survey.choose import must_read, present_revision, renamed
from scanner.survey.filesystems import SYSTEM_ROOT, place_of, rotational
from scanner.survey.walk import Seen, Survey, relative, walk


@dataclass(frozen=True, slots=True)
class Scope:
    """A part of a repository that one scan looks at; ``path`` lies in ``root``."""

    repository: RepositoryRow
    root: Path
    path: Path


@dataclass(frozen=True, slots=True)
class ScanOutcome:
    """What a scan did, and the judgement at its end."""

    repositories: tuple[RepositoryRow, ...]
    started_at: datetime
    finished_at: datetime
    files: int
    bytes_read: int
    interrupted: bool
    bugs: int
    judgement: Judgement
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tools:
    """What the steps of a scan share."""

    ledger: Ledger
    settings: Settings
    watcher: Watcher
    stop: threading.Event
    clock: Clock
    opener: Opener


@dataclass
class Run:
    """One repository in one scan."""

    scope: Scope
    recorder: RunRecorder
    run_id: int
    survey: Survey
    known: dict[str, KnownFile]
    chosen: list[Seen]


def scan(
    paths: Sequence[Path],
    ledger: Ledger,
    settings: Settings,
    *,
    watcher: Watcher,
    stop: threading.Event,
    clock: Clock,
    opener: Opener = FileStorage,
) -> ScanOutcome:
    """Scan everything under ``paths``.

    Raises `NotThereError` for a path that is not there, `LockedError` when another run holds one
    of the repositories, and the ledger's own errors.
    """
    tools = Tools(ledger, settings, watcher, stop, clock, opener)
    started_at = clock()
    scopes = [find_scope(path, ledger) for path in paths]
    repositories = tuple({scope.repository.id: scope.repository for scope in scopes}.values())
    with ExitStack() as locks:
        for row in repositories:
            lock = RepositoryLock.take(
                ledger.path, row.filesystem, row.root, Path(row.path), started_at
            )
            locks.callback(lock.close)
        runs = read_all(scopes, tools)
        for run in runs:
            mark_gone(run, tools)
        if not stop.is_set():
            for repository in repositories:
                conclude_sets(repository, tools)
        judgement = judge_ledger(ledger, repositories, clock(), settings=settings)
        finish_runs(runs, judgement, tools)
    return ScanOutcome(
        repositories,
        started_at,
        clock(),
        sum(len(run.survey.files) for run in runs),
        sum(run.recorder.bytes_read for run in runs),
        stop.is_set(),
        sum(run.recorder.bugs for run in runs),
        judgement,
        tuple(note for run in runs for note in notes_of(run)),
    )


def find_scope(path: Path, ledger: Ledger) -> Scope:
    """Return what a path on the command line means.

    Inside a repository that is known already it is a part of that repository; otherwise it is a
    repository of its own (for a single file: the folder it lies in).
    """
    try:
        real = path.resolve(strict=True)
    except OSError as error:
        message = f"{str(path)!r}: {error.strerror}"
        raise NotThereError(message) from error
    place = place_of(real)
    known = [
        row
        for row in ledger.repositories()
        if row.filesystem == place.filesystem and Path(place.root).is_relative_to(row.root)
    ]
    if known:
        row = max(known, key=lambda item: len(item.root))
        inside = Path(place.root).relative_to(row.root)
        root = real
        for _part in inside.parts:
            root = root.parent
        return Scope(ledger.repository(row.filesystem, row.root, str(root)), root, real)
    folder = real if real.is_dir() else real.parent
    at = place_of(folder)
    return Scope(ledger.repository(at.filesystem, at.root, str(folder)), folder, real)


def read_all(scopes: Sequence[Scope], tools: Tools) -> list[Run]:
    """Survey all scopes, then read what must be read, one lane per device."""
    writer = Writer(tools.ledger, tools.stop)
    try:
        runs = [begin_run(scope, writer, tools) for scope in scopes]
        announce(runs, tools)
        read_lanes(runs, tools)
    finally:
        writer.close()
    return runs


def begin_run(scope: Scope, writer: Writer, tools: Tools) -> Run:
    """Survey one scope and choose the files to read."""
    ledger, repository = tools.ledger, scope.repository
    run_id = ledger.begin_run(repository.id, tools.clock())
    skip = frozenset({ledger.path.resolve().parent})
    survey = walk(scope.root, scope.path, tools.settings.excludes, skip)
    known = dict(ledger.known_files(repository.id))
    whole_repository = scope.path == scope.root
    moves = renamed(survey.files, known) if whole_repository else {}
    if moves:
        ledger.rename(repository.id, moves)
        known = dict(ledger.known_files(repository.id))
    ledger.mark_seen(run_id, repository.id, [seen.path for seen in survey.files])
    now = tools.clock()
    chosen = [
        seen
        for seen in survey.files
        if tools.settings.reread
        or must_read(seen, known.get(seen.path), now, tools.settings.max_proof_age)
    ]
    recorder = RunRecorder(writer, ledger, repository.id, run_id)
    return Run(scope, recorder, run_id, survey, known, chosen)


def announce(runs: Sequence[Run], tools: Tools) -> None:
    """Say how much there is to do."""
    chosen = [seen for run in runs for seen in run.chosen]
    tools.watcher.surveyed(len(chosen), sum(seen.stamps.size for seen in chosen))


def read_lanes(runs: Sequence[Run], tools: Tools) -> None:
    """Read the chosen files: every device at its own pace, all devices at once."""
    lanes: list[tuple[Lane, int]] = []
    for run in runs:
        by_device: dict[int, list[Seen]] = {}
        for seen in run.chosen:
            by_device.setdefault(seen.device, []).append(seen)
        for device, files in by_device.items():
            jobs = (job_for(run, seen, tools) for seen in files)
            lane = Lane(
                jobs,
                run.recorder,
                tools.watcher,
                tools.settings,
                tools.clock,
                tools.stop,
                tools.opener,
            )
            lanes.append((lane, workers_for(device, tools.settings)))
    threads = [
        threading.Thread(target=lane.run, args=(workers,), name=f"lane-{index}")
        for index, (lane, workers) in enumerate(lanes)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for lane, _workers in lanes:
        if lane.failure is not None:
            raise lane.failure


def workers_for(device: int, settings: Settings) -> int:
    """Return how many threads read one device: a spinning disk wants its head to move forward."""
    if settings.jobs is not None:
        return settings.jobs
    number = f"{os.major(device)}:{os.minor(device)}"
    return 1 if rotational(number, SYSTEM_ROOT) else os.cpu_count() or 1


def job_for(run: Run, seen: Seen, tools: Tools) -> Job:
    """Return what the engine must know to read a file."""
    repository_id = run.scope.repository.id
    known = run.known.get(seen.path)

    def recorded(stamps: Stamps, name: str | None, _revision: int | None) -> tuple[UnitResult, ...]:
        if known is None or known.state not in (FileState.READING, FileState.REFUSED):
            return ()
        same = known.stamps.same_content(stamps) and known.format == name
        if not same or known.format_revision != present_revision(name):
            return ()
        return tools.ledger.recorded_units(repository_id, seen.path)

    def baseline(identity_key: str | None) -> Baseline | None:
        return tools.ledger.baseline(repository_id, seen.path, identity_key)

    return Job(run.scope.root, seen.path, seen.stamps, recorded, baseline)


def mark_gone(run: Run, tools: Tools) -> None:
    """Record which files are not there any more, as far as the survey could look."""
    scope = relative(run.scope.root, run.scope.path)
    hidden = [path for path, _reason in run.survey.unreadable]
    tools.ledger.mark_gone(run.scope.repository.id, run.run_id, [scope], hidden)


def conclude_sets(repository: RepositoryRow, tools: Tools) -> None:
    """Judge images that lie in several files and are complete now."""
    ledger = tools.ledger
    shelf = shelve([repository], ledger.files([repository.id]), ledger.images([repository.id]), ())
    place = Place(Path(repository.path), tools.opener)
    for case in cases(shelf, supported_names()):
        if not whole(case):
            continue
        evidence = conclude_set(case, ledger, place)
        if evidence is not None:
            ledger.record_joint(case.key, evidence, tools.clock())


def judge_ledger(
    ledger: Ledger,
    repositories: Sequence[RepositoryRow],
    now: datetime,
    *,
    settings: Settings | None = None,
    acknowledged: frozenset[str] = frozenset(),
) -> Judgement:
    """Judge what the ledger knows; nothing in a repository is touched."""
    assert now.tzinfo is not None
    numbers = [repository.id for repository in repositories]
    vocabulary = Vocabulary(supported_names(), frozenset(formats.suffixes()))
    return judge(
        repositories,
        ledger.files(numbers),
        ledger.images(numbers),
        ledger.evidence(numbers),
        vocabulary,
        (settings or Settings()).settle,
        acknowledged,
    )


def supported_names() -> frozenset[str]:
    """Return the names of the formats that are read, not only recognised."""
    return frozenset(item.name for item in formats.FORMATS if item.supported)


def finish_runs(runs: Sequence[Run], judgement: Judgement, tools: Tools) -> None:
    """Record the verdicts and the end of each run."""
    for run in runs:
        repository_id = run.scope.repository.id
        tools.ledger.save_verdicts(repository_id, judgement, tools.clock())
        tools.ledger.end_run(
            run.run_id,
            tools.clock(),
            len(run.survey.files),
            run.recorder.bytes_read,
            None,
        )


def notes_of(run: Run) -> Iterator[str]:
    """Yield what the operator should know of a survey."""
    for path, reason in run.survey.unreadable:
        yield f"{str(run.scope.root / path)!r} could not be read: {reason}"
    if run.survey.linked:
        count = len(run.survey.linked)
        yield f"{count} further names of hard-linked files were not read again"
