"""Put a report together: what was judged, what somebody accepted, and the exit code of it all."""

from collections.abc import Sequence
from dataclasses import replace

import formats
from scanner.ahead import asked_about, look_ahead
from scanner.cli.liveness import silent
from scanner.cli.options import World, settings_of
from scanner.config import Settings
from scanner.expectations import Expectations
from scanner.judge.advice import Advice, Severity
from scanner.judge.model import Judgement
from scanner.judge.sources.outlook import Outlook
from scanner.ledger.rows import RepositoryRow, RunRow
from scanner.ledger.store import Ledger
from scanner.outlets.exit_codes import Circumstances, ExitCode, FailOn, exit_code, exit_meaning
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
    expectations: Expectations,
) -> Report:
    """Return the report of a scan that just ended, and record how the sources stand."""
    run = RunFacts(
        outcome.started_at,
        outcome.finished_at,
        outcome.files,
        outcome.bytes_read,
        outcome.interrupted,
        outcome.bugs,
    )
    outlook = ahead(world, ledger, outcome.whole, expectations)
    ledger.save_outlook(outlook, outcome.finished_at)
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
        asked_about(outlook, outcome.scopes, outcome.judgement, len(ledger.repositories())),
        circumstances,
        fail_on,
        run=run,
        notes=(*warnings, *outcome.hints),
        fresh=True,
        scopes=outcome.scopes,
    )


def ledger_report(
    world: World,
    ledger: Ledger,
    fail_on: FailOn = FailOn.WEAKENED,
    expectations: Expectations | None = None,
) -> Report:
    """Return the report of what the ledger knows; no repository is touched."""
    expected = Expectations() if expectations is None else expectations
    settings = settings_of(expected)
    repositories = ledger.repositories()
    runs = [run for row in repositories for run in ledger.runs(row.id, limit=1)]
    newest = max(runs, key=lambda run: run.started_at, default=None)
    judgement = judge_ledger(ledger, repositories, world.clock(), settings=settings)
    warnings = (*ledger.notes, *silent(ledger, expected, world.clock()))
    return _report(
        world,
        ledger,
        settings,
        repositories,
        judgement,
        ahead(world, ledger, judgement, expected),
        Circumstances(warnings=len(warnings)),
        fail_on,
        run=None if newest is None else _facts(newest),
        notes=warnings,
        fresh=False,
    )


def _report(
    world: World,
    ledger: Ledger,
    settings: Settings,
    repositories: Sequence[RepositoryRow],
    judgement: Judgement,
    outlook: Outlook,
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
    advice = outlook.advice
    names = {row.finding_id for row in accepted}
    warnings = [item.id in names for item in advice if item.severity is Severity.WARNING]
    weighed = replace(
        circumstances,
        warnings=circumstances.warnings + warnings.count(False),
        accepted_warnings=warnings.count(True),
    )
    return Report(
        now=now,
        repositories=concerned(ledger, repositories, judgement),
        judgement=judgement,
        exit_code=exit_code(effective, weighed, fail_on),
        exit_meaning=exit_meaning(judgement, effective, weighed, fail_on),
        advice=in_order(advice),
        outlook=outlook,
        zone=world.zone(),
        acknowledgements=accepted,
        run=run,
        notes=notes,
        fresh=fresh,
        version=version(),
        formats=formats.FORMATS,
    )


def ahead(
    world: World, ledger: Ledger, judgement: Judgement, expectations: Expectations
) -> Outlook:
    """Return the outlook of everything the ledger knows."""
    now = world.clock()
    accepted = frozenset(row.finding_id for row in ledger.acknowledgements(now))
    return look_ahead(ledger, judgement, expectations, world.zone(), now, accepted)


def in_order(advice: Sequence[Advice]) -> tuple[Advice, ...]:
    """Return warnings first, then by source and rule."""
    order = list(Severity)
    return tuple(
        sorted(advice, key=lambda item: (order.index(item.severity), item.source, item.rule))
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
