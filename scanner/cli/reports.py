"""Put a report together: what was judged, what somebody accepted, and the exit code of it all."""

from collections.abc import Sequence
from dataclasses import replace

import formats
from scanner.cli.options import World
from scanner.config import Settings
from scanner.judge.advice import Severity, advise
from scanner.judge.model import Judgement
from scanner.ledger.rows import RepositoryRow, RunRow
from scanner.ledger.store import Ledger
from scanner.outlets.exit_codes import Circumstances, ExitCode, FailOn, exit_code
from scanner.outlets.report import Report, RunFacts
from scanner.outlets.version import version
from scanner.scan import ScanOutcome, judge_ledger
from scanner.scopes import Scope, in_scope


def scan_report(
    world: World,
    ledger: Ledger,
    settings: Settings,
    outcome: ScanOutcome,
    fail_on: FailOn,
    stopped_by: ExitCode | None,
) -> Report:
    """Return the report of a scan that just ended."""
    run = RunFacts(
        outcome.started_at,
        outcome.finished_at,
        outcome.files,
        outcome.bytes_read,
        outcome.interrupted,
        outcome.bugs,
    )
    warnings = (*ledger.notes, *outcome.notes)
    circumstances = Circumstances(
        stopped_by if outcome.interrupted else None, outcome.bugs, len(warnings)
    )
    return _report(
        world,
        ledger,
        settings,
        outcome.repositories,
        outcome.judgement,
        circumstances,
        fail_on,
        run=run,
        notes=(*warnings, *outcome.hints),
        fresh=True,
        scopes=outcome.scopes,
    )


def ledger_report(world: World, ledger: Ledger, fail_on: FailOn = FailOn.WEAKENED) -> Report:
    """Return the report of what the ledger knows; no repository is touched."""
    repositories, settings = ledger.repositories(), Settings()
    runs = [run for row in repositories for run in ledger.runs(row.id, limit=1)]
    newest = max(runs, key=lambda run: run.started_at, default=None)
    judgement = judge_ledger(ledger, repositories, world.clock(), settings=settings)
    return _report(
        world,
        ledger,
        settings,
        repositories,
        judgement,
        Circumstances(warnings=len(ledger.notes)),
        fail_on,
        run=None if newest is None else _facts(newest),
        notes=ledger.notes,
        fresh=False,
    )


def _report(
    world: World,
    ledger: Ledger,
    settings: Settings,
    repositories: Sequence[RepositoryRow],
    judgement: Judgement,
    circumstances: Circumstances,
    fail_on: FailOn,
    *,
    run: RunFacts | None,
    notes: tuple[str, ...],
    fresh: bool,
    scopes: Sequence[Scope] = (),
) -> Report:
    now = world.clock()
    accepted = ledger.acknowledgements(now)
    effective = judgement
    if accepted:
        effective = judge_ledger(
            ledger,
            ledger.repositories(),
            now,
            settings=settings,
            acknowledged=frozenset(row.finding_id for row in accepted),
        )
        effective = in_scope(effective, scopes) if scopes else effective
    # Advice is about whole databases: of a part of a repository it would miss what lies elsewhere.
    whole = all(scope.path == scope.root for scope in scopes)
    advice = advise(judgement.images, now) if whole else ()
    names = {row.finding_id for row in accepted}
    warnings = sum(item.severity is Severity.WARNING and item.id not in names for item in advice)
    weighed = replace(circumstances, warnings=circumstances.warnings + warnings)
    return Report(
        now=now,
        repositories=concerned(ledger, repositories, judgement),
        judgement=judgement,
        exit_code=exit_code(effective, weighed, fail_on),
        advice=advice,
        acknowledgements=accepted,
        run=run,
        notes=notes,
        fresh=fresh,
        version=version(),
        formats=formats.FORMATS,
    )


def concerned(
    ledger: Ledger, asked: Sequence[RepositoryRow], judgement: Judgement
) -> tuple[RepositoryRow, ...]:
    """Return the repositories asked about, and those in which an image they need lies."""
    numbers = {row.id for row in asked}
    numbers |= {file.repository_id for image in judgement.images for file in image.files}
    return tuple(row for row in ledger.repositories() if row.id in numbers)


def _facts(run: RunRow) -> RunFacts:
    return RunFacts(run.started_at, run.finished_at, run.files, run.bytes_read)
