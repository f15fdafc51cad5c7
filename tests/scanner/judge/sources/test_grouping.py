"""Which images are backups of the same thing, and what they measured."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.core.model import Identity, Kind, PieceOf
from scanner.expectations import SourceExpectation
from scanner.judge.sources.model import DatedBy, SourceKind
from scanner.results import FileState
from tests.scanner.judge.outlooks import EAST, found, measured, one
from tests.scanner.judge.rows import OLD, Rows, bad, named, wanted

GONE = {"state": FileState.GONE}


def names(rows: Rows, *declared: SourceExpectation, **options: object) -> list[str]:
    return [source.name for source in found(rows, *declared, **options)]


def paths(source) -> list[str]:
    return [image.path for image in source.images]


# Disks


def test_images_whose_names_differ_in_date_and_kind_are_of_one_disk():
    rows = Rows()
    rows.backup("vm/web-full-2026-01-04.qcow2")
    rows.backup("vm/web-full-2026-01-11.qcow2")
    source = one(rows)
    assert (source.name, source.kind) == ("vm/web", SourceKind.DISK)
    assert paths(source) == ["vm/web-full-2026-01-04.qcow2", "vm/web-full-2026-01-11.qcow2"]


def test_numbers_of_machines_keep_their_disks_apart():
    rows = Rows()
    rows.backup("vm-100.qcow2")
    rows.backup("vm-101.qcow2")
    assert names(rows) == ["vm-100", "vm-101"]


def test_a_chain_is_of_one_disk_whatever_its_files_are_called():
    rows = Rows()
    rows.backup("x/monday.vhdx", identity="base", file={"known_as": "vhdx"})
    rows.backup("y/tuesday.vhdx", parents=wanted("base"), file={"known_as": "vhdx"})
    assert len(one(rows).images) == 2


def test_the_same_name_in_two_folders_is_two_disks():
    rows = Rows()
    rows.backup("a/disk.qcow2")
    rows.backup("b/disk.qcow2")
    assert names(rows) == ["a/disk", "b/disk"]


def test_disks_of_one_name_are_told_apart_by_their_format():
    rows = Rows()
    rows.backup("disk.qcow2")
    rows.backup("disk.vhdx", file={"known_as": "vhdx"})
    assert names(rows) == ["disk (qcow2)", "disk (vhdx)"]


def test_chunks_in_hidden_folders_are_no_source():
    rows = Rows()
    rows.backup("store/.chunks/0000/00001.qcow2")
    assert found(rows) == ()


@given(st.randoms(use_true_random=False), st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_order_of_discovery_changes_nothing(random, seed):
    rows = Rows()
    days = list(range(1, 10))
    random.shuffle(days)
    for day in days:
        rows.backup(f"vm/a-2026-01-0{day}.qcow2")
        rows.backup(f"vm/b-2026-01-0{day}.qcow2", (bad(),) if day % 2 else ())
    expected = [(source.id, source.name, source.points) for source in found(rows)]
    shuffled = [(item.id, item.name, item.points) for item in found(rows, shuffle=seed)]
    assert shuffled == expected


# Points


def test_a_local_time_is_read_in_the_zone_given():
    rows = Rows()
    made = datetime(2026, 1, 4, 22)  # noqa: DTZ001 - the zone is not known
    rows.backup("a.qcow2", created_at=made)
    (point,) = one(rows, zone=EAST).points
    assert point.at == datetime(2026, 1, 4, 20, tzinfo=UTC)
    assert point.dated_by is DatedBy.FORMAT


@pytest.mark.parametrize(
    ("path", "at", "by"),
    [
        ("a-2026-01-04.qcow2", datetime(2026, 1, 4, tzinfo=UTC), DatedBy.NAME),
        ("a.qcow2", OLD, DatedBy.FILE),
    ],
)
def test_a_backup_that_does_not_tell_its_time_has_that_of_its_name_or_file(path, at, by):
    rows = Rows()
    rows.backup(path)
    (point,) = one(rows).points
    assert (point.at, point.dated_by) == (at, by)


@pytest.mark.parametrize(
    ("written", "at"),
    [
        (datetime(2026, 1, 4, 21, 59, tzinfo=UTC), datetime(2026, 1, 4, 21, 59, tzinfo=UTC)),
        (datetime(2026, 1, 4, 22, 1, tzinfo=UTC), datetime(2026, 1, 3, 22, tzinfo=UTC)),
    ],
)
def test_a_day_in_a_name_has_the_hour_of_the_file_if_that_is_of_the_day(written, at):
    rows = Rows()
    rows.backup("a-2026-01-04.qcow2", file={"mtime": written})
    source = one(rows, zone=EAST)
    (point,) = source.points
    assert (point.at, point.dated_by) == (at, DatedBy.NAME)
    assert [measure.at for measure in source.history] == [at]


def test_newest_point_is_the_newest_that_restores():
    rows = Rows()
    rows.backup("a-2026-01-04.qcow2")
    rows.backup("a-2026-01-11.qcow2")
    rows.backup("a-2026-01-18.qcow2", (bad(),))
    source = one(rows)
    assert source.newest is not None
    assert source.newest.at.day == 11
    assert source.last is not None
    assert source.last.at.day == 18
    assert [span.begin.day for span in source.spans] == [4, 11]


def test_point_of_an_increment_reads_everything_it_needs():
    rows = Rows()
    rows.backup("base.qcow2", needed_bytes=1000)
    rows.backup("one.qcow2", needed_bytes=10, parents=named("base.qcow2"))
    rows.backup("two.qcow2", needed_bytes=5, parents=named("one.qcow2"))
    point = max(one(rows).points, key=lambda item: item.steps)
    assert (point.steps, point.restore_bytes) == (3, 1015)
    assert point.proof.bytes_vouched == 115  # 100 of each, as far as an image is long
    assert point.proof.bytes_needed == 1015


def test_a_point_is_as_bad_as_what_it_needs():
    rows = Rows()
    rows.backup("base.qcow2", (bad(),))
    rows.backup("one.qcow2", parents=named("base.qcow2"))
    assert not any(point.usable for point in one(rows).points)
    assert one(rows).newest is None


def test_long_chains_need_no_deep_stack():
    rows = Rows()
    rows.backup("0.qcow2")
    for number in range(1, 3000):
        rows.backup(f"{number}.qcow2", parents=named(f"{number - 1}.qcow2"))
    assert max(point.steps for point in one(rows).points) == 3000


# History


def test_images_that_are_gone_are_remembered_with_their_source():
    rows = Rows()
    rows.backup("a-full-2026-01-11.qcow2", payload_bytes=70)
    before = measured("a-full-2026-01-04.qcow2", datetime(2026, 1, 4, tzinfo=UTC))
    source = one(rows, history=(before,))
    assert [measure.payload_bytes for measure in source.history] == [50, 70]
    assert [measure.key is None for measure in source.history] == [True, False]


def test_source_whose_backups_are_all_gone_is_still_a_source():
    rows = Rows()
    rows.backup("a-2026-01-04.qcow2", file=GONE)
    source = one(rows)
    assert (source.name, source.images, len(source.history)) == ("a", (), 1)


def test_part_of_another_image_is_no_source_that_is_gone():
    rows = Rows()
    rows.backup("a.qcow2", members=("a.raw",))
    rows.backup("a.raw", file={"known_as": "raw_disk"}, kind=None)
    assert names(rows) == ["a"]


def test_pieces_are_measured_together():
    rows = Rows()
    for number in (1, 2):
        piece = PieceOf(Identity("set", "s"), number, 2)
        rows.backup(
            f"a{number}.qcow2", piece=piece, payload_bytes=40, created_at=OLD, kind=Kind.FULL
        )
    (measure,) = one(rows).history
    assert (measure.payload_bytes, measure.whole) == (80, True)


def test_image_with_a_missing_piece_is_not_whole():
    rows = Rows()
    piece = PieceOf(Identity("set", "s"), 1, 2)
    rows.backup("a1.qcow2", piece=piece, payload_bytes=40)
    (measure,) = one(rows).history
    assert not measure.whole


def test_cut_image_is_not_whole():
    rows = Rows()
    rows.backup("a.qcow2", needed_bytes=2 << 20)
    (measure,) = one(rows).history
    assert not measure.whole


def test_unknown_size_is_unknown_and_not_zero():
    rows = Rows()
    rows.backup("a.qcow2")
    (measure,) = one(rows).history
    assert measure.payload_bytes is None


# What is declared


def test_declared_name_goes_first_and_puts_disk_images_together():
    rows = Rows()
    rows.backup("clinic/monday.qcow2")
    rows.backup("clinic/tuesday.qcow2")
    rows.backup("other.qcow2")
    declared = SourceExpectation("clinic-disk", match=("clinic/**",), machine="SRV1")
    assert names(rows, declared) == ["clinic-disk", "other"]
    clinic = found(rows, declared)[0]
    assert (len(clinic.images), clinic.machine, clinic.declared) == (2, "SRV1", declared)


def test_declared_source_without_any_backup_is_there_to_be_missed():
    declared = SourceExpectation("clinic-disk", match=("clinic/**",))
    source = one(Rows(), declared)
    assert (source.name, source.images, source.points) == ("clinic-disk", (), ())


def test_ids_hold_from_run_to_run_and_differ_from_source_to_source():
    rows = Rows()
    rows.backup("a/disk.qcow2")
    rows.backup("b/disk.qcow2")
    first, second = found(rows)
    assert first.id != second.id
    again = Rows()
    again.backup("zero.qcow2")
    again.backup("a/disk.qcow2")
    assert found(again)[0].id == first.id


def test_a_file_written_over_has_two_measures():
    rows = Rows()
    rows.backup("a.qcow2", payload_bytes=70)
    before = measured("a.qcow2", OLD - timedelta(days=7), created_at=None)
    source = one(rows, history=(before,))
    assert [measure.payload_bytes for measure in source.history] == [50, 70]
    assert source.history[0].key is None
