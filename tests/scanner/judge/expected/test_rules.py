"""What is expected of a source and is not so; and beside each rule the twin that is healthy."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.expectations import Defaults, Expectations, SourceExpectation
from scanner.expectations.model import Undeclared
from scanner.judge.advice import Advice, Severity
from scanner.judge.expected.rules import expected_advice, terms_of
from scanner.judge.model import Verdict
from scanner.judge.sources.model import Source, SourceKind, Span
from scanner.judge.sources.saying import said as saying
from scanner.ledger.rows import RunRow
from scanner.results import FileState
from tests.scanner.judge.built_sources import NOW, Backup, source_of
from tests.scanner.judge.outlooks import found, measured
from tests.scanner.judge.rows import Rows

BERLIN = ZoneInfo("Europe/Berlin")
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
NIGHTLY = "0 22 * * *"


def made(*ago: float, **same: object) -> list[Backup]:
    return [Backup(NOW - ago_days * DAY, 10**9, **same) for ago_days in ago]  # type: ignore[arg-type]


def looked(source: Source, at: datetime = NOW) -> Source:
    """Return a source whose files were all found by a scan at a time."""
    images = (
        replace(image, files=tuple(replace(file, seen_at=at) for file in image.files))
        for image in source.images
    )
    return replace(source, images=tuple(images))


def backed_up(*ago: float, seen: datetime = NOW, name: str = "vm", **same: object) -> Source:
    """Return a source backed up so many days ago, whose files a scan found just now."""
    return looked(source_of(*made(*ago, **same), name=name), seen)


def declared(source: Source, **terms: object) -> Source:
    return replace(source, declared=SourceExpectation(source.name, **terms))  # type: ignore[arg-type]


def advice(
    source: Source,
    *others: Source,
    defaults: Defaults | None = None,
    sources: Sequence[SourceExpectation] = (),
    runs: Sequence[RunRow] = (),
    now: datetime = NOW,
    already: Sequence[Advice] = (),
) -> list[Advice]:
    expectations = Expectations(defaults=defaults or Defaults(), sources=tuple(sources))
    terms = terms_of([source, *others], runs, expectations, now, BERLIN)
    return list(expected_advice(source, terms, already))


def warned(source: Source, *others: Source, **more: object) -> dict[str, str]:
    found = advice(source, *others, **more)  # type: ignore[arg-type]
    return {item.rule: item.text for item in found if item.severity is Severity.WARNING}


def advised(source: Source, *others: Source, **more: object) -> dict[str, str]:
    found = advice(source, *others, **more)  # type: ignore[arg-type]
    return {item.rule: item.text for item in found if item.severity is Severity.ADVICE}


def nightly(last: float = 0.3, count: int = 12, **more: object) -> Source:
    return backed_up(*(last + night for night in range(count)), **more)


def test_a_source_backed_up_every_night_is_not_spoken_of_without_any_configuration():
    assert advice(nightly()) == []


def test_a_declared_source_that_is_all_it_should_be_is_not_spoken_of():
    source = declared(nightly(), rpo=26 * HOUR, rto=HOUR, schedule=NIGHTLY)
    assert advice(source, sources=[source.declared], runs=[a_run(10**9)]) == []


# A wrong clock


def test_a_backup_dated_years_ahead_is_warned_of_for_it_hides_all_that_does_not_come():
    source = backed_up(-3 * 365, 5, 6, 7, 8, 9)
    assert warned(declared(source, rpo=26 * HOUR, schedule=NIGHTLY)) == {
        "source.ahead": "newest backup 'vm/20291121-0600-full.disk' is dated 2029-11-21 07:00, "
        "which is yet to come: until then nobody can tell whether newer ones come"
    }


def test_a_backup_that_seems_to_come_a_few_hours_too_early_is_of_another_zone():
    assert advice(nightly(-0.5)) == []


# Recovery point


def test_a_restorable_point_older_than_declared_is_warned_of():
    assert warned(declared(backed_up(8, 7), rpo=26 * HOUR)) == {
        "source.rpo": "newest restorable point 2026-11-15 07:00, 7 days ago; expected within 26 h"
    }


def test_a_restorable_point_is_young_enough_to_the_hour():
    assert warned(declared(backed_up(7), rpo=7 * DAY)) == {}


def test_what_does_not_restore_is_no_restorable_point():
    source = source_of(*made(7), *made(0.1, verdict=Verdict.DAMAGED))
    (text,) = warned(declared(looked(source), rpo=26 * HOUR)).values()
    assert text.startswith("newest restorable point 2026-11-15 07:00")


def test_without_any_point_that_restores_the_limit_is_broken_too():
    source = declared(backed_up(0.1, verdict=Verdict.UNPROVEN), rpo=26 * HOUR)
    assert warned(source) == {
        "source.rpo": "no backup of it is proven to restore; expected within 26 h"
    }


def test_of_a_database_the_end_of_the_newest_span_counts():
    source = declared(backed_up(3), rpo=26 * HOUR)
    span = Span(NOW - 3 * DAY, NOW - HOUR)
    assert warned(source) != {}
    assert warned(replace(source, kind=SourceKind.DATABASE, spans=(span,))) == {}


def test_where_a_source_does_not_say_the_default_holds():
    limit = Defaults(rpo=26 * HOUR)
    assert "source.rpo" in warned(declared(backed_up(3)), defaults=limit)
    assert "source.rpo" in warned(backed_up(4, 3), defaults=limit)
    assert warned(declared(backed_up(3), rpo=4 * DAY), defaults=limit) == {}


def test_the_default_is_not_for_a_single_image_nor_for_what_was_retired():
    limit = Defaults(rpo=26 * HOUR)
    assert warned(backed_up(3), defaults=limit) == {}
    assert warned(backed_up(92, 91), defaults=limit) == {}


def test_where_the_limit_ran_out_after_the_last_scan_that_is_said():
    source = declared(backed_up(1.1, seen=NOW - 0.5 * DAY), rpo=26 * HOUR)
    (text,) = warned(source).values()
    assert text.endswith("; no scan looked for a newer one since 2026-11-21 19:00")


# Schedule; the last scheduled times are Saturday 22:00 in Berlin, nine hours ago, and Friday's


def test_a_backup_that_was_due_and_did_not_come_is_warned_of():
    assert warned(declared(backed_up(2.375, 1.375), schedule=NIGHTLY)) == {
        "source.late": "no backup since 2026-11-20 22:00; one was due 2026-11-21 22:00"
    }


def test_a_backup_that_came_is_not_missed_whatever_it_is_worth():
    came = backed_up(0.3, verdict=Verdict.DAMAGED)
    assert warned(declared(came, schedule=NIGHTLY)) == {}


def test_a_backup_is_waited_for_a_quarter_of_the_time_to_the_next():
    source = declared(backed_up(1.375), schedule=NIGHTLY)
    waiting = datetime(2026, 11, 22, 3, 59, tzinfo=BERLIN)
    assert warned(looked(source, waiting), now=waiting.astimezone(UTC)) == {}
    over = waiting + timedelta(minutes=1)
    assert "source.late" in warned(looked(source, over), now=over.astimezone(UTC))


def test_a_backup_by_the_hour_is_waited_for_an_hour():
    hourly = declared(backed_up(0.9 / 24), schedule="0 * * * *")
    assert warned(hourly) == {}
    assert warned(declared(backed_up(2.5 / 24), schedule="0 * * * *")) == {
        "source.late": "no backup since 2026-11-22 04:30; one was due 2026-11-22 06:00"
    }


def test_a_backup_by_the_week_is_waited_for_half_a_day():
    friday = declared(backed_up(7.3), schedule="0 19 * * 5")
    waiting = datetime(2026, 11, 21, 6, 59, tzinfo=BERLIN)
    assert warned(looked(friday, waiting), now=waiting.astimezone(UTC)) == {}
    over = waiting + timedelta(minutes=1)
    assert "source.late" in warned(looked(friday, over), now=over.astimezone(UTC))


def test_a_backup_somewhat_before_its_time_is_the_one_that_was_due():
    assert warned(declared(backed_up(10 / 24), schedule=NIGHTLY)) == {}
    assert "source.late" in warned(declared(backed_up(10.1 / 24), schedule=NIGHTLY))


def test_weekends_of_a_schedule_of_weekdays_are_no_delay():
    weekdays = "0 22 * * 1-5"
    assert warned(declared(backed_up(1.3), schedule=weekdays)) == {}
    assert "source.late" in warned(declared(backed_up(2.3), schedule=weekdays))


def test_summer_time_makes_no_backup_late():
    # The clocks go from two to three on 2026-03-29.
    now = datetime(2026, 3, 29, 6, tzinfo=UTC)
    before = Backup(datetime(2026, 3, 28, 2, 30, tzinfo=BERLIN), 1)
    after = Backup(datetime(2026, 3, 29, 3, 0, tzinfo=BERLIN), 1)
    source = looked(source_of(before, after), now)
    assert warned(declared(source, schedule="30 2 * * *"), now=now) == {}


def test_a_backup_that_was_made_and_is_gone_was_not_late():
    source = looked(source_of(*made(3), *made(0.3, gone=True)))
    assert warned(declared(source, schedule=NIGHTLY)) == {}


def test_what_no_scan_has_looked_for_is_said_and_alarms_nobody():
    source = declared(backed_up(1.3, seen=NOW - 0.6 * DAY), schedule=NIGHTLY)
    assert warned(source) == {}
    assert advised(source) == {
        "source.late": "no backup since 2026-11-20 23:48; one was due 2026-11-21 22:00; "
        "no scan has looked since 2026-11-21 16:36"
    }


# Rhythm


def test_backups_that_stopped_are_missed_without_any_configuration():
    assert warned(nightly(9.2)) == {"source.overdue": "no backup for 9 days; usually one every day"}


def test_a_nightly_backup_is_not_missed_over_a_weekend():
    assert advice(nightly(3.4)) == []
    assert warned(nightly(3.6)) != {}


def test_four_backups_are_too_few_to_miss_the_fifth_and_that_is_said():
    assert warned(nightly(9, count=4)) == {}
    assert advised(nightly(9, count=4)) == {
        "source.learning": "4 backups so far: from 5 on it is known how often they come, and one "
        "that does not come is missed"
    }


def test_a_single_image_has_no_rhythm_to_learn_nor_have_two_of_last_spring():
    assert advice(backed_up(1)) == []
    assert advice(backed_up(37, 36)) == []
    assert set(advised(backed_up(35, 34))) == {"source.learning"}


def test_where_the_configuration_says_when_there_is_nothing_to_learn():
    assert advice(declared(nightly(count=3), schedule=NIGHTLY)) == []
    assert advice(declared(nightly(count=3), rpo=2 * DAY)) == []


def test_what_was_retired_is_not_missed_unless_it_is_declared():
    assert advice(nightly(91)) == []
    assert set(warned(declared(nightly(91)))) == {"source.overdue"}
    assert advice(declared(nightly(91), required=False)) == []


def test_a_backup_by_the_quarter_year_is_missed_before_it_counts_as_retired():
    quarterly = backed_up(*(280 + 91 * number for number in range(6)))
    assert set(warned(quarterly)) == {"source.overdue"}


def test_one_sentence_is_enough_for_a_backup_that_is_late_by_schedule():
    assert set(warned(declared(nightly(9.2), schedule=NIGHTLY))) == {"source.late"}


def test_one_sentence_is_enough_where_a_limit_runs_out_first():
    assert set(warned(declared(nightly(9.2), rpo=26 * HOUR))) == {"source.rpo"}
    assert set(warned(declared(nightly(9.2), rpo=30 * DAY))) == {"source.overdue"}


@pytest.mark.parametrize(
    ("rule", "severity", "silent"),
    [
        ("sql.full-too-old", Severity.WARNING, True),
        ("sql.log-backups-missing", Severity.WARNING, True),
        ("sql.full-too-old", Severity.ADVICE, False),
        ("sql.stored-too-little", Severity.WARNING, False),
    ],
)
def test_a_database_is_not_told_twice_that_its_backups_stopped(
    rule: str, severity: Severity, *, silent: bool
):
    source = nightly(9.2)
    already = [saying(source, rule, severity, "something")]
    assert (warned(source, already=already) == {}) is silent


def test_backups_that_stopped_after_the_last_scan_alarm_nobody():
    source = nightly(9.2, seen=NOW - 8 * DAY)
    assert warned(source) == {}
    assert advised(source)["source.overdue"].endswith("; no scan has looked since 2026-11-14 07:00")


# What is not there


def test_a_declared_source_that_was_never_seen_is_missing():
    assert warned(declared(source_of())) == {"source.missing": "no backup of it was ever seen"}


def test_a_declared_source_of_which_nothing_is_left_is_missing_however_long_ago():
    source = declared(source_of(*made(400, 300, gone=True, path="vm/a.disk")), rpo=DAY)
    assert warned(source) == {
        "source.missing": "none of its 2 backups is left; "
        "the last was 'vm/a.disk', made 2026-01-26 07:00"
    }


def test_a_source_that_need_not_be_there_is_not_missing():
    assert advice(declared(source_of(), required=False, schedule=NIGHTLY, rpo=DAY)) == []
    assert advice(declared(source_of(*made(3, 2, gone=True)), required=False)) == []


def test_one_of_several_sources_of_a_declaration_may_have_been_retired():
    item = SourceExpectation("all", database=("SRV/*",))
    there = replace(nightly(), declared=item)
    retired = replace(source_of(*made(400, 300, gone=True), name="SRV/old"), declared=item)
    assert advice(retired, there) == []
    assert set(warned(retired)) == {"source.missing"}


def test_one_of_several_sources_of_a_declaration_that_vanished_lately_is_gone():
    item = SourceExpectation("all", database=("SRV/*",))
    vanished = replace(source_of(*made(3, 2, gone=True), name="SRV/x"), declared=item)
    assert set(warned(vanished, replace(nightly(), declared=item))) == {"source.gone"}


def test_a_source_of_which_all_backups_vanished_is_gone():
    source = source_of(*made(3, gone=True), *made(2, gone=True, path="vm/last.disk"))
    assert warned(source) == {
        "source.gone": "none of its 2 backups is left; "
        "the last was 'vm/last.disk', made 2026-11-20 07:00"
    }


def test_what_vanished_long_ago_is_the_past():
    assert warned(source_of(*made(99, 90, gone=True))) != {}
    assert advice(source_of(*made(99, 90.1, gone=True))) == []


def test_a_source_with_any_backup_left_is_not_gone():
    source = looked(source_of(*made(3, 2, gone=True), *made(4)))
    assert "source.gone" not in {item.rule for item in advice(source)}


def test_a_single_image_that_vanished_alarms_nobody():
    source = source_of(*made(2, gone=True, path="a.disk"))
    assert warned(source) == {}
    assert advised(source) == {
        "source.gone": "its only backup is gone: 'a.disk', made 2026-11-20 07:00"
    }


def test_a_source_whose_images_were_moved_is_not_gone():
    before = source_of(*made(3, 2, gone=True), name="old/vm")
    after = source_of(*made(3, 2), name="new/vm")
    assert advice(before, after) == []
    assert warned(before, source_of(*made(2.5), name="new/vm")) != {}


def test_another_machines_images_of_the_same_size_and_night_are_not_the_ones_that_are_gone():
    before = source_of(*made(3, 2, payload=10**9, nonzero=400, gone=True), name="old/vm")
    other = source_of(*made(3, 2, payload=10**9, nonzero=500), name="new/vm")
    assert set(warned(before, other)) == {"source.gone"}


def test_rows_of_a_ledger_tell_what_is_gone():
    rows = Rows()
    rows.backup("vm/a-2026-11-20.qcow2", file={"state": FileState.GONE})
    past = tuple(
        measured(f"vm/a-2026-11-{day}.qcow2", datetime(2026, 11, day, 22, tzinfo=UTC))
        for day in (18, 19)
    )
    (source,) = found(rows, history=past)
    assert warned(source)["source.gone"].startswith("none of its 3 backups is left")


# What nobody declared


@pytest.mark.parametrize(
    ("wanted", "severity"),
    [("warning", Severity.WARNING), ("advice", Severity.ADVICE), ("ignore", None)],
)
def test_a_source_nobody_declared_weighs_what_the_configuration_says(
    wanted: Undeclared, severity: Severity | None
):
    found = advice(
        nightly(), defaults=Defaults(undeclared=wanted), sources=[SourceExpectation("other")]
    )
    assert [(item.rule, item.severity) for item in found] == (
        [] if severity is None else [("source.undeclared", severity)]
    )
    assert all(
        item.text == "no source of the configuration claims its 12 backups" for item in found
    )


def test_a_configuration_without_sources_declares_nothing():
    assert advice(nightly(), defaults=Defaults(undeclared="warning")) == []


def test_of_what_is_gone_it_does_not_matter_who_declared_it():
    source = source_of(*made(3, 2, gone=True))
    assert set(warned(source, sources=[SourceExpectation("other")])) == {"source.gone"}


# Recovery time


def a_run(bytes_per_second: int) -> RunRow:
    begun = NOW - DAY
    return RunRow(1, 1, begun, begun + timedelta(seconds=100), 1, 100 * bytes_per_second, 0)


def large(steps: int = 3) -> Source:
    source = nightly()
    points = (replace(point, restore_bytes=812 * 10**9, steps=steps) for point in source.points)
    return replace(source, points=tuple(points))


def test_a_restore_that_cannot_be_read_in_time_is_warned_of():
    source = declared(large(), rto=HOUR / 2)
    assert warned(source, runs=[a_run(180 * 10**6)]) == {
        "source.rto": "reading the 3 images its newest point needs, 812 GB at the measured "
        "180 MB/s, takes at least 1 h 15 min; expected within 30 min"
    }


def test_a_single_image_is_not_counted():
    (text,) = warned(declared(large(1), rto=HOUR), runs=[a_run(180 * 10**6)]).values()
    assert text.startswith("reading the image its newest point needs, 812 GB at")


def test_a_restore_that_can_be_read_in_time_is_not_spoken_of():
    assert advice(declared(large(), rto=2 * HOUR), runs=[a_run(180 * 10**6)]) == []


def test_nothing_is_said_while_no_pace_is_known():
    assert advice(declared(large(), rto=HOUR)) == []


def test_the_default_for_restores_holds_where_a_source_does_not_say():
    limit, runs = Defaults(rto=HOUR), [a_run(180 * 10**6)]
    assert "source.rto" in warned(large(), defaults=limit, runs=runs)
    assert warned(declared(large(), rto=2 * HOUR), defaults=limit, runs=runs) == {}
    assert warned(declared(large()), runs=runs) == {}


# Properties

TERMS = st.fixed_dictionaries(
    {},
    optional={
        "rpo": st.sampled_from([HOUR, DAY, 8 * DAY, 60 * DAY]),
        "schedule": st.sampled_from([NIGHTLY, "0 * * * *", "0 19 * * 5", "30 2 1 * *"]),
    },
)
# None is old enough to count as retired: of what was, nothing is expected.
AGES = st.lists(st.floats(0, 80), min_size=1, max_size=12, unique=True).map(sorted)


@given(
    ages=AGES,
    share=st.floats(0, 1),
    unseen=st.floats(0, 5),
    terms=TERMS,
    required=st.booleans(),
)
@settings(deadline=None, max_examples=100)
def test_a_younger_newest_point_never_adds_a_warning(
    ages: list[float], share: float, unseen: float, terms: dict[str, object], *, required: bool
):
    def rules(newest: float) -> set[str]:
        source = backed_up(newest, *ages[1:], seen=NOW - unseen * DAY)
        return set(warned(declared(source, required=required, **terms)))

    assert rules(ages[0] * share) <= rules(ages[0])


@given(AGES, TERMS)
@settings(deadline=None, max_examples=50)
def test_the_order_of_sources_changes_nothing(ages: list[float], terms: dict[str, object]):
    one = declared(backed_up(*ages), **terms)
    others = [source_of(*made(3, gone=True), name="gone"), nightly(name="b")]
    expectations = Expectations(sources=(SourceExpectation("vm"),))
    found = {
        tuple(sorted((item.id, item.text) for source in order for item in expected(source, order)))
        for order in permutations([one, *others])
        for expected in [
            lambda source, order: expected_advice(
                source, terms_of(order, [], expectations, NOW, BERLIN)
            )
        ]
    }
    assert len(found) == 1
