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
