"""The log of a VHDX: what is to be replayed, what stands in the way, and what it remembers."""

import struct
import uuid

import pytest

from formats.core.model import Bearing, Outcome
from formats.core.source import BytesSource
from formats.vhdx import FORMAT
from tests import damage
from tests.builders import vhdx as build
from tests.builders.vhdx import BAT_AT, LOG_AT, LOG_GUID, METADATA_AT, MIB
from tests.drive import coordinates, drive, summary

OTHER_GUID = uuid.UUID("99999999-8888-7777-6666-555555555555")
PENDING = (build.header(8, log_guid=LOG_GUID), build.header(7))
STALE = {0: build.entry(6, 4)}  # what the table says on disk
CONTENT = {4: b"\x01" * MIB, 5: b"\x02" * MIB, 6: b"\x03" * MIB}


def table_sector(*blocks: tuple[int, int]) -> bytes:
    """The first sector of the table with some blocks present."""
    sector = bytearray(4096)
    for index, mebibyte in blocks:
        sector[8 * index : 8 * index + 8] = build.entry(6, mebibyte)
    return bytes(sector)


def pending(log: dict, **settings: object) -> bytes:
    return build.disk(STALE, headers=PENDING, blocks=CONTENT, log=log, **settings)


def entry_of(sequence: int, *blocks: tuple[int, int], tail: int, **settings: object) -> bytes:
    update = build.data_update(BAT_AT, table_sector(*blocks))
    return build.log_entry(sequence, [update], tail=tail, **{"flushed": 7 * MIB, **settings})


# Two entries of 8 KiB: the second knows block 3 too.
FIRST = entry_of(100, (0, 4), (1, 5), tail=0)
SECOND = entry_of(101, (0, 4), (1, 5), (3, 6), tail=0)
TWO = pending({0: FIRST, 8192: SECOND})


def one(content: bytes) -> tuple:
    driven = drive(FORMAT, BytesSource(content))
    assert len(driven.inspections) == 1
    return driven.inspections[0], driven.bad


def bearings(bad: list) -> dict:
    return {(row.check, row.offset): row.bearing for row in bad}


WAITING = {("vhdx.log.pending", LOG_AT): Bearing.REDUNDANT}


def test_pending_log_is_replayed_before_the_table_is_read():
    inspection, bad = one(TWO)
    assert bearings(bad) == WAITING, summary(bad)
    assert bad[0].actual == "2 entries to replay"
    assert inspection.facts["blocks_present"] == 3
    assert inspection.facts["log_entries_pending"] == 2
    assert inspection.payload_bytes == 3 * MIB


def test_payload_extents_follow_the_replayed_table():
    (batch,) = drive(FORMAT, BytesSource(TWO)).batches
    assert (batch.offset.tolist(), batch.stored_length.tolist()) == ([4 * MIB], [3 * MIB])


def test_entries_to_replay_are_vouched_for():
    rows = [row for row in drive(FORMAT, BytesSource(TWO)).evidence if row.vouched_bytes]
    (row,) = [row for row in rows if row.check == "vhdx.log.crc32c"]
    assert (row.offset, row.count, row.vouched_bytes) == (LOG_AT, 2, 16384)


@pytest.mark.parametrize(
    ("place", "check"),
    [(METADATA_AT, "vhdx.metadata.signature"), (0x30000, "vhdx.region_table.crc32c")],
)
def test_what_the_log_will_overwrite_is_not_vouched_for_where_it_lies(place, check):
    update = build.data_update(place, TWO[place : place + 4096])
    entries = {0: FIRST, 8192: build.log_entry(101, [update], tail=0, flushed=7 * MIB)}
    before, after = (vouched(pending(log), check) for log in ({0: FIRST}, entries))
    assert place in before
    assert place not in after
    assert after[None] == 0


def vouched(content: bytes, check: str) -> dict[int | None, int]:
    rows = drive(FORMAT, BytesSource(content)).evidence
    return {row.offset: row.vouched_bytes for row in rows if row.check == check}


def test_damage_that_stands_only_in_the_log_names_no_place_behind_the_end():
    content = damage.cut(TWO, BAT_AT - MIB // 2)
    rows = drive(FORMAT, BytesSource(content)).evidence
    assert [row for row in rows if row.check.startswith("vhdx.bat")]
    for row in rows:
        assert row.outcome is Outcome.TRUNCATED or (row.offset or 0) <= len(content), row


def test_log_without_its_guid_in_the_header_is_not_replayed():
    content = build.disk(STALE, blocks=CONTENT, log={0: entry_of(1, (0, 4), tail=0)})
    inspection, bad = one(content)
    assert not bad
    assert inspection.facts["blocks_present"] == 1


def test_replay_begins_at_the_tail_of_the_newest_entry():
    update = build.data_update(METADATA_AT, bytes(4096))  # would destroy the metadata
    poison = build.log_entry(99, [update], tail=0, flushed=7 * MIB)
    head = entry_of(100, (0, 4), (2, 6), tail=8192)
    inspection, bad = one(pending({0: poison, 8192: head}))
    assert bearings(bad) == WAITING
    assert inspection.facts["log_entries_pending"] == 1


def test_sequence_goes_on_at_the_beginning_of_the_log():
    # The first entry wraps: one sector at the end of the log, one at its beginning.
    wrapped = entry_of(5, (0, 4), (1, 5), tail=MIB - 4096)
    head = entry_of(6, (0, 4), (1, 5), (3, 6), tail=MIB - 4096)
    log = {MIB - 4096: wrapped[:4096], 0: wrapped[4096:], 4096: head}
    inspection, bad = one(pending(log))
    assert bearings(bad) == WAITING
    assert inspection.facts["blocks_present"] == 3


def test_zeroes_are_replayed_in_their_turn():
    data = build.data_update(BAT_AT, table_sector((0, 4), (1, 5)))
    zero = build.zero_update(BAT_AT, 8192)
    for updates, present in (((data, zero), 0), ((zero, data), 2)):
        entry = build.log_entry(100, updates, tail=0, flushed=7 * MIB)
        inspection, bad = one(pending({0: entry}))
        assert bearings(bad) == WAITING
        assert inspection.facts["blocks_present"] == present


def test_newest_of_several_sequences_is_the_active_one():
    old = entry_of(50, (0, 4), tail=65536)
    inspection, bad = one(pending({0: FIRST, 8192: SECOND, 65536: old}))
    assert bearings(bad) == WAITING
    assert inspection.facts["log_entries_pending"] == 2


def test_entries_of_another_guid_do_not_count():
    foreign = entry_of(102, (0, 4), tail=16384, guid=OTHER_GUID)
    inspection, bad = one(pending({0: FIRST, 8192: SECOND, 16384: foreign}))
    assert bearings(bad) == WAITING
    assert inspection.facts["log_entries_pending"] == 2


NONE = {("vhdx.log.sequence", LOG_AT): Bearing.NEEDED}


def test_header_that_promises_a_log_that_is_empty_is_needed():
    assert bearings(one(pending({}))[1]) == NONE


@pytest.mark.parametrize("at", [4, 8, 16, 24, 48, 64, 72, 80, 4096, 4100, 8188])
def test_any_flip_in_the_only_entry_leaves_nothing_to_replay(at):
    only = entry_of(100, (0, 4), tail=0)
    assert bearings(one(pending({0: only}))[1]) == WAITING
    content = damage.flip(pending({0: only}), LOG_AT + at)
    assert bearings(one(content)[1]) == NONE


def test_flip_in_the_first_of_two_entries_breaks_the_sequence():
    assert bearings(one(damage.flip(TWO, LOG_AT + 5000))[1]) == NONE


def test_flip_in_the_last_entry_looks_like_a_torn_write():
    inspection, bad = one(damage.flip(TWO, LOG_AT + 8192 + 5000))
    assert bearings(bad) == {**WAITING, ("vhdx.log.torn", LOG_AT + 8192): Bearing.DOUBTFUL}
    assert inspection.facts["log_entries_pending"] == 1


def test_newer_entry_whose_tail_is_gone_is_doubtful():
    orphan = entry_of(105, (0, 4), tail=4096)
    _, bad = one(pending({0: FIRST, 8192: SECOND, 65536: orphan}))
    assert bearings(bad) == {**WAITING, ("vhdx.log.torn", LOG_AT + 65536): Bearing.DOUBTFUL}


def test_missing_middle_entry_breaks_the_sequence():
    third = entry_of(102, (0, 4), tail=0)
    gap = pending({0: FIRST, 16384: third})
    assert ("vhdx.log.torn", LOG_AT + 16384) in coordinates(one(gap)[1])


@pytest.mark.parametrize(
    ("at", "piece"),
    [
        (12, struct.pack("<I", 100)),  # tail between sectors
        (12, struct.pack("<I", MIB)),  # tail behind the log
        (16, bytes(8)),  # sequence number 0
        (24, struct.pack("<I", 2)),  # a descriptor too many
        (24, struct.pack("<I", 0xFFFFFFFF)),  # more descriptors than fit
        (28, b"\x01"),  # reserved
        (64, b"what"),  # a descriptor of no known kind
        (80, struct.pack("<Q", BAT_AT + 1)),  # a place between sectors
        (88, struct.pack("<Q", 7)),  # another sequence number in the descriptor
        (4096, b"date"),  # no data sector
        (4100, b"\x01"),  # another one in its first half
        (8188, b"\x01"),  # and in its second
    ],
)
def test_entry_that_contradicts_itself_is_invalid_though_its_crc_is_right(at, piece):
    only = entry_of(100, (0, 4), tail=0)
    changed = build.crc(only[:at] + piece + only[at + len(piece) :])
    assert changed != only
    assert bearings(one(pending({0: changed}))[1]) == NONE


def test_zero_descriptor_of_odd_length_is_invalid():
    odd = build.log_entry(9, [build.zero_update(BAT_AT, 100)], tail=0, flushed=7 * MIB)
    assert bearings(one(pending({0: odd}))[1]) == NONE


def test_log_of_another_version_is_not_supported():
    headers = (build.header(8, log_guid=LOG_GUID, log_version=1), build.header(7))
    content = build.disk(STALE, headers=headers, blocks=CONTENT, log={0: FIRST})
    _, bad = one(content)
    assert [(row.check, row.offset, row.outcome) for row in bad] == [
        ("vhdx.log.version", 0x10040, Outcome.UNSUPPORTED)
    ]


def test_pending_log_in_an_odd_place_is_needed():
    headers = (build.header(8, log_guid=LOG_GUID, log_at=MIB + 512), build.header(7))
    content = build.disk(STALE, headers=headers, blocks=CONTENT, log={0: FIRST})
    assert bearings(one(content)[1]) == {("vhdx.log.range", 0x10044): Bearing.NEEDED}


def test_pending_log_of_no_length_is_needed():
    headers = (build.header(8, log_guid=LOG_GUID, log_bytes=0), build.header(7))
    content = build.disk(STALE, headers=headers, blocks=CONTENT)
    assert bearings(one(content)[1]) == {("vhdx.log.range", 0x10044): Bearing.NEEDED}
    headers = (build.header(8, log_at=0, log_bytes=0), build.header(7))
    assert not one(build.disk(STALE, headers=headers, blocks=CONTENT))[1]


def test_pending_log_behind_the_end_is_truncation():
    headers = (build.header(8, log_guid=LOG_GUID, log_at=64 * MIB), build.header(7))
    content = build.disk(STALE, headers=headers, blocks=CONTENT)
    _, bad = one(content)
    assert ("vhdx.log.present", 64 * MIB) in coordinates(bad)
    assert ("vhdx.file.needed", len(content)) in coordinates(bad)


def test_log_longer_than_is_read_is_said():
    headers = (build.header(8, log_guid=LOG_GUID, log_at=8 * MIB, log_bytes=9 * MIB), PENDING[1])
    content = build.disk(STALE, headers=headers, blocks=CONTENT, size=17 * MIB)
    _, bad = one(content)
    assert [(row.check, row.outcome) for row in bad] == [("vhdx.log.limit", Outcome.UNSUPPORTED)]


def test_entries_piled_on_each_other_are_refused():
    # Each claims the whole log; none is valid, and all of them would have to be summed.
    log = {
        4096 * index: struct.pack("<4sIIIQII16s", b"loge", 0, MIB, 0, 1, 0, 0, LOG_GUID.bytes_le)
        for index in range(256)
    }
    _, bad = one(pending(log))
    assert [(row.check, row.outcome) for row in bad] == [("vhdx.log.limit", Outcome.UNSUPPORTED)]


def test_endless_zero_descriptors_are_refused():
    updates = [build.zero_update(64 * MIB, 4096)] * 1025
    entry = build.log_entry(100, updates, tail=0, flushed=7 * MIB)
    assert ("vhdx.log.limit", LOG_AT) in coordinates(one(pending({0: entry}))[1])
    fewer = build.log_entry(100, updates[:1024], tail=0, flushed=7 * MIB)
    assert bearings(one(pending({0: fewer}))[1]) == WAITING


# How long the file was


def test_file_shorter_than_it_once_was_on_disk_is_truncation():
    only = entry_of(100, (0, 4), tail=0, flushed=8 * MIB)
    content = pending({0: only})
    _, bad = one(content)
    assert bearings(bad) == {
        **WAITING,
        ("vhdx.log.flushed_file_offset", len(content)): Bearing.NEEDED,
    }


def test_block_the_machine_had_no_time_to_write_is_doubtful():
    only = entry_of(100, (0, 4), (1, 9), tail=0, flushed=7 * MIB, last=10 * MIB)
    content = pending({0: only})
    rows = bearings(one(content)[1])
    assert rows == {**WAITING, ("vhdx.file.needed", len(content)): Bearing.DOUBTFUL}
    shorter = entry_of(100, (0, 4), (1, 9), tail=0, flushed=7 * MIB, last=9 * MIB)
    rows = bearings(one(pending({0: shorter}))[1])
    assert rows["vhdx.file.needed", len(content)] is Bearing.NEEDED


# What an empty log remembers


def remembered(*updates: tuple, guid: uuid.UUID = OTHER_GUID, **settings: object) -> bytes:
    """A clean file whose log holds one session, and whose table is as the session left it."""
    log, position = {}, 0
    for number, update in enumerate(updates):
        entry = build.log_entry(40 + number, [update], tail=0, flushed=7 * MIB, guid=guid)
        log[position] = entry
        position += len(entry)
    return build.disk(
        {0: build.entry(6, 4), 1: build.entry(6, 5)}, blocks=CONTENT, log=log, **settings
    )


OLDER = build.data_update(BAT_AT, table_sector((0, 4)))
NEWER = build.data_update(BAT_AT, table_sector((0, 4), (1, 5)))
SESSION = remembered(OLDER, NEWER)


def test_table_is_as_the_log_remembers_it():
    driven = drive(FORMAT, BytesSource(SESSION))
    assert not driven.bad, summary(driven.bad)
    (row,) = [row for row in driven.evidence if row.check == "vhdx.log.history"]
    assert (row.count, row.vouched_bytes) == (1, 16)


@pytest.mark.parametrize("index", [0, 1])
def test_entry_lost_from_the_table_is_remembered_by_the_log(index):
    content = damage.zero(SESSION, BAT_AT + 8 * index, 8)
    assert bearings(one(content)[1]) == {("vhdx.log.history", BAT_AT + 8 * index): Bearing.DOUBTFUL}


def test_entry_that_moved_is_remembered_by_the_log():
    content = damage.flip(SESSION, BAT_AT + 8 + 2, 5)  # MiB 5 becomes MiB 7
    assert ("vhdx.log.history", BAT_AT + 8) in coordinates(one(content)[1])


def test_block_added_past_the_log_is_no_news():
    content = SESSION[: BAT_AT + 16] + build.entry(6, 6) + SESSION[BAT_AT + 24 :]
    assert not one(content)[1]


def test_sector_that_is_gone_is_not_compared():
    content = damage.cut(SESSION, BAT_AT + 100)
    _, bad = one(content)
    assert "vhdx.log.history" not in {row.check for row in bad}
    assert ("vhdx.file.needed", len(content)) in coordinates(bad)


def test_changed_metadata_is_remembered_by_the_log():
    sector = SESSION[METADATA_AT + 65536 :][:4096]
    content = remembered(NEWER, build.data_update(METADATA_AT + 65536, sector))
    assert not one(content)[1]
    changed = damage.flip(content, METADATA_AT + 65536 + 20)  # the disk's id
    assert bearings(one(changed)[1]) == {
        ("vhdx.log.history", METADATA_AT + 65536 + 20): Bearing.DOUBTFUL
    }


def by_qemu(*entries: bytes, **settings: object) -> bytes:
    """A clean file with a log as QEMU writes it: a GUID per entry, old entries behind new ones."""
    log = {8192 * index: entry for index, entry in enumerate(entries)}
    table = {0: build.entry(6, 4), 1: build.entry(6, 5)}
    return build.disk(table, blocks=CONTENT, log=log, **settings)


def logged_by_qemu(sequence: int, update: tuple) -> bytes:
    guid, tail = uuid.UUID(int=sequence), 8192 * (sequence - 1)
    return build.log_entry(sequence, [update], tail=tail, flushed=7 * MIB, guid=guid)


def test_old_entries_of_qemu_are_not_taken_for_the_newest():
    # The second entry is left over from before the first one was written.
    content = by_qemu(logged_by_qemu(1, NEWER), logged_by_qemu(2, OLDER))
    driven = drive(FORMAT, BytesSource(content))
    assert not driven.bad, summary(driven.bad)
    (row,) = [row for row in driven.evidence if row.check == "vhdx.log.history"]
    assert row.vouched_bytes == 16


@pytest.mark.parametrize("index", [0, 1])
def test_block_that_qemu_once_wrote_must_still_be_there(index):
    content = by_qemu(logged_by_qemu(1, NEWER), logged_by_qemu(2, OLDER))
    lost = damage.zero(content, BAT_AT + 8 * index, 8)
    assert bearings(one(lost)[1]) == {("vhdx.log.history", BAT_AT + 8 * index): Bearing.DOUBTFUL}


def test_block_that_was_in_two_places_is_not_asked_for():
    moved = build.data_update(BAT_AT, table_sector((0, 4), (1, 6)))
    content = by_qemu(logged_by_qemu(1, moved), logged_by_qemu(2, NEWER))
    assert not one(content)[1]
    assert not one(damage.zero(content, BAT_AT + 8, 8))[1]


def test_guid_per_entry_in_longer_sequences_tells_nothing():
    # Not as QEMU writes: the second entry's sequence begins at the first.
    first = build.log_entry(1, [NEWER], tail=0, flushed=7 * MIB, guid=LOG_GUID)
    second = build.log_entry(2, [OLDER], tail=0, flushed=7 * MIB, guid=OTHER_GUID)
    driven = drive(FORMAT, BytesSource(by_qemu(first, second)))
    assert not driven.bad
    assert "vhdx.log.history" not in {row.check for row in driven.evidence}


def test_entries_left_over_from_an_older_session_are_not_asked():
    newest = build.log_entry(70, [NEWER], tail=0, flushed=7 * MIB, guid=OTHER_GUID)
    older = build.log_entry(41, [OLDER], tail=8192, flushed=7 * MIB, guid=OTHER_GUID)
    content = build.disk(
        {0: build.entry(6, 4), 1: build.entry(6, 5)}, blocks=CONTENT, log={0: newest, 8192: older}
    )
    assert not one(content)[1]


def test_session_that_zeroed_sectors_tells_nothing():
    # The first update was zeroed, and the table written anew by what is not looked at.
    stale = build.data_update(BAT_AT, table_sector((0, 6)))
    content = remembered(stale, build.zero_update(BAT_AT, 4096), NEWER)
    assert not one(content)[1]


@pytest.mark.parametrize("damaged", [4 + 8192, 8192, 8192 + 5000])
def test_damage_to_an_old_entry_does_not_make_an_older_one_the_newest(damaged):
    stale = build.data_update(BAT_AT, table_sector((0, 6)))
    content = remembered(stale, OLDER, NEWER)
    assert not one(content)[1]
    assert not one(damage.flip(content, LOG_AT + damaged))[1]
