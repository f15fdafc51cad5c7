"""The next backups: the clinic's first night, growth, what is kept, what shares a room.

Sources are made by hand; what is expected was worked out on paper.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.core.model import Kind
from scanner.expectations import Expectations, RepositoryExpectation, SourceExpectation
from scanner.judge.advice import Severity
from scanner.judge.forecast.fitting import Prospect
from scanner.judge.forecast.forecast import forecast_advice, forecasts
from scanner.judge.forecast.room import ALLOTMENT, FILE_SYSTEM, QUOTA, Room, ground_of
from scanner.judge.forecast.together import together
from scanner.judge.model import Verdict
from scanner.judge.sources.model import SourceKind
from scanner.ledger.rows import RepositoryRow, SpaceRow
from scanner.results import FileState
from tests.scanner.judge.built_sources import NOW, Backup, days, source_of, weekly

GB = 10**9
REPOSITORY = RepositoryRow(1, "fs", "backups", "/srv/backups")
RANKS = (Prospect.FITS, Prospect.TIGHT, Prospect.WONT, Prospect.CANNOT)
FRIDAY = "0 22 * * FRI"
CLINIC = SourceExpectation(name="vm", match=("vm/**",), expected=800 * GB, schedule=FRIDAY)


def space(total=500 * GB, free=None, quota=None, used=None, number=1):
    return SpaceRow(
        number,
        total,
        total if free is None else free,
        quota,
        used,
        read_only=False,
        measured_at=NOW,
    )


def ground(*sources, spaces=None, now=NOW, zone=UTC, allotment=None, repositories=(REPOSITORY,)):
    files = [file for one in sources for image in one.images for file in image.files]
    expected = (RepositoryExpectation("/srv/backups", allotment),) if allotment else ()
    return ground_of(
        sources,
        repositories,
        files,
        [space()] if spaces is None else spaces,
        Expectations(repositories=expected),
        now,
        zone,
    )


def full_of(source, **changes):
    """Return the forecast of the next full."""
    found = forecasts(source, ground(source, **changes))
    assert found[0].kind is Kind.FULL
    return found[0]


def sizes_of(forecast):
    return forecast.low_bytes, forecast.likely_bytes, forecast.high_bytes


def rules_of(source, **changes):
    found = forecasts(source, ground(source, **changes))
    return [(item.rule, item.severity) for item in forecast_advice(source, found)]


# The clinic


def test_what_is_declared_is_held_against_the_room_before_any_full_was_made():
    source = source_of(declared=CLINIC)
    found = full_of(source)
    assert found.outcome is Prospect.CANNOT
    assert found.basis == "declared size alone"
    assert sizes_of(found) == (652 * GB, 812 * GB, 972 * GB)
    assert found.due_at == datetime(2026, 11, 27, 22, tzinfo=UTC)
    assert found.text == (
        "needs about 812 GB (652 GB to 972 GB) on Friday 2026-11-27, "
        "500 GB on the whole file system: cannot ever fit"
    )
    assert rules_of(source) == [("forecast.cannot-fit", Severity.WARNING)]


def test_a_full_that_broke_off_tells_what_its_own_map_needs():
    cut = Backup(NOW - timedelta(hours=5), 300 * GB, source=800 * GB, needed=700 * GB, whole=False)
    found = full_of(source_of(cut), spaces=[space(free=200 * GB)])
    assert sizes_of(found) == (700 * GB, 812 * GB, 812 * GB)
    assert found.basis == "source size alone"
    assert found.outcome is Prospect.CANNOT
    assert found.text == (
        "needs at least 700 GB and up to 812 GB (going by the source size alone), "
        "500 GB on the whole file system: cannot ever fit"
    )


def test_a_full_that_broke_off_is_not_taken_for_a_compressed_one():
    cut = Backup(
        NOW - timedelta(hours=5),
        300 * GB,
        source=800 * GB,
        payload=690 * GB,
        needed=700 * GB,
        whole=False,
    )
    found = full_of(source_of(cut, declared=CLINIC), spaces=[space(free=200 * GB)])
    assert sizes_of(found) == (700 * GB, 812 * GB, 812 * GB)
    assert found.outcome is Prospect.CANNOT


def test_a_compressed_full_that_broke_off_leaves_open_how_much_it_needs():
    cut = Backup(
        NOW - timedelta(hours=5),
        100 * GB,
        source=800 * GB,
        payload=690 * GB,
        needed=200 * GB,
        whole=False,
    )
    found = full_of(source_of(cut, declared=CLINIC), spaces=[space(free=200 * GB)])
    assert found.low_bytes == 200 * GB
    assert found.outcome is Prospect.WONT


def test_a_full_that_broke_off_with_all_the_room_there_is_can_never_fit():
    cut = Backup(NOW - timedelta(hours=5), 490 * GB, source=800 * GB, whole=False)
    found = full_of(source_of(cut), spaces=[space(free=GB)])
    assert found.outcome is Prospect.CANNOT
    assert "which the last one filled before it ended: cannot ever fit" in found.text


def test_a_full_that_broke_off_beside_others_says_no_such_thing():
    old = Backup(NOW - timedelta(days=7), 200 * GB, source=800 * GB)
    cut = Backup(NOW - timedelta(hours=5), 299 * GB, source=800 * GB, whole=False)
    found = full_of(source_of(old, cut), spaces=[space(free=GB)])
    assert found.outcome is Prospect.WONT
    assert found.low_bytes == 299 * GB


ENDED = "; the newest full ended when no room was left, and does not hold all of its disk"


def test_a_full_that_ended_as_the_room_did_is_not_believed_to_be_whole():
    # Seen of qemu-img: it closes the image in good order when the disk is full.
    last = Backup(NOW - timedelta(hours=5), 495 * GB, payload=490 * GB, source=800 * GB)
    found = full_of(source_of(last), spaces=[space(free=GB)])
    assert sizes_of(found) == (495 * GB, 812 * GB, 812 * GB)
    assert (found.outcome, found.kept) == (Prospect.CANNOT, 0)
    assert found.text.endswith("which the last one filled before it ended: cannot ever fit")
    assert rules_of(source_of(last), spaces=[space(free=GB)]) == [
        ("forecast.cannot-fit", Severity.WARNING)
    ]


def test_a_full_that_ended_as_the_room_did_beside_older_ones_is_no_history():
    older = weekly([300 * GB] * 2, last=NOW - timedelta(days=7), payload=300 * GB, source=800 * GB)
    last = Backup(NOW - timedelta(hours=5), 395 * GB, payload=390 * GB, source=800 * GB)
    found = full_of(source_of(*older, last), spaces=[space(1000 * GB, free=GB)])
    assert found.basis == "growth over 2 fulls"
    assert found.low_bytes == 395 * GB
    assert (found.outcome, found.kept) == (Prospect.WONT, 2)
    assert found.text.endswith(ENDED)


@pytest.mark.parametrize(
    ("changes", "room"),
    [
        ({"payload": 799 * GB}, {"spaces": [space(1000 * GB, free=GB)]}),
        ({}, {"spaces": [space(1000 * GB, free=500 * GB)]}),
        ({"payload": None}, {"spaces": [space(1000 * GB, free=GB)]}),
        ({}, {"spaces": [space(1000 * GB, free=500 * GB)], "allotment": 496 * GB}),
    ],
    ids=["all of the disk", "room left", "payload unknown", "an allotment on paper"],
)
def test_a_full_is_believed_where_nothing_speaks_against_it(changes, room):
    last = Backup(NOW - timedelta(hours=5), 495 * GB, payload=490 * GB, source=800 * GB)
    found = full_of(source_of(replace(last, **changes)), **room)
    assert (found.basis, found.kept) == ("1 earlier full", 1)
    assert ENDED not in found.text


def test_a_database_backup_has_a_trailer_and_is_believed():
    last = Backup(NOW - timedelta(hours=5), 495 * GB, payload=490 * GB, source=800 * GB)
    found = full_of(source_of(last, kind=SourceKind.DATABASE), spaces=[space(free=GB)])
    assert found.basis == "1 earlier full"


def test_a_thin_disk_whose_size_alone_is_known_is_no_reason_to_call():
    cut = Backup(NOW - timedelta(hours=5), GB, source=2000 * GB, whole=False)
    found = full_of(source_of(cut), spaces=[space(free=400 * GB)])
    assert sizes_of(found) == (GB, 2030 * GB, 2030 * GB)
    assert found.outcome is Prospect.TIGHT
    assert rules_of(source_of(cut)) == [("forecast.tight", Severity.ADVICE)]


def test_what_the_format_knows_to_be_in_use_is_needed():
    cut = Backup(NOW - timedelta(hours=5), GB, source=2000 * GB, used=600 * GB, whole=False)
    found = full_of(source_of(cut))
    assert sizes_of(found) == (600 * GB, 609 * GB, 2030 * GB)
    assert found.outcome is Prospect.CANNOT


def test_what_is_in_use_may_take_less_where_it_is_compressed():
    cut = Backup(
        NOW - timedelta(hours=5), GB, source=2000 * GB, used=600 * GB, whole=False,
        facts={"Compressed": 1},
    )  # fmt: skip
    found = full_of(source_of(cut))
    assert found.low_bytes == GB
    assert found.outcome is Prospect.TIGHT


def test_a_damaged_map_is_believed_as_far_as_the_source_is_large():
    cut = Backup(NOW - timedelta(hours=5), GB, source=400 * GB, needed=1 << 60, whole=False)
    found = full_of(source_of(cut))
    assert found.low_bytes == 406 * GB
    assert found.outcome is not Prospect.CANNOT


def test_after_the_allotment_is_doubled_and_a_full_succeeded_it_fits():
    source = source_of(Backup(NOW - timedelta(days=2), 790 * GB, source=800 * GB), declared=CLINIC)
    found = full_of(source, spaces=[space(4000 * GB, 2000 * GB)])
    assert found.outcome is Prospect.FITS
    assert found.basis == "1 earlier full"
    assert rules_of(source, spaces=[space(4000 * GB, 2000 * GB)]) == []


# History


def test_growth_leads_to_the_size_on_the_day_it_is_due():
    source = source_of(*weekly([100 * GB + 10 * GB * index for index in range(8)]))
    found = full_of(source, spaces=[space(2000 * GB)])
    assert found.due_at == NOW + timedelta(weeks=1)
    assert found.likely_bytes == pytest.approx(180 * GB)
    assert found.basis == "growth over 8 fulls"
    assert sizes_of(found) == (175_500_000_000, 180 * GB, 184_500_000_000)
    assert found.text == "needs 180 GB on Sunday 2026-11-29, 2 TB free: fits"


def test_compressed_fulls_are_predicted_by_what_they_store():
    fulls = [
        Backup(at, size, payload=3 * size) for at, size in zip(
            days(27, 20, 13, 6), (100 * GB, 110 * GB, 120 * GB, 130 * GB), strict=True)
    ]  # fmt: skip
    found = full_of(source_of(*fulls), spaces=[space(2000 * GB)])
    assert found.likely_bytes == pytest.approx(140 * GB)


def test_one_earlier_full_may_be_a_fifth_off_and_no_larger_than_its_source():
    source = source_of(Backup(NOW - timedelta(days=1), 90 * GB, source=100 * GB))
    assert sizes_of(full_of(source)) == (72 * GB, 90 * GB, 101_500_000_000)


def test_backups_larger_than_their_source_hold_more_and_are_not_held_to_its_size():
    source = source_of(Backup(NOW - timedelta(days=1), 200 * GB, source=100 * GB))
    assert full_of(source).high_bytes == 240 * GB


def test_empty_and_unfinished_fulls_are_no_history():
    good = weekly([100 * GB] * 4, last=NOW - timedelta(days=7))
    empty = Backup(NOW - timedelta(days=2), 2 * GB, payload=0)
    holes = Backup(NOW - timedelta(days=2, hours=1), 3 * GB, nonzero=0)
    said = Backup(NOW - timedelta(days=2, hours=2), 4 * GB, verdict=Verdict.EMPTY)
    cut = Backup(NOW - timedelta(days=1), 5 * GB, whole=False)
    found = full_of(source_of(*good, empty, holes, said, cut))
    assert found.likely_bytes == 100 * GB
    assert found.low_bytes == 95 * GB
    assert found.basis == "growth over 4 fulls"


def test_a_later_full_that_broke_off_larger_than_all_before_raises_the_size():
    good = weekly([100 * GB] * 4, last=NOW - timedelta(days=7))
    cut = Backup(NOW - timedelta(hours=4), 250 * GB, whole=False)
    assert sizes_of(full_of(source_of(*good, cut))) == (250 * GB,) * 3


def test_a_damaged_map_is_not_believed_where_backups_are_larger_than_their_source():
    whole = Backup(NOW - timedelta(days=2), 200 * GB, source=100 * GB)
    cut = Backup(NOW - timedelta(days=1), GB, source=100 * GB, needed=1 << 60, whole=False)
    assert sizes_of(full_of(source_of(whole, cut))) == (160 * GB, 200 * GB, 240 * GB)


def test_what_broke_off_before_a_full_succeeded_is_forgotten():
    cut = Backup(NOW - timedelta(days=60), 250 * GB, whole=False)
    good = weekly([100 * GB] * 4, last=NOW - timedelta(days=1))
    assert sizes_of(full_of(source_of(cut, *good))) == (95 * GB, 100 * GB, 105 * GB)


def test_sets_appended_to_one_file_take_a_part_of_it_each():
    size = 350 * GB
    appended = [
        Backup(at, size, path="db.bak", needed=end * GB)
        for at, end in zip(days(20, 13, 6), (100, 210, 350), strict=True)
    ]
    found = full_of(source_of(*appended), spaces=[space(2000 * GB, 1000 * GB)])
    assert found.likely_bytes == pytest.approx(160 * GB)
    assert (found.kept, found.kept_bytes) == (3, 350 * GB)
    assert found.replaced_bytes == 0, "nothing is written over"


def test_appended_sets_without_known_ends_count_by_nothing():
    appended = [Backup(at, 350 * GB, path="db.bak") for at in days(21, 14, 7)]
    assert forecasts(source_of(*appended), ground()) == ()


def test_sparse_files_take_what_they_store():
    sparse = [replace(item, allocated=80 * GB) for item in weekly([800 * GB] * 3)]
    found = full_of(source_of(*sparse), spaces=[space(500 * GB, 260 * GB)])
    assert found.likely_bytes == 80 * GB
    assert found.kept_bytes == 240 * GB
    assert found.outcome is Prospect.FITS


def test_a_sparse_file_that_broke_off_says_nothing_of_how_much_the_source_holds():
    cut = Backup(
        NOW - timedelta(days=1), 400 * GB, source=800 * GB, needed=800 * GB, allocated=40 * GB,
        whole=False,
    )  # fmt: skip
    assert sizes_of(full_of(source_of(cut))) == (80 * GB, 812 * GB, 812 * GB)


def test_files_moved_to_other_storage_do_not_make_the_next_one_small():
    moved = [replace(item, allocated=0) for item in weekly([800 * GB] * 3)]
    assert full_of(source_of(*moved)).likely_bytes == 800 * GB


# Increments


def test_the_next_increment_has_the_usual_size_of_its_kind():
    fulls = weekly([100 * GB] * 3, last=NOW - timedelta(days=6))
    increments = [
        Backup(at, size * GB, Kind.INCREMENTAL)
        for at, size in zip(days(5, 4, 3, 2, 1), (5, 6, 40, 5, 5), strict=True)
    ]
    source = source_of(*fulls, *increments)
    _, found = forecasts(source, ground(source))
    assert found.kind is Kind.INCREMENTAL
    assert sizes_of(found) == (4 * GB, 5 * GB, 6 * GB)
    assert found.basis == "5 earlier incrementals"
    assert found.due_at == NOW + timedelta(days=1)
    assert found.outcome is Prospect.FITS


def test_differentials_grow_since_their_full():
    fulls = weekly([100 * GB] * 2, last=NOW - timedelta(days=5))
    before = [Backup(at, 50 * GB, Kind.DIFFERENTIAL) for at in days(10, 9, 8, 7, 6, now=NOW)]
    since = [
        Backup(at, size * GB, Kind.DIFFERENTIAL)
        for at, size in zip(days(4, 3, 2, 1), (10, 20, 30, 40), strict=True)
    ]
    source = source_of(*fulls, *before, *since)
    _, found = forecasts(source, ground(source, now=NOW - timedelta(minutes=1)))
    assert found.likely_bytes == pytest.approx(50 * GB)
    assert found.basis == "growth over 4 differentials since the last full"


def test_a_kind_that_is_not_made_any_more_is_not_forecast():
    fulls = weekly([100 * GB] * 12)
    old = [Backup(at, GB, Kind.DIFFERENTIAL) for at in days(63, 62, 61, 60)]
    source = source_of(*fulls, *old)
    assert [item.kind for item in forecasts(source, ground(source))] == [Kind.FULL]


def test_a_larger_increment_than_there_is_room_for_is_a_warning():
    fulls = weekly([100 * GB] * 3, last=NOW - timedelta(days=3))
    increments = [Backup(at, 60 * GB, Kind.INCREMENTAL) for at in days(2, 1)]
    source = source_of(*fulls, *increments)
    rules = rules_of(source, spaces=[space(free=50 * GB)])
    assert rules == [("forecast.will-not-fit", Severity.WARNING)] * 2


# Room


def test_copies_that_are_kept_lie_there_while_the_next_is_written():
    source = source_of(*weekly([100 * GB] * 4))
    found = full_of(source, spaces=[space(free=90 * GB)])
    assert (found.kept, found.kept_bytes, found.outcome) == (4, 400 * GB, Prospect.WONT)
    assert found.text == (
        "needs 100 GB on Sunday 2026-11-29 beside 4 fulls kept (400 GB in all), 90 GB free: "
        "will not fit; it would if the oldest full (100 GB) were deleted first"
    )
    assert rules_of(source, spaces=[space(free=90 * GB)]) == [
        ("forecast.will-not-fit", Severity.WARNING)
    ]


def test_what_broke_off_is_named_as_what_could_go():
    source = source_of(
        *weekly([100 * GB] * 4, last=NOW - timedelta(days=7)),
        Backup(NOW - timedelta(hours=8), 60 * GB, whole=False),
    )
    found = full_of(source, spaces=[space(free=45 * GB)])
    assert found.text.endswith("it would if what broke off (60 GB) were deleted first")


def test_a_full_written_over_the_old_one_each_time_needs_no_second_room():
    nightly = [
        Backup(at, 300 * GB, path="db.bak", gone=index < 3)
        for index, at in enumerate(days(4, 3, 2, 1))
    ]
    source = source_of(*nightly)
    found = full_of(source, spaces=[space(free=150 * GB)])
    assert (found.replaced_bytes, found.kept_bytes) == (300 * GB, 0)
    assert found.outcome is Prospect.TIGHT
    assert found.text.endswith("fits only because it overwrites an old one (300 GB)")


def test_what_is_taken_too_much_must_go_even_where_an_old_one_is_written_over():
    nightly = [
        Backup(at, 100 * GB, path="db.bak", gone=index < 3)
        for index, at in enumerate(days(4, 3, 2, 1))
    ]
    other = [Backup(at, 60 * GB, Kind.LOG) for at in days(3, 2)]
    source = source_of(*nightly, *other)
    assert full_of(source, spaces=[], allotment=220 * GB).outcome is Prospect.TIGHT
    assert full_of(source, spaces=[], allotment=200 * GB).outcome is Prospect.WONT


def test_writing_over_an_old_one_once_is_no_habit():
    twice = [
        Backup(NOW - timedelta(days=2), 300 * GB, path="db.bak", gone=True),
        Backup(NOW - timedelta(days=1), 300 * GB, path="db.bak"),
    ]
    found = full_of(source_of(*twice), spaces=[space(free=150 * GB)])
    assert (found.replaced_bytes, found.outcome) == (0, Prospect.WONT)


def test_names_that_come_round_give_the_oldest_copys_room():
    names = ("a.bak", "b.bak") * 3
    fulls = [
        Backup(at, (100 + index) * GB, path=name, gone=index < 4)
        for index, (at, name) in enumerate(zip(days(6, 5, 4, 3, 2, 1), names, strict=True))
    ]
    found = full_of(source_of(*fulls), spaces=[space(free=50 * GB)])
    assert (found.replaced_bytes, found.kept_bytes) == (104 * GB, 105 * GB)


def test_a_full_that_is_being_written_has_its_room_already():
    begun = Backup(NOW - timedelta(minutes=50), 300 * GB, source=400 * GB, needed=400 * GB,
                   whole=False, written=NOW - timedelta(minutes=1))  # fmt: skip
    found = full_of(source_of(begun), spaces=[space(free=200 * GB)])
    assert found.outcome is Prospect.FITS
    stopped = replace(begun, written=NOW - timedelta(hours=1))
    assert full_of(source_of(stopped), spaces=[space(free=200 * GB)]).outcome is Prospect.WONT


def test_the_tightest_of_allotment_quota_and_file_system_counts():
    source = source_of(Backup(NOW - timedelta(days=1), 100 * GB))
    everything = [space(4000 * GB, 3000 * GB, quota=900 * GB, used=850 * GB)]
    found = full_of(source, spaces=everything)
    assert found.room == Room(900 * GB, 50 * GB, QUOTA, QUOTA)
    found = full_of(source, spaces=everything, allotment=500 * GB)
    assert found.room == Room(500 * GB, 50 * GB, ALLOTMENT, QUOTA)
    found = full_of(source, spaces=[space(4000 * GB, 3000 * GB)])
    assert found.room == Room(4000 * GB, 3000 * GB, FILE_SYSTEM, FILE_SYSTEM)


def test_what_lies_in_a_repository_counts_against_its_allotment():
    one = source_of(*weekly([100 * GB] * 2), name="one")
    other = source_of(*weekly([150 * GB] * 1), name="other")
    found = forecasts(one, ground(one, other, spaces=[space(4000 * GB)], allotment=500 * GB))
    assert found[0].room == Room(500 * GB, 150 * GB, ALLOTMENT, ALLOTMENT)
    assert "150 GB free of 500 GB allotted" in found[0].text


def test_what_is_taken_beyond_the_allotment_must_go_first():
    source = source_of(
        *weekly([100 * GB] * 8), *[Backup(at, 5 * GB, Kind.LOG) for at in days(2, 1)]
    )
    found = full_of(source, spaces=[space(4000 * GB)], allotment=700 * GB)
    assert found.room == Room(700 * GB, 0, ALLOTMENT, ALLOTMENT, over_bytes=110 * GB)
    assert found.outcome is Prospect.WONT
    assert "would if" not in found.text, "without the oldest full it would not fit either"


def test_sources_of_one_declaration_share_what_is_allotted_to_it():
    declared = SourceExpectation(name="all", match=("**",), allotment=500 * GB, expected=9000 * GB)
    one = source_of(*weekly([100 * GB] * 2), name="one", declared=declared)
    other = source_of(*weekly([150 * GB] * 2), name="other", declared=declared)
    found = forecasts(one, ground(one, other, spaces=[]))
    assert found[0].room == Room(500 * GB, 0, ALLOTMENT, ALLOTMENT)
    assert found[0].outcome is Prospect.WONT
    unseen = source_of(Backup(NOW, GB, whole=False), name="third", declared=declared)
    assert forecasts(unseen, ground(unseen)) == (), "nobody declared the size of this one"


def test_files_that_are_gone_take_no_room():
    source = source_of(*weekly([100 * GB] * 2))
    files = [file for image in source.images for file in image.files]
    gone = replace(files[0], id=99, state=FileState.GONE)
    expected = Expectations(repositories=(RepositoryExpectation("/srv/backups", 500 * GB),))
    on = ground_of([source], [REPOSITORY], [*files, gone], [], expected, NOW, UTC)
    assert on.taken_bytes == {1: 200 * GB}


def test_a_quota_of_unknown_use_is_not_taken_for_empty():
    source = source_of(Backup(NOW - timedelta(days=1), 100 * GB))
    found = full_of(source, spaces=[space(4000 * GB, 3000 * GB, quota=900 * GB)])
    assert found.room == Room(900 * GB, 3000 * GB, QUOTA, FILE_SYSTEM)


def test_without_any_room_known_nothing_is_said_to_fit():
    source = source_of(*weekly([100 * GB] * 4))
    found = full_of(source, spaces=[])
    assert (found.room, found.outcome) == (None, Prospect.UNKNOWN)
    assert found.text == "needs 100 GB on Sunday 2026-11-29; how much room there is nobody says"
    assert rules_of(source, spaces=[]) == []


def test_sources_on_one_file_system_are_told_that_they_share_it():
    one = source_of(*weekly([100 * GB] * 4), name="one")
    other = source_of(*weekly([100 * GB] * 4), name="other")
    found = forecasts(one, ground(one, other, spaces=[space(2000 * GB)]))
    assert found[0].text.endswith("2 TB free, shared with 1 other source: fits")


def test_the_next_full_goes_where_the_newest_backup_lies():
    elsewhere = RepositoryRow(2, "fs2", "new", "/srv/new")
    source = source_of(
        Backup(NOW - timedelta(days=8), 100 * GB),
        Backup(NOW - timedelta(days=1), 100 * GB, repository=2),
    )
    spaces = [space(), space(900 * GB, number=2)]
    found = full_of(source, spaces=spaces, repositories=(REPOSITORY, elsewhere))
    assert found.repository_id == 2
    assert found.room == Room(900 * GB, 900 * GB, FILE_SYSTEM, FILE_SYSTEM)


# When


def test_a_schedule_of_everything_is_that_of_the_increments():
    nightly = SourceExpectation(name="vm", match=("**",), schedule="0 22 * * *")
    fulls = weekly([100 * GB] * 3, last=NOW - timedelta(days=3))
    increments = [Backup(at, GB, Kind.INCREMENTAL) for at in days(10, 9, 8, 7, 6, 5, 4, 2, 1)]
    source = source_of(*fulls, *increments, declared=nightly)
    full, increment = forecasts(source, ground(source))
    assert full.due_at == fulls[-1].at + timedelta(weeks=1)
    assert increment.due_at == datetime(2026, 11, 22, 22, tzinfo=UTC)


def test_a_weekly_schedule_is_that_of_the_fulls():
    friday = SourceExpectation(name="vm", match=("**",), schedule=FRIDAY)
    fulls = weekly([100 * GB] * 3, last=NOW - timedelta(days=3))
    increments = [Backup(at, GB, Kind.INCREMENTAL) for at in days(10, 9, 8, 7, 6, 5, 4, 2, 1)]
    source = source_of(*fulls, *increments, declared=friday)
    full, increment = forecasts(source, ground(source))
    assert full.due_at == datetime(2026, 11, 27, 22, tzinfo=UTC)
    assert increment.due_at == NOW + timedelta(days=1)


def test_by_habit_the_hour_stays_when_the_clocks_change():
    berlin = ZoneInfo("Europe/Berlin")
    now = datetime(2026, 10, 24, 12, tzinfo=UTC)  # the night before the clocks go back
    fulls = weekly([GB] * 4, last=datetime(2026, 10, 23, 22, tzinfo=berlin).astimezone(UTC))
    source = source_of(*fulls)
    found = full_of(source, now=now, zone=berlin)
    assert found.due_at == datetime(2026, 10, 30, 22, tzinfo=berlin)


def test_retries_of_one_night_are_no_habit():
    fulls = weekly([100 * GB] * 4, last=NOW - timedelta(days=1))
    tried = [replace(item, at=item.at + timedelta(hours=1)) for item in fulls]
    source = source_of(*fulls, *tried)
    assert full_of(source).due_at == NOW + timedelta(days=6)


def test_a_full_that_was_missed_is_expected_at_its_next_time():
    source = source_of(*weekly([100 * GB] * 4, last=NOW - timedelta(days=9)))
    assert full_of(source).due_at == NOW + timedelta(days=5)


def test_after_one_full_nobody_knows_whether_there_will_be_another():
    source = source_of(Backup(NOW - timedelta(days=1), 300 * GB))
    found = full_of(source, spaces=[space(free=100 * GB)])
    assert (found.due_at, found.outcome) == (None, Prospect.WONT)
    assert rules_of(source, spaces=[space(free=100 * GB)]) == [
        ("forecast.will-not-fit", Severity.ADVICE)
    ]


def test_nothing_is_forecast_of_a_backup_from_years_ago():
    old = Backup(NOW - timedelta(days=2000), 800 * GB)
    assert forecasts(source_of(old), ground()) == ()
    declared = source_of(old, declared=replace_schedule(CLINIC))
    assert len(forecasts(declared, ground(declared))) == 1


def replace_schedule(item):
    return SourceExpectation(name=item.name, match=item.match, expected=item.expected)


def test_nothing_is_forecast_where_nothing_is_known():
    assert forecasts(source_of(), ground()) == ()
    unreadable = Backup(NOW - timedelta(days=1), 100, kind=None)
    assert forecasts(source_of(unreadable), ground()) == ()


# Together


def three(size=100 * GB, **changes):
    return [
        source_of(*weekly([size] * 4), name=name, **changes) for name in ("one", "two", "three")
    ]


def all_of(sources, **changes):
    on = ground(*sources, **changes)
    return together([(one, forecasts(one, on)) for one in sources], on)


def test_fulls_that_fit_alone_may_not_fit_together():
    sources = three()
    (found,) = all_of(sources, spaces=[space(4000 * GB, 250 * GB)])
    assert found.outcome is Prospect.WONT
    assert found.needed_bytes == 300 * GB
    assert found.sources == ("id of one", "id of two", "id of three")
    assert found.text == (
        "all 3 next fulls in '/srv/backups' together need 300 GB; 250 GB are free"
    )
    (found,) = all_of(sources, spaces=[space(4000 * GB, 350 * GB)])
    assert found.outcome is Prospect.FITS


@pytest.mark.parametrize(
    ("free", "by", "outcome"),
    [(4000 * GB, ALLOTMENT, Prospect.WONT), (50 * GB, FILE_SYSTEM, Prospect.WONT)],
)
def test_of_an_allotment_and_its_file_system_the_tighter_counts(free, by, outcome):
    (found,) = all_of(three(), spaces=[space(4000 * GB, free)], allotment=1400 * GB)
    assert (found.room.by, found.outcome) == (by, outcome)


def test_repositories_of_one_file_system_share_it():
    second = RepositoryRow(2, "fs", "more", "/srv/more")
    one = source_of(*weekly([100 * GB] * 4), name="one")
    two = source_of(*weekly([100 * GB] * 4, repository=2), name="two")
    (found,) = all_of(
        [one, two],
        spaces=[space(4000 * GB, 150 * GB), space(4000 * GB, 150 * GB, number=2)],
        repositories=(REPOSITORY, second),
    )
    assert found.repository_ids == (1, 2)
    assert found.outcome is Prospect.WONT
    assert "'/srv/backups' and '/srv/more'" in found.text


def test_what_is_written_over_is_not_needed_twice():
    def rotating(name):
        return source_of(
            *[
                Backup(at, 100 * GB, path=f"{name}.bak", gone=index < 3)
                for index, at in enumerate(days(4, 3, 2, 1))
            ],
            name=name,
        )

    (found,) = all_of([rotating("one"), rotating("two")], spaces=[space(4000 * GB, 50 * GB)])
    assert (found.needed_bytes, found.outcome) == (0, Prospect.TIGHT)
    assert "together need 0 B; 50 GB are free" in found.text


def test_of_what_only_the_source_size_is_known_the_least_is_counted():
    friday = SourceExpectation(name="thin", match=("thin/**",), schedule=FRIDAY)
    cut = Backup(NOW - timedelta(days=1), 3 * GB, source=2000 * GB, whole=False)
    thin = source_of(cut, name="thin", declared=friday)
    known = source_of(*weekly([100 * GB] * 4))
    (found,) = all_of([known, thin], spaces=[space(4000 * GB, 500 * GB)])
    assert found.needed_bytes == 103 * GB
    assert found.text.startswith("both next fulls in '/srv/backups' together need 103 GB")


def test_fulls_of_next_year_are_not_added_to_those_of_this_week():
    yearly = SourceExpectation(name="archive", match=("a/**",), schedule="0 22 1 6 *")
    rare = source_of(Backup(NOW - timedelta(days=170), GB), name="archive", declared=yearly)
    assert all_of([*three()[:1], rare], spaces=[space(4000 * GB)]) == ()


def test_one_full_alone_is_not_told_again():
    source = source_of(*weekly([100 * GB] * 4))
    assert all_of([source]) == ()


# Properties

SIZE = st.integers(1, 2000).map(lambda number: number * GB)
HISTORIES = st.lists(
    st.tuples(SIZE, st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=8
)


def drawn(rows, factor=1):
    """Return backups of a source: size, whether they broke off, are gone, were written over."""
    return [
        Backup(
            NOW - timedelta(days=7 * (len(rows) - index)),
            size * factor,
            source=2500 * GB * factor,
            whole=not broken,
            gone=gone and index < len(rows) - 1,
            path="same.disk" if over and gone else None,
        )
        for index, (size, broken, gone, over) in enumerate(rows)
    ]


@given(HISTORIES, SIZE, SIZE)
@settings(deadline=None, max_examples=60)
def test_bounds_are_ordered_and_the_order_of_discovery_changes_nothing(rows, total, free):
    backups = drawn(rows)
    source = source_of(*backups)
    on = ground(source, spaces=[space(max(total, free), free)])
    found = forecasts(source, on)
    for item in found:
        assert 0 <= item.low_bytes <= item.likely_bytes <= item.high_bytes
    turned = replace(
        source, history=tuple(reversed(source.history)), images=tuple(reversed(source.images))
    )
    assert forecasts(turned, on) == found


@given(HISTORIES, SIZE, SIZE, st.integers(0, 3000), st.integers(0, 3000))
@settings(deadline=None, max_examples=60)
def test_more_room_never_makes_a_worse_outcome(rows, total, free, more_total, more_free):
    source = source_of(*drawn(rows))
    small = space(max(total, free), free)
    large = space(small.total_bytes + more_total * GB, free + more_free * GB)
    before, after = full_of(source, spaces=[small]), full_of(source, spaces=[large])
    assert RANKS.index(after.outcome) <= RANKS.index(before.outcome)


@given(HISTORIES, SIZE, SIZE, st.integers(2, 5))
@settings(deadline=None, max_examples=60)
def test_a_larger_source_never_makes_a_better_outcome(rows, total, free, factor):
    # What is written over gives room as it grows, so it is left out here.
    rows = [(size, broken, gone, False) for size, broken, gone, _ in rows]
    spaces = [space(max(total, free), free)]
    small, large = source_of(*drawn(rows)), source_of(*drawn(rows, factor))
    before, after = full_of(small, spaces=spaces), full_of(large, spaces=spaces)
    assert RANKS.index(after.outcome) >= RANKS.index(before.outcome)


# A retention at work


def kept(gone: int, free: int):
    """Return the forecast of a source that keeps three fulls of 100 GB, some older ones deleted."""
    fulls = weekly([100 * GB] * (gone + 3))
    every = [replace(item, gone=index < gone) for index, item in enumerate(fulls)]
    return full_of(source_of(*every), spaces=[space(500 * GB, free)])


def test_where_older_fulls_were_deleted_the_oldest_may_be_gone_in_time():
    found = kept(gone=2, free=20 * GB)
    assert found.outcome is Prospect.TIGHT
    assert found.text.endswith(
        "fits only if the oldest full (100 GB) is deleted first, as older ones were"
    )


@pytest.mark.parametrize(
    ("gone", "free", "outcome"),
    [
        (1, 20 * GB, Prospect.WONT),  # nobody knows yet whether they are deleted
        (2, 0, Prospect.TIGHT),
        (2, 200 * GB, Prospect.FITS),
    ],
)
def test_a_retention_counts_once_it_was_seen(gone, free, outcome):
    assert kept(gone, free).outcome is outcome


def test_a_full_that_outgrew_the_oldest_will_not_fit_in_its_place():
    fulls = weekly([40 * GB] * 2 + [40 * GB, 60 * GB, 90 * GB])
    every = [replace(item, gone=index < 2) for index, item in enumerate(fulls)]
    found = full_of(source_of(*every), spaces=[space(500 * GB, 0)])
    assert found.outcome is Prospect.WONT
