"""Everything that is known of sources, put together."""

from datetime import UTC, datetime, timedelta

from scanner.expectations import Expectations, SourceExpectation
from scanner.judge.advice import Severity
from scanner.judge.sources.answers import State
from scanner.judge.sources.outlook import Known, Outlook, outlook
from scanner.ledger.rows import RunRow
from scanner.results import FileState
from tests.scanner.judge.backups import MORNING, full, judged
from tests.scanner.judge.outlooks import history_of
from tests.scanner.judge.rows import REPOSITORIES, SEEN, Rows

DAY = timedelta(days=1)
RUN = RunRow(1, 1, SEEN - DAY, SEEN - DAY + timedelta(seconds=10), 1, 10 << 30, 0)


def ahead(
    rows: Rows,
    *declared: SourceExpectation,
    now: datetime = SEEN,
    acknowledged: frozenset[str] = frozenset(),
) -> Outlook:
    known = Known(
        repositories=REPOSITORIES,
        files=rows.files,
        images=rows.judged().images,
        history=history_of(rows),
        spaces=(),
        runs=[RUN],
        expectations=Expectations(sources=declared),
        zone=UTC,
    )
    return outlook(known, now, acknowledged)


def nightly(last: datetime) -> Rows:
    rows = Rows()
    for night in range(6):
        rows.backup(f"vm/web-{last - night * DAY:%Y-%m-%d}.qcow2")
    return rows


def test_a_healthy_source_is_restorable_and_how_fast_is_said():
    found = ahead(nightly(SEEN - DAY))
    (one,) = found.sources
    assert (one.answer.state, found.advice) == (State.RESTORABLE, ())
    # 1 MiB at 1 GiB a second.
    assert one.restore_seconds == 1 / 1024


def test_what_is_expected_stands_in_the_answer_until_it_is_acknowledged():
    rows = nightly(SEEN - 10 * DAY)
    (one,) = ahead(rows).sources
    assert (one.answer.state, one.answer.wrong) == (
        State.ATTENTION,
        "no backup for 10 days; usually one every day",
    )
    (advice,) = ahead(rows).advice
    found = ahead(rows, acknowledged=frozenset({advice.id}))
    assert found.sources[0].answer.state is State.RESTORABLE
    assert found.advice == (advice,)


def test_a_source_that_was_never_seen_restores_nothing_and_takes_no_time():
    found = ahead(Rows(), SourceExpectation("web", match=("web/**",)))
    (one,) = found.sources
    assert (one.answer.state, one.restore_seconds) == (State.LOST, None)
    assert one.answer.wrong == "no backup of it was ever seen"


def test_a_machine_whose_database_was_forgotten_is_told_of_at_its_database():
    now = MORNING + 40 * DAY
    rows = Rows()
    rows.backup(f"nightly/SRV-{now - DAY:%Y-%m-%d}.qcow2")
    images = [*judged([full("F", 1, 2)]).images, *rows.judged().images]
    known = Known(REPOSITORIES, rows.files, images, (), (), (), Expectations(), UTC)
    found = outlook(known, now)
    warnings = {(item.source, item.rule) for item in found.advice if item.severity == "warning"}
    assert ("SRV/shop", "machine.no-database") in warnings
    (answer,) = [one.answer for one in found.sources if one.source.database]
    assert answer.state is State.ATTENTION


GONE = {"state": FileState.GONE}


def test_what_was_removed_long_ago_is_no_alarm_for_ever():
    rows = nightly(SEEN)
    for day in range(200, 206):
        rows.backup(f"old/web-{SEEN - day * DAY:%Y-%m-%d}.qcow2", file=GONE)
    found = ahead(rows)
    assert [one.source.name for one in found.sources] == ["vm/web"]
    assert found.advice == ()


def test_a_single_backup_that_was_removed_is_mentioned_and_has_no_answer():
    rows = nightly(SEEN)
    rows.backup(f"once/web-{SEEN - 20 * DAY:%Y-%m-%d}.qcow2", file=GONE)
    found = ahead(rows)
    assert [one.source.name for one in found.sources] == ["vm/web"]
    assert [(item.rule, item.severity) for item in found.advice] == [
        ("source.gone", Severity.ADVICE)
    ]


def test_a_source_that_need_not_be_there_has_no_answer_while_it_is_not():
    declared = SourceExpectation("web", match=("web/**",), required=False)
    assert ahead(Rows(), declared) == Outlook((), ())


def test_backups_that_are_missed_keep_their_answer():
    rows = Rows()
    for day in range(3):
        rows.backup(f"vm/web-{SEEN - day * DAY:%Y-%m-%d}.qcow2", file=GONE)
    (one,) = ahead(rows).sources
    assert (one.source.name, one.answer.state) == ("vm/web", State.LOST)
