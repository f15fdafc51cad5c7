"""SQL Server backups by the builder: facts, accounting, and sets that are not simply one full."""

import io
import struct
from dataclasses import replace
from uuid import UUID

import numpy as np
import pytest

from formats.core.model import (
    Algorithm,
    Bearing,
    Declared,
    Identity,
    Kind,
    Outcome,
    Part,
    Payload,
)
from formats.core.source import BytesSource
from formats.sqlserver_bak import FORMAT
from tests import damage
from tests.builders.sqlserver_bak import (
    EXTENT,
    FIRST_LSN,
    PAGE,
    SET_GUID,
    Medium,
    Recipe,
    write_backup,
    write_stripes,
)
from tests.drive import Driven, drive, summary

LATE_LSN = (FIRST_LSN[0] + 1, 16, 1)
SMALL = Recipe(database_bytes=16 * EXTENT, compressible=True)


def built(mark_bytes: int = 4096, **recipe: object) -> tuple[bytes, Medium]:
    file = io.BytesIO()
    medium = Medium(file, mark_bytes)
    medium.add_set(replace(SMALL, **recipe))
    return file.getvalue(), medium


def driven(content: bytes) -> Driven:
    return drive(FORMAT, BytesSource(content))


def rows(result: Driven, check: str) -> list[tuple[Outcome, int]]:
    return [(item.outcome, item.count) for item in result.evidence if item.check == check]


def pages_at(medium: Medium, copy: int = 0) -> int:
    return medium.structures["pages"][copy][0]


@pytest.mark.parametrize("mark_bytes", [512, 4096])
@pytest.mark.parametrize(
    "recipe",
    [
        {},
        {"checksum": True, "filler_extents": 3},
        {"every_extent": 3, "empty_pages": 2},
        {"every_extent": 3, "empty_pages": 3, "garbage": True, "again": (0, 1, 6)},
        {"protection": "torn"},
        {"protection": "none"},
        {"letter": "I", "every_extent": 5},
        {"letter": "L"},
        {"log_blocks": 40},
        {"map_lsn": LATE_LSN},
    ],
    ids=str,
)
def test_undamaged_set_has_nothing_bad(recipe, mark_bytes):
    content, _ = built(mark_bytes, **recipe)
    result = driven(content)
    assert not result.bad, summary(result.bad)
    (image,) = result.inspections
    assert image.complete
    assert image.needed_bytes == len(content)
    assert image.kind is {"I": Kind.DIFFERENTIAL, "L": Kind.LOG}.get(
        str(recipe.get("letter")), Kind.FULL
    )


def test_facts_are_those_of_headeronly_and_filelistonly():
    (image,) = driven(built(every_extent=2)[0]).inspections
    facts = image.facts
    wanted = {
        "BackupType": 1,
        "BackupTypeDescription": "Database",
        "DatabaseName": "Orders",
        "ServerName": "NAS\\SQL",
        "UserName": "NAS\\backup",
        "MachineName": "NAS",
        "FirstLSN": "40000000020000037",
        "SoftwareVersionMajor": 15,
        "SoftwareVersionBuild": 4123,
        "DatabaseVersion": 904,
        "CompatibilityLevel": 150,
        "HasBackupChecksums": False,
        "IsDamaged": False,
        "IsCopyOnly": False,
        "BackupStartDate": "2026-11-21T20:26:00+01:00",
        "BackupFinishDate": "2026-11-21T20:40:03+01:00",
        "FamilyCount": 1,
        "FamilySequenceNumber": 1,
        "SoftwareVendorId": 4608,
        "Position": 1,
    }
    assert {name: facts.get(name) for name in wanted} == wanted
    data, log = facts["FileList"]
    assert (data["LogicalName"], data["PhysicalName"]) == ("Orders", "D:\\DATA\\Orders.mdf")
    assert (data["Type"], data["FileGroupName"], data["FileId"]) == ("D", "PRIMARY", 1)
    assert (data["Size"], data["BackupSizeInBytes"]) == (16 * EXTENT, 9 * EXTENT)
    assert (data["MaxSize"], log["MaxSize"]) == (1 << 40, 1 << 40)
    assert data["DifferentialBaseLSN"] == "38000000002400001"
    assert (log["Type"], log["FileGroupName"]) == ("L", None)
    assert facts["MediaLabelPresent"] is False


@pytest.mark.parametrize(
    ("status", "model"),
    [
        (0x10000, "FULL"),
        (0x10001, "FULL"),
        (0x10004, "BULK-LOGGED"),
        (0x10008, "SIMPLE"),
        (0x1001C, "SIMPLE"),
        (0x40000000, "FULL"),
    ],
)
def test_recovery_model_is_told_by_the_status_of_the_database(status, model):
    (image,) = driven(built(status=status)[0]).inspections
    assert image.facts["RecoveryModel"] == model


@pytest.mark.parametrize(
    ("letter", "chain_lsn", "begins"),
    [
        ("L", FIRST_LSN, True),
        ("L", (39, 16, 2), False),
        ("L", (0, 0, 0), False),
        ("D", FIRST_LSN, False),
        ("I", FIRST_LSN, False),
    ],
)
def test_log_chain_begins_with_the_log_that_begins_where_the_chain_did(letter, chain_lsn, begins):
    (image,) = driven(built(letter=letter, chain_lsn=chain_lsn)[0]).inspections
    assert image.facts["BeginsLogChain"] is begins


def test_base_of_later_differentials_is_not_taken_from_the_copy_that_names_the_full_itself():
    content, medium = built(base_guid=UUID(int=0x7777))
    (image,) = driven(content).inspections
    wanted = ("38000000002400001", str(UUID(int=0x7777)).upper())
    (data, _) = image.facts["FileList"]
    assert (data["DifferentialBaseLSN"], data["DifferentialBaseGUID"]) == wanted
    start = medium.structures["configuration"][0][0]
    own = bytearray(damage.zero(content, start, 4))
    file_at = content.rindex(b"SFIN", 0, content.rindex(b"SFIN"))
    own[file_at + 158 : file_at + 168] = struct.pack("<IIH", *FIRST_LSN)
    (image,) = driven(bytes(own)).inspections
    (data, _) = image.facts["FileList"]
    assert (data["DifferentialBaseLSN"], data["DifferentialBaseGUID"]) == (None, None)


def test_inspection_speaks_of_the_database_not_of_the_file():
    content, _ = built(every_extent=2, log_blocks=3)
    (image,) = driven(content).inspections
    log = 512 * (1 + 2 + 7)
    assert image.source == "NAS\\SQL/Orders"
    assert image.source_bytes == 16 * EXTENT + (4 << 20)
    assert image.used_bytes == 9 * EXTENT
    assert image.payload_bytes == 9 * EXTENT + log
    assert image.identities == (Identity("sqlserver.backup_set_guid", str(SET_GUID).upper()),)
    assert image.lineage == str(UUID(int=0x3333)).upper()
    assert image.position is not None
    assert image.position.first == 40_00000_00200_00037
    assert image.position.last == 40_00000_00210_00001
    assert image.created_at is not None
    assert image.created_at.isoformat() == "2026-11-21T20:40:03+01:00"


def test_differential_names_its_base_and_a_log_none():
    (image,) = driven(built(letter="I", base_guid=UUID(int=7))[0]).inspections
    (parent,) = image.parents
    assert [item.value for item in parent.identities] == [str(UUID(int=7)).upper()]
    assert image.used_bytes is None
    assert driven(built(letter="L")[0]).inspections[0].parents == ()


def test_every_byte_is_vouched_for_at_most_once_and_nearly_all_are():
    for recipe in ({}, {"checksum": True, "filler_extents": 2}):
        content, _ = built(**recipe)
        vouched = sum(item.vouched_bytes for item in driven(content).evidence)
        assert 0.99 * len(content) < vouched <= len(content)


def test_pages_vouch_only_where_a_flip_would_be_noticed():
    content, _ = built(every_extent=3, empty_pages=4)
    result = driven(content)
    (row,) = [item for item in result.evidence if item.check == "sqlserver_bak.page.checksum"]
    # Six of the seven extents are stored; the first two hold no empty pages.
    assert row.count == 2 * 8 + 5 * 4
    assert row.vouched_bytes == row.count * PAGE


def test_backup_checksum_vouches_in_place_of_page_checksums():
    result = driven(built(checksum=True)[0])
    by_check = {item.check: item for item in result.evidence}
    assert by_check["sqlserver_bak.page.checksum"].vouched_bytes == 0
    assert by_check["sqlserver_bak.log.checksum"].vouched_bytes == 0
    assert by_check["sqlserver_bak.csum.stream"].count == 2


def test_unprotected_pages_are_counted_and_vouch_for_nothing():
    result = driven(built(protection="none")[0])
    assert rows(result, "sqlserver_bak.page.unprotected") == [(Outcome.ABSENT, 16 * 8)]
    assert rows(result, "sqlserver_bak.page.checksum") == []
    assert rows(result, "sqlserver_bak.log.unprotected")


def test_medium_without_a_set_is_empty():
    file = io.BytesIO()
    Medium(file)
    (image,) = driven(file.getvalue()).inspections
    assert image.payload_bytes == 0
    assert image.kind is None
    bad = [(row.check, row.bearing) for row in image.evidence if row.bad]
    assert bad == [("sqlserver_bak.media.sets", Bearing.DOUBTFUL)]


def appended() -> tuple[bytes, Medium]:
    file = io.BytesIO()
    medium = Medium(file, 512)
    medium.add_set(SMALL)
    medium.add_set(replace(SMALL, letter="I", every_extent=4, guid=UUID(int=2)))
    medium.add_set(replace(SMALL, letter="L", guid=UUID(int=3)))
    return file.getvalue(), medium


def test_appended_sets_are_images_each_with_its_own_end():
    content, medium = appended()
    result = driven(content)
    assert not result.bad, summary(result.bad)
    kinds = [image.kind for image in result.inspections]
    assert kinds == [Kind.FULL, Kind.DIFFERENTIAL, Kind.LOG]
    assert [image.facts["Position"] for image in result.inspections] == [1, 2, 3]
    ends = [image.needed_bytes for image in result.inspections]
    assert ends == [medium.marks[index] + 512 for index in (2, 4, 6)]


def test_damage_in_one_set_leaves_the_others_alone():
    content, medium = appended()
    damaged = damage.flip(content, medium.structures["pages"][1][0] + 3 * PAGE + 500)
    result = driven(damaged)
    assert [item.check for item in result.bad] == ["sqlserver_bak.page.checksum"]
    by_image = [
        any(row.bad for row in FORMAT.conclude((result.parts(index),)))
        for index in range(len(result.inspections))
    ]
    assert by_image == [False, True, False]


def test_set_that_is_lost_in_the_middle_leaves_the_later_ones_readable():
    content, medium = appended()
    start, end = medium.marks[2] + 512, medium.marks[4] + 512
    damaged = damage.zero(content, start, end - start)
    result = driven(damaged)
    assert [image.kind for image in result.inspections] == [Kind.FULL, Kind.LOG]
    assert ("mtf.block.present", start) in {(item.check, item.offset) for item in result.bad}
    assert not any(row.bad for row in result.inspections[0].evidence)


def stripes(count: int = 3, **recipe: object) -> list[bytes]:
    files = [io.BytesIO() for _ in range(count)]
    write_stripes(files, replace(SMALL, **{"filler_extents": 1, **recipe}))
    return [file.getvalue() for file in files]


def parts_of(contents: list[bytes]) -> list[Part]:
    """Return the parts of a striped set as a judge joins them."""
    results = [drive(FORMAT, BytesSource(item), conclude=False) for item in contents]
    return [
        replace(result.parts(0), member=f"{number}.bak") for number, result in enumerate(results, 1)
    ]


def test_stripes_are_pieces_of_one_media_set():
    pieces = [part.inspection.piece for part in parts_of(stripes())]
    assert [(piece.number, piece.count) for piece in pieces if piece] == [(1, 3), (2, 3), (3, 3)]
    assert len({piece.identity for piece in pieces if piece}) == 1


def test_stripes_together_are_judged_as_one_set():
    evidence = FORMAT.conclude(parts_of(stripes()))
    by_check = {row.check: row for row in evidence}
    assert not any(row.bad for row in evidence)
    assert by_check["sqlserver_bak.extent.present"].count == 16
    assert by_check["sqlserver_bak.page.checksum"].count == 16 * 8
    assert by_check["sqlserver_bak.set.backup_size"].outcome is Outcome.MATCHED


def test_single_stripe_has_nothing_bad_but_says_what_it_cannot_judge():
    for content in stripes():
        result = driven(content)
        assert not result.bad, summary(result.bad)
        assert rows(result, "sqlserver_bak.extent.map") == [(Outcome.ABSENT, 1)]


def test_damage_in_one_stripe_is_placed_in_its_file():
    contents = stripes()
    offset = parts_of(contents)[1].inspection.state.data[0].offset
    contents[1] = damage.flip(contents[1], offset + 2 * PAGE + 200)
    bad = [row for row in FORMAT.conclude(parts_of(contents)) if row.bad]
    assert [(row.check, row.offset, row.member) for row in bad] == [
        ("sqlserver_bak.page.checksum", offset + 2 * PAGE, "2.bak")
    ]


def test_zeroed_extent_at_the_end_of_a_stripe_is_no_filler():
    contents = stripes(filler_extents=0)
    data = parts_of(contents)[1].inspection.state.data[0]
    place = data.offset + data.length - EXTENT
    contents[1] = damage.zero(contents[1], place, EXTENT)
    bad = [row for row in FORMAT.conclude(parts_of(contents)) if row.bad]
    assert [(row.check, row.offset, row.member) for row in bad] == [
        ("sqlserver_bak.extent.present", place, "2.bak")
    ]


def test_stripe_of_another_backup_is_told():
    mixed = [*stripes()[:2], stripes(guid=UUID(int=9))[2]]
    bad = [row for row in FORMAT.conclude(parts_of(mixed)) if row.bad]
    assert ("sqlserver_bak.set.members", "3.bak") in {(row.check, row.member) for row in bad}


def test_stripes_without_the_one_that_holds_the_log_are_told():
    contents = stripes(2)
    parts = parts_of(contents)
    state = parts[1].inspection.state
    without = replace(
        parts[1], inspection=replace(parts[1].inspection, state=replace(state, logs=()))
    )
    bad = [row for row in FORMAT.conclude([parts[0], without]) if row.bad]
    assert [row.check for row in bad] == ["sqlserver_bak.log.range"]
    assert not any(row.bad for row in FORMAT.conclude(parts))


def test_maps_of_a_large_database_are_read_in_all_their_intervals():
    # 12 GiB: three GAM intervals, 195 PFS pages, a few thousand pages stored.
    file = io.BytesIO()
    write_backup(file, database_bytes=12 << 30, every_extent=5000, compressible=True)
    result = driven(file.getvalue())
    assert not result.bad, summary(result.bad)
    (_, count) = rows(result, "sqlserver_bak.extent.present")[0]
    assert count == len(Recipe(database_bytes=12 << 30, every_extent=5000).extents())
    assert rows(result, "sqlserver_bak.extent.map") == []


def test_extents_cover_pages_log_and_padding():
    content, medium = built(checksum=True, filler_extents=2)
    result = driven(content)
    kinds = {type(batch.check) for batch in result.batches}
    assert len(kinds) == 3
    zeros = [
        batch
        for batch in result.batches
        if isinstance(batch.check, Declared) and batch.check.algorithm is Algorithm.ZEROS
    ]
    assert all(batch.bearing is Bearing.REDUNDANT for batch in zeros)
    (payload,) = [batch for batch in result.batches if isinstance(batch.check, Payload)]
    start = pages_at(medium)
    assert payload.offset[0] == start
    assert payload.stored_length[0] == 16 * EXTENT
    assert result.payload_nonzero


def test_all_zero_database_is_seen_as_such():
    content, medium = built()
    start, length = medium.structures["pages"][0]
    log_start, log_length = medium.structures["log"][0]
    emptied = damage.zero(damage.zero(content, start, length), log_start, log_length)
    assert not driven(emptied).payload_nonzero


@pytest.mark.parametrize("lead", [b"TAPE", b"\0\0\0\0"])
def test_medium_is_known_by_more_than_its_first_bytes(lead):
    content, _ = built()
    assert FORMAT.probe(BytesSource(lead + content[4:]))
    assert FORMAT.probe(BytesSource(bytes(4096) + content[4096:]))
    assert FORMAT.probe(BytesSource(damage.flip(content, 86, 2)))
    assert not FORMAT.probe(BytesSource(b"TAPE" + bytes(5000)))


def test_states_are_small_and_plain():
    (image,) = driven(built(log_blocks=40)[0]).inspections
    assert isinstance(image.state.pads, np.ndarray)
    assert len(image.state.data) == 1
    assert len(image.state.logs) == 1
