"""Put a report together: what was judged, what somebody accepted, and the exit code of it all."""

from collections.abc import Collection, Sequence
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
from scanner.judging import Rows, judge_rows, read_rows
from scanner.ledger.rows import FileRow, RepositoryRow, RunRow
from scanner.ledger.store import Ledger
from scanner.outlets.exit_codes import Circumstances, ExitCode, FailOn, exit_code, exit_meaning
from scanner.outlets.report import Report, RunFacts
from scanner.outlets.version import version
from scanner.scan import ScanOutcome
from scanner.scopes import Scope, in_scope
from scanner.uncollected import uncollected


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
    with uncollected():
        return _scan_report(world, ledger, settings, outcome, fail_on, stopped_by, expectations)


def _scan_report(
    world: World,
    ledger: Ledger,
    settings: Settings,
    outcome: ScanOutcome,
    fail_on: FailOn,
    stopped_by: ExitCode | None,
    expectations: Expectations,
) -> Report:
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
        whole=outcome.whole,
        scopes=outcome.scopes,
    )


def ledger_report(
    world: World,
    ledger: Ledger,
    fail_on: FailOn = FailOn.WEAKENED,
    expectations: Expectations | None = None,
) -> Report:
    """Return the report of what the ledger knows; no repository is touched."""
    with uncollected():
        return _ledger_report(world, ledger, fail_on, expectations)


def _ledger_report(
    world: World, ledger: Ledger, fail_on: FailOn, expectations: Expectations | None
) -> Report:
    expected = Expectations() if expectations is None else expectations
    settings = settings_of(expected)
    repositories = ledger.repositories()
    runs = [run for row in repositories for run in ledger.runs(row.id, limit=1)]
    newest = max(runs, key=lambda run: run.started_at, default=None)
    rows = read_rows(ledger, repositories)
    judgement = judge_rows(rows, settings=settings)
    warnings = (*ledger.notes, *silent(ledger, expected, world.clock()))
    return _report(
        world,
        ledger,
        settings,
        repositories,
        judgement,
        ahead(world, ledger, judgement, expected, rows.files),
        Circumstances(warnings=len(warnings)),
        fail_on,
        run=None if newest is None else _facts(newest),
        notes=warnings,
        fresh=False,
        whole=judgement,
        rows=rows,
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
    whole: Judgement,
    rows: Rows | None = None,
    scopes: Sequence[Scope] = (),
) -> Report:
    now = world.clock()
    accepted = ledger.acknowledgements(now)
    names = frozenset(row.finding_id for row in accepted)
    effective = judgement
    if is_about(names, whole):
        every = read_rows(ledger, ledger.repositories()) if rows is None else rows
        effective = judge_rows(every, settings=settings, acknowledged=names)
        effective = in_scope(effective, scopes) if scopes else effective
    advice = outlook.advice
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


def is_about(names: Collection[str], judgement: Judgement) -> bool:
    """Whether any of these names is that of a finding the judge decided on.

    Most of what is accepted is advice, which no verdict depends on.
    """
    if not names:
        return False
    judged = [image.evidence for image in judgement.images]
    judged += [other.evidence for other in judgement.others]
    return any(row.finding_id in names for rows in judged for row in rows)


def ahead(
    world: World,
    ledger: Ledger,
    judgement: Judgement,
    expectations: Expectations,
    files: Sequence[FileRow] | None = None,
) -> Outlook:
    """Return the outlook of everything the ledger knows."""
    now = world.clock()
    accepted = frozenset(row.finding_id for row in ledger.acknowledgements(now))
    return look_ahead(ledger, judgement, expectations, world.zone(), now, accepted, files)


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
