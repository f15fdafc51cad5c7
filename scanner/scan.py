"""Steer one scan: survey the repositories, read what must be read, conclude, judge."""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from scanner.clock import Clock
from scanner.config import (
    CRAMPED_APART,
    CRAMPED_BYTES_MAX,
    CRAMPED_SHARE_MAX,
    SMALL_FILE_BYTES_MAX,
    Settings,
)
from scanner.engine.lanes import Lane, guarded
from scanner.engine.storage import FileStorage, Opener
from scanner.engine.work import Job, bug
from scanner.judge.cases import cases, member_path, shelve
from scanner.judge.model import Judgement
from scanner.judging import judge_ledger, supported_names
from scanner.ledger.lock import RepositoryLock
from scanner.ledger.rows import Baseline, KnownFile, RepositoryRow, SpaceRow
from scanner.ledger.store import Ledger
from scanner.progress import Watcher
from scanner.recording import RunRecorder, Writer
from scanner.results import FileState, Stamps, UnitResult, stamps_of
from scanner.scopes import Scope, find_scopes, in_scope
from scanner.sets import Place, conclude_set, whole
from scanner.survey.choose import must_read, present_revision, renamed
from scanner.survey.filesystems import SYSTEM_ROOT, rotational
from scanner.survey.space import Space, space_at
from scanner.survey.walk import Seen, Survey, hidden_part, relative, walk

RESUMABLE = (FileState.READING, FileState.REFUSED)
NO_RUN = 0
"""Older than every run: what was seen last by it is missed by all."""


@dataclass(frozen=True, slots=True)
class ScanOutcome:
    """What a scan did, and the judgement of everything in its scope, and of the whole ledger.

    ``notes`` are things to look into, ``hints`` things to know.
    """

    repositories: tuple[RepositoryRow, ...]
    started_at: datetime
    finished_at: datetime
    files: int
    bytes_read: int
    interrupted: bool
    bugs: int
    judgement: Judgement
    whole: Judgement
    notes: tuple[str, ...]
    hints: tuple[str, ...]
    run_ids: tuple[int, ...]
    scopes: tuple[Scope, ...]


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
    scopes = find_scopes(paths, ledger)
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
            record_space(run, tools)
        bugs = sum(run.recorder.bugs for run in runs)
        if not stop.is_set():
            bugs += sum(conclude_sets(repository, tools) for repository in repositories)
        # An image may need one that lies in another repository of the same ledger.
        judgement = judge_ledger(ledger, ledger.repositories(), clock(), settings=settings)
        finish_runs(runs, judgement, tools)
    return ScanOutcome(
        repositories,
        started_at,
        clock(),
        sum(len(run.survey.files) for run in runs),
        sum(run.recorder.bytes_read for run in runs),
        stop.is_set(),
        bugs,
        in_scope(judgement, scopes),
        judgement,
        tuple(note for run in runs for note in notes_of(run)),
        tuple(hint for run in runs for hint in hints_of(run)),
        tuple(run.run_id for run in runs),
        tuple(scopes),
    )


def record_exit_code(ledger: Ledger, outcome: ScanOutcome, exit_code: int) -> None:
    """Write with which exit code a scan's runs ended."""
    for run_id in outcome.run_ids:
        ledger.set_exit_code(run_id, exit_code)


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
    survey = walk(scope.root, scope.path, tools.settings.excludes_of(scope.path), skip)
    known = dict(ledger.known_files(repository.id))
    whole_repository = scope.path == scope.root
    moves = renamed(survey.files, known) if whole_repository else {}
    if moves:
        ledger.rename(repository.id, moves)
        known = dict(ledger.known_files(repository.id))
    present = (*(seen.path for seen in survey.files), *survey.linked)
    ledger.mark_seen(run_id, repository.id, (path for path in present if path in known))
    now = tools.clock()
    chosen = [
        seen
        for seen in survey.files
        if tools.settings.reread
        or must_read(seen, known.get(seen.path), now, tools.settings.max_proof_age)
    ]
    chosen += owners_of_changed(chosen, survey, known, ledger, repository)
    enter_unread(chosen, known, run_id, ledger, repository)
    recorder = RunRecorder(writer, ledger, repository.id, run_id, survey.names_of())
    return Run(scope, recorder, run_id, survey, known, chosen)


def owners_of_changed(
    chosen: Sequence[Seen],
    survey: Survey,
    known: Mapping[str, KnownFile],
    ledger: Ledger,
    repository: RepositoryRow,
) -> list[Seen]:
    """Return the files whose image needs a second file that changed, came or went.

    What was found out about such an image rests on both files; its own stamps say nothing of the
    other one.
    """
    owning = [image for image in ledger.images([repository.id]) if image.members]
    if not owning:
        return []
    paths = {row.id: row.path for row in ledger.files([repository.id])}
    present = {seen.path: seen for seen in survey.files}
    changed = {seen.path for seen in chosen}
    lost = {
        path
        for path, item in known.items()
        if path not in present and path not in survey.linked and item.state is not FileState.GONE
    }
    owners = {
        paths[image.file_id]
        for image in owning
        for name in image.members
        if member_path(paths[image.file_id], name) in changed | lost
    }
    return [present[path] for path in sorted(owners - changed) if path in present]


def enter_unread(
    chosen: Sequence[Seen],
    known: Mapping[str, KnownFile],
    run_id: int,
    ledger: Ledger,
    repository: RepositoryRow,
) -> None:
    """Enter the files that are new or changed, so that a scan cut short has not overlooked them.

    Files with recorded units are left alone: they are entered as unread already.
    """
    with ledger.transaction():
        new = ((seen.path, seen.stamps) for seen in chosen if seen.path not in known)
        ledger.enter_new(repository.id, run_id, new)
        for seen in chosen:
            before = known.get(seen.path)
            if before is None or before.state in RESUMABLE:
                continue
            if not before.stamps.same_content(seen.stamps):
                ledger.start_file(repository.id, run_id, seen.path, seen.stamps, None, None)


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
            lane = Lane(
                jobs_of(run, files, tools),
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
    try:
        join(threads)
    except BaseException:
        # Whoever still reads hands over results, so the writer must outlive the readers.
        tools.stop.set()
        join(threads)
        raise
    for lane, _workers in lanes:
        if lane.failure is not None:
            raise lane.failure


def join(threads: Sequence[threading.Thread]) -> None:
    """Wait for the end of threads."""
    for thread in threads:
        thread.join()


def workers_for(device: int, settings: Settings) -> int:
    """Return how many threads read one device: a spinning disk wants its head to move forward."""
    if settings.jobs is not None:
        return settings.jobs
    number = f"{os.major(device)}:{os.minor(device)}"
    return 1 if rotational(number, SYSTEM_ROOT) else os.cpu_count() or 1


def jobs_of(run: Run, files: Sequence[Seen], tools: Tools) -> Iterator[Job]:
    """Yield the jobs of one repository's files."""
    for seen in files:
        yield job_for(run, seen, tools)


def job_for(run: Run, seen: Seen, tools: Tools) -> Job:
    """Return what the engine must know to read a file."""
    repository_id = run.scope.repository.id
    known = run.known.get(seen.path)
    absolute = f"{run.scope.root}/{seen.path}"

    def recorded(stamps: Stamps, name: str | None, _revision: int | None) -> tuple[UnitResult, ...]:
        # A small file has no part worth going on from: it is in memory already.
        if known is None or known.state not in RESUMABLE or stamps.size <= SMALL_FILE_BYTES_MAX:
            return ()
        return resumed(run, tools, seen.path, stamps, name)

    def baseline(identity_key: str | None) -> Baseline | None:
        if known is None and identity_key is None:
            return None  # nothing to know it by: neither its path nor its images
        return tools.ledger.baseline(repository_id, seen.path, identity_key)

    def present() -> Stamps | None:
        try:
            return stamps_of(os.lstat(absolute))
        except OSError:
            return None

    return Job(run.scope.root, seen.path, seen.stamps, recorded, baseline, present)


def resumed(
    run: Run, tools: Tools, path: str, stamps: Stamps, name: str | None
) -> tuple[UnitResult, ...]:
    """Return the units of an interrupted reading that still hold; the ledger drops all others."""
    ledger, repository_id = tools.ledger, run.scope.repository.id
    start = partial(ledger.start_file, repository_id, run.run_id, path, stamps, name)
    start(present_revision(name))
    units = ledger.recorded_units(repository_id, path)
    unit_bytes = tools.settings.unit_bytes
    if all(is_whole_unit(unit, stamps.size, unit_bytes) for unit in units):
        return units
    # Another version cut its units elsewhere. Starting under no revision makes the ledger forget.
    start(None)
    start(present_revision(name))
    return ()


def is_whole_unit(unit: UnitResult, size: int, unit_bytes: int) -> bool:
    """Whether a unit is one of those a file of this size is cut into."""
    return unit.offset % unit_bytes == 0 and unit.length == min(unit_bytes, size - unit.offset)


def mark_gone(run: Run, tools: Tools) -> None:
    """Record which files are not there any more, as far as the survey could look."""
    ledger, repository_id = tools.ledger, run.scope.repository.id
    unseen = set(run.known) - {seen.path for seen in run.survey.files} - set(run.survey.linked)
    hidden = {path for path, _reason in run.survey.unreadable}
    excludes = tools.settings.excludes_of(run.scope.path)
    excluded = (hidden_part(path, excludes) for path in unseen)
    hidden |= {part for part in excluded if part is not None}
    # The survey found these, and then they were not there to be opened.
    ledger.mark_seen(NO_RUN, repository_id, sorted(run.recorder.vanished))
    scope = relative(run.scope.root, run.scope.path)
    ledger.mark_gone(repository_id, run.run_id, [scope], sorted(hidden))


def conclude_sets(repository: RepositoryRow, tools: Tools) -> int:
    """Judge images that lie in several files and are complete now; return how often we failed."""
    ledger = tools.ledger
    bugs: list[Exception] = []
    images = ledger.images([repository.id])
    if all(image.piece is None for image in images):
        return 0  # as in most repositories: nothing lies in several files
    shelf = shelve([repository], ledger.files([repository.id]), images, ())
    place = Place(Path(repository.path), tools.opener)
    for case in cases(shelf, supported_names()):
        if not whole(case):
            continue
        known_bugs = len(bugs)
        evidence = guarded(partial(conclude_set, case, ledger, place), bugs.append)
        if len(bugs) > known_bugs:
            evidence = (bug(bugs[-1]),)
            tools.watcher.note(f"{case.files[0].path!r} could not be judged: {bugs[-1]!r}")
        if evidence is not None:
            ledger.record_joint(case.key, evidence, tools.clock())
    return len(bugs)


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


def record_space(run: Run, tools: Tools) -> None:
    """Record how much room the repository has; what was known stays where nobody says."""
    space = space_at(run.scope.root)
    if space is None:
        return
    row = SpaceRow(
        run.scope.repository.id,
        space.total_bytes,
        space.available_bytes,
        space.quota_bytes,
        space.quota_used_bytes,
        space.read_only,
        tools.clock(),
    )
    tools.ledger.save_space(row)
    if left_in(space) <= a_piece(space):
        tools.ledger.mark_cramped(row.repository_id, written_last(run, a_piece(space)))


def left_in(space: Space) -> int:
    """Return how much may still be written, by the file system or a quota."""
    if space.quota_bytes is None or space.quota_used_bytes is None:
        return space.available_bytes
    return min(space.available_bytes, space.quota_bytes - space.quota_used_bytes)


def a_piece(space: Space) -> int:
    """Return how much a writer wants at once, at most: with less left it has no room."""
    return min(CRAMPED_BYTES_MAX, int(space.total_bytes * CRAMPED_SHARE_MAX))


def written_last(run: Run, left_bytes: int) -> list[str]:
    """Return the files that were new or changed, and written when the room came to its end.

    Behind a file for which there was room others follow that take some: what came later by more
    than writers side by side are apart is counted.
    """
    fresh = [seen for seen in run.chosen if is_news(seen, run.known.get(seen.path))]
    fresh.sort(key=lambda seen: seen.stamps.mtime_ns, reverse=True)
    apart_ns = int(CRAMPED_APART.total_seconds() * 1e9)
    found = []
    later_bytes = place = 0
    for seen in fresh:
        while fresh[place].stamps.mtime_ns > seen.stamps.mtime_ns + apart_ns:
            later_bytes += fresh[place].stamps.allocated_bytes or 0
            place += 1
        if later_bytes > left_bytes:
            break
        found.append(seen.path)
    return found


def is_news(seen: Seen, known: KnownFile | None) -> bool:
    """Whether a file is new, or was written to since it was last read."""
    return known is None or not known.stamps.same_content(seen.stamps)


def notes_of(run: Run) -> Iterator[str]:
    """Yield what the operator should know of a survey."""
    for path, reason in run.survey.unreadable:
        yield f"{str(run.scope.root / path)!r} could not be read: {reason}"


def hints_of(run: Run) -> Iterator[str]:
    """Yield what is good to know of a survey and nothing to worry about."""
    if run.survey.linked:
        count = len(run.survey.linked)
        yield f"{count} further names of hard-linked files were not read again"
