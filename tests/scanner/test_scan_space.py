"""The room a repository has is recorded with every run."""

import os
from datetime import timedelta

import pytest

from scanner import scan as module
from scanner.survey.space import Space
from tests.scanner.engine import toys
from tests.scanner.scans import ONCE, START, Bench


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path, [ONCE])
    bench.put("vm/full.disk", toys.disk("full"))
    return bench


def spaces(bench):
    with bench.ledger() as ledger:
        return ledger.spaces([row.id for row in ledger.repositories()])


def test_a_run_records_the_room_of_its_repository(bench):
    bench.scan()
    (row,) = spaces(bench)
    room = os.statvfs(bench.repository)
    assert row.total_bytes == room.f_blocks * room.f_frsize
    assert 0 <= row.available_bytes <= row.total_bytes
    assert row.measured_at == START


def test_the_next_run_replaces_what_was_recorded(bench):
    bench.scan()
    bench.clock.wait(days=1)
    bench.scan()
    (row,) = spaces(bench)
    assert row.measured_at == START + timedelta(days=1)


def test_a_run_over_a_part_asks_for_the_room_of_the_whole(bench, monkeypatch):
    asked = []

    def space_at(path):
        asked.append(path)
        return Space(1000, 300, 500, 200, read_only=True)

    monkeypatch.setattr(module, "space_at", space_at)
    bench.scan()
    bench.scan(bench.repository / "vm")
    assert set(asked) == {bench.repository}
    assert len(asked) == 2
    (row,) = spaces(bench)
    assert (row.total_bytes, row.available_bytes) == (1000, 300)
    assert (row.quota_bytes, row.quota_used_bytes, row.read_only) == (500, 200, True)


def test_what_was_known_stays_where_the_file_system_does_not_say(bench, monkeypatch):
    bench.scan()
    (before,) = spaces(bench)
    monkeypatch.setattr(module, "space_at", lambda _path: None)
    bench.scan()
    assert spaces(bench) == (before,)


# Written until no room was left


def cramped_paths(bench):
    with bench.ledger() as ledger:
        rows = ledger.files([row.id for row in ledger.repositories()])
    return {row.path for row in rows if row.cramped}


def full_disk(monkeypatch, available=0, total=1 << 40, **quota):
    fields = {"quota_bytes": None, "quota_used_bytes": None} | quota
    space = Space(total, available, **fields, read_only=False)
    monkeypatch.setattr(module, "space_at", lambda _path: space)


def test_file_written_until_no_room_was_left_is_remembered(bench, monkeypatch):
    full_disk(monkeypatch)
    bench.scan()
    assert cramped_paths(bench) == {"vm/full.disk"}


def test_it_is_remembered_when_there_is_room_again_until_it_is_written_anew(bench, monkeypatch):
    full_disk(monkeypatch)
    bench.scan()
    full_disk(monkeypatch, 1 << 39)
    bench.clock.wait(days=1)
    bench.scan()
    assert cramped_paths(bench) == {"vm/full.disk"}
    bench.put("vm/full.disk", toys.disk("full", blocks=9))
    bench.scan()
    assert cramped_paths(bench) == set()


@pytest.mark.parametrize(
    ("available", "quota"),
    [
        (1 << 30, {}),
        (65 << 20, {"quota_bytes": 1 << 40, "quota_used_bytes": 0}),
    ],
)
def test_with_room_left_no_file_is_suspected(bench, monkeypatch, available, quota):
    full_disk(monkeypatch, available, **quota)
    bench.scan()
    assert cramped_paths(bench) == set()


def test_a_quota_that_is_used_up_is_no_room(bench, monkeypatch):
    full_disk(monkeypatch, 1 << 39, quota_bytes=1 << 30, quota_used_bytes=1 << 30)
    bench.scan()
    assert cramped_paths(bench) == {"vm/full.disk"}


def written_at(bench, minutes, **blocks):
    """Write files of so many blocks, so many minutes before one another."""
    for minute, (name, count) in zip(minutes, blocks.items(), strict=True):
        path = f"vm/{name}.disk"
        bench.put(path, toys.disk(name, blocks=count))
        at = START.timestamp() + minute * 60
        os.utime(bench.repository / path, (at, at))
    (bench.repository / "vm" / "full.disk").unlink()


def test_what_was_written_before_a_large_file_had_room(bench, monkeypatch):
    written_at(bench, (0, 10), small=10, large=3000)
    full_disk(monkeypatch, total=1 << 20)
    bench.scan()
    assert cramped_paths(bench) == {"vm/large.disk"}


def test_writers_side_by_side_end_together(bench, monkeypatch):
    written_at(bench, (0, 1), one=3000, other=3000)
    full_disk(monkeypatch, total=1 << 20)
    bench.scan()
    assert cramped_paths(bench) == {"vm/one.disk", "vm/other.disk"}


def test_what_fails_at_once_after_the_room_is_gone_hides_nothing(bench, monkeypatch):
    written_at(bench, (0, 10, 20), large=3000, tiny=1, last=1)
    full_disk(monkeypatch, total=1 << 30)
    bench.scan()
    assert cramped_paths(bench) == {"vm/large.disk", "vm/tiny.disk", "vm/last.disk"}


def test_files_that_were_there_before_the_room_was_gone_are_not_suspected(bench, monkeypatch):
    full_disk(monkeypatch, 1 << 39)
    bench.scan()
    full_disk(monkeypatch)
    bench.clock.wait(days=1)
    bench.scan()
    assert cramped_paths(bench) == set()
