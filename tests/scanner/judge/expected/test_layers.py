"""Backups of one machine side by side."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import permutations

import pytest

from scanner.expectations import Defaults, Expectations, SourceExpectation
from scanner.judge.advice import Severity
from scanner.judge.expected.layers import machine_advice
from scanner.judge.model import Verdict
from scanner.judge.sources.model import Source, SourceKind, Span
from tests.scanner.judge.built_sources import NOW, Backup, source_of

EAST = timezone(timedelta(hours=2))
YEARS = 3 * 365.25


def made(*ago: float, **same: object) -> list[Backup]:
    return [Backup(NOW - timedelta(days=days), 10, **same) for days in ago]  # type: ignore[arg-type]


def disk(*ago: float, name: str = "nightly/SRV1", **same: object) -> Source:
    return source_of(*made(*ago, **same), name=name)


def database(
    *ago: float, name: str = "SRV1/Shop", machine: str | None = "SRV1", **same: object
) -> Source:
    source = source_of(*made(*ago, **same), name=name, kind=SourceKind.DATABASE)
    return replace(source, machine=machine)


def declared(source: Source, *, required: bool = True, machine: str | None = "SRV1") -> Source:
    item = SourceExpectation(source.name, machine=machine, required=required)
    return replace(source, declared=item, machine=machine)


def said(
    sources: Iterable[Source], age: timedelta = timedelta(days=7)
) -> list[tuple[str, str, str]]:
    expectations = Expectations(defaults=Defaults(database_age=age))
    found = machine_advice(sources, expectations, NOW, EAST)
    return [(item.rule, item.source, item.text) for item in found]


def test_a_machine_with_fresh_images_and_a_database_of_years_ago_is_the_clinic():
    (advice,) = machine_advice([disk(9, 2, 1), database(YEARS)], Expectations(), NOW, EAST)
    assert (advice.rule, advice.severity) == ("machine.no-database", Severity.WARNING)
    assert advice.source == "SRV1/Shop"
    assert advice.text == (
        "image backups of SRV1 are there up to 2026-11-21 08:00, "
        "the newest database backup is 3 years old"
    )


def test_its_healthy_twin_is_not_spoken_of():
    assert said([disk(9, 2, 1), database(YEARS, 6.9)]) == []


def test_one_fresh_database_speaks_for_the_machine():
    assert said([disk(1), database(YEARS), database(2, name="SRV1/msdb")]) == []


def test_the_age_that_is_too_old_is_configured():
    sources = [disk(1), database(6.9)]
    (found,) = said(sources, timedelta(days=6))
    assert found[2].endswith("the newest database backup is 6 days old")


def test_images_without_any_database_known_are_not_spoken_of():
    assert said([disk(1), disk(1, name="nightly/SRV2")]) == []


def test_a_database_whose_machine_has_no_fresh_image_is_the_past():
    assert said([disk(8), database(YEARS)]) == []
    assert said([database(YEARS)]) == []


def test_what_counts_of_a_database_is_the_end_of_its_last_span():
    old = database(30)
    span = Span(NOW - timedelta(days=30), NOW - timedelta(days=1))
    assert said([disk(1), old]) != []
    assert said([disk(1), replace(old, spans=(span,))]) == []


def test_a_fresh_database_backup_that_does_not_restore_is_none():
    (found,) = said([disk(1), database(1, verdict=Verdict.DAMAGED)])
    assert found[2].endswith("no database backup of it is proven to restore")


def test_a_declared_database_that_was_never_seen_is_missed():
    (found,) = said([disk(1), declared(database())])
    assert found[2].endswith("no database backup of it is there")


def test_a_database_that_need_not_be_there_is_not_missed():
    assert said([disk(1), declared(database(), required=False)]) == []


@pytest.mark.parametrize(
    ("name", "machine"),
    [
        ("srv1", "SRV1"),
        ("nightly/srv1", "SRV1.clinic.example"),
        ("SRV1/disk0", "SRV1"),
        ("SRV1 (vhdx)", "SRV1"),
        ("10.0.0.5", "10.0.0.5"),
    ],
)
def test_a_disk_is_of_the_machine_it_or_its_folder_is_called_like(name: str, machine: str):
    images = {"path": "nightly/SRV1-2026-11-21.vhdx"} if "(" in name else {}
    old = database(YEARS, machine=machine)
    assert [item[0] for item in said([disk(1, name=name, **images), old])] == [
        "machine.no-database"
    ]


@pytest.mark.parametrize(
    ("name", "machine"),
    [("nightly/SRV10", "SRV1"), ("SRV1-old", "SRV1"), ("10/disk", "10.0.0.5"), ("x", None)],
)
def test_a_disk_of_another_name_is_of_another_machine(name: str, machine: str | None):
    assert said([disk(1, name=name), database(YEARS, machine=machine)]) == []


def test_the_name_of_the_disk_goes_before_that_of_its_folder():
    old = database(YEARS)
    other = database(1, name="SRV2/Stock", machine="SRV2")
    assert said([disk(1, name="SRV1/SRV2"), old, other]) == []


def test_a_declared_machine_goes_before_any_name():
    image = declared(disk(1, name="anything"), machine="srv1")
    assert [item[0] for item in said([image, database(YEARS)])] == ["machine.no-database"]
    elsewhere = declared(disk(1), machine="SRV2")
    assert said([elsewhere, database(YEARS)]) == []


def test_fresh_databases_and_old_images_are_advice_where_both_are_declared():
    sources = [declared(disk(40, 30)), declared(database(1))]
    (advice,) = machine_advice(sources, Expectations(), NOW, EAST)
    assert (advice.rule, advice.severity) == ("machine.no-image", Severity.ADVICE)
    assert advice.source == "nightly/SRV1"
    assert advice.text == (
        "database backups of SRV1 are there up to 2026-11-21 08:00, "
        "the newest image backup is 30 days old"
    )


def test_old_images_that_nobody_declared_are_not_spoken_of():
    assert said([disk(30), declared(database(1))]) == []
    assert said([declared(disk(30)), database(1)]) == []


def test_images_and_databases_that_are_both_declared_and_fresh_are_not_spoken_of():
    assert said([declared(disk(1)), declared(database(1))]) == []


def test_the_order_of_sources_changes_nothing():
    sources = [disk(1), database(YEARS), database(YEARS, name="SRV1/A"), disk(2, name="SRV1")]
    found = {
        tuple(machine_advice(order, Expectations(), NOW, EAST)) for order in permutations(sources)
    }
    assert len(found) == 1


def test_what_a_machine_lacks_keeps_its_name_when_another_database_is_the_newest():
    def name(*sources: Source, now: datetime = NOW) -> str:
        (advice,) = machine_advice(sources, Expectations(), now, EAST)
        return advice.id

    assert name(disk(1), database(YEARS)) == name(disk(1), database(400, name="SRV1/Other"))
