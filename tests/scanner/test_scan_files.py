"""Files that come, go, move and change between scans and under one; and parts of repositories."""

import errno
import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from scanner.cli import run
from scanner.cli.options import World
from scanner.config import MIB
from scanner.errors import LockedError, NotThereError
from scanner.judge.model import Verdict
from scanner.ledger.lock import RepositoryLock
from scanner.results import FileState, stamps_of
from tests.faulty import Faults
from tests.scanner.engine import toys
from tests.scanner.scans import GROWING, ONCE, SOUND, START, Bench, chain, news, of, ruled


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path, [toys.DISK])
    made.repository.mkdir()
    return made


# Files that come, go and change


@pytest.mark.parametrize("seconds", [1 << 36, -(1 << 36)])
def test_a_time_that_no_ledger_can_hold_stops_no_scan(bench, seconds):
    path = bench.put("odd.disk", toys.disk("odd"))
    os.utime(path, (seconds, seconds))
    if abs(path.stat().st_mtime_ns) < 1 << 63:
        pytest.skip("this file system holds no such time")
    bench.put("plain.disk", toys.disk("plain"))
    outcome = bench.scan()
    assert {ruled(outcome, "odd.disk"), ruled(outcome, "plain.disk")} == {SOUND}
    assert bench.scan().bytes_read == 0


def test_inodes_of_64_bits_are_held_apart(tmp_path):
    status = tmp_path.stat()
    times = {"st_mtime_ns": status.st_mtime_ns, "st_ctime_ns": status.st_ctime_ns}
    found = []
    for inode in ((1 << 64) - 1, 1 << 63, (1 << 63) - 1):
        made = os.stat_result((status[0], inode, *status[2:]), times | {"st_blocks": 0})
        found.append(stamps_of(made).inode)
    assert found == [-1, -(1 << 63), (1 << 63) - 1]


def test_new_images_under_an_old_name_replace_without_alarm(bench):
    for subject in (ONCE, GROWING, toys.DISK):
        bench.subjects = [subject]
        for night in range(3):
            name = f"{subject.write_model}{night}"[-12:]
            bench.put("nightly.disk", toys.disk(name))
            assert ruled(bench.scan(), "nightly.disk") == SOUND
            bench.clock.wait(days=1)


def test_a_file_that_grew_is_proven_behind_its_old_end_too(bench):
    bench.subjects = [GROWING]
    first, second = toys.disk("one"), toys.disk("two")
    bench.put("tape.disk", first)
    bench.scan()
    bench.clock.wait(days=1)
    bench.put("tape.disk", first + second, written=START)
    outcome = bench.scan()
    assert [item.ruling.verdict for item in outcome.judgement.images] == [Verdict.SOUND] * 2
    wrong = bytearray(first + second)
    wrong[len(first) - 1 - toys.DISK_STRIDE * 2000 - 5] ^= 1  # in the head of the first set
    bench.put("tape.disk", bytes(wrong) + toys.disk("three"), written=START + timedelta(days=1))
    outcome = bench.scan()
    rows = {row for item in outcome.judgement.images for row in news(item)}
    assert rows == {("baseline.block.xxh3", "mismatched", 0, MIB)}


def test_a_changed_byte_in_the_old_tail_of_a_file_that_grew_is_found(bench):
    bench.subjects = [GROWING]
    first = toys.disk("one", blocks=1500)
    bench.put("tape.disk", first)
    bench.scan()
    second = toys.disk("two")
    wrong = bytearray(first + second)
    at = len(first) - toys.DISK_STRIDE  # two bytes of the last block: its sum stays what it was
    wrong[at] = (wrong[at] + 1) & 0xFF
    wrong[at + 1] = (wrong[at + 1] - 1) & 0xFF
    bench.put("tape.disk", bytes(wrong), written=START)
    outcome = bench.scan()
    tail = len(first) % MIB
    changed = ("baseline.block.xxh3", "mismatched", len(first) - tail, tail)
    assert [news(item) for item in outcome.judgement.images] == [[changed], [changed]]


def test_images_that_were_cut_off_a_growing_file_are_missed(bench):
    bench.subjects = [GROWING]
    first, second = toys.disk("one"), toys.disk("two")
    bench.put("tape.disk", first + second)
    bench.scan()
    bench.put("tape.disk", first, written=START)
    outcome = bench.scan()
    assert news(of(outcome, "tape.disk")) == [("baseline.images.present", "truncated", None, None)]
    assert ruled(outcome, "tape.disk") == (Verdict.UNPROVEN, "doubtful")


def test_a_deleted_file_is_gone_and_missed_only_by_those_that_need_it(bench):
    chain(bench)
    bench.scan()
    (bench.repository / "vm/two.disk").unlink()
    (bench.repository / "notes.txt").unlink()
    outcome = bench.scan()
    assert [item.path for item in outcome.judgement.images] == ["vm/full.disk", "vm/one.disk"]
    (bench.repository / "vm/full.disk").unlink()
    outcome = bench.scan()
    assert ruled(outcome, "vm/one.disk") == (Verdict.INCOMPLETE, "gone")
    assert bench.files()["vm/full.disk"].state is FileState.GONE


def test_a_file_that_comes_back_is_read_and_found_unchanged(bench):
    chain(bench)
    bench.scan()
    path = bench.repository / "vm/full.disk"
    path.rename(bench.folder / "away")
    bench.scan()
    bench.clock.wait(days=2)
    (bench.folder / "away").rename(path)
    outcome = bench.scan()
    assert ruled(outcome, "vm/one.disk") == SOUND
    assert of(outcome, "vm/full.disk").proof.unchanged_since == START


def test_a_renamed_file_keeps_its_history(bench):
    chain(bench)
    bench.subjects = [ONCE]
    bench.scan()
    bench.clock.wait(days=1)
    for old, new in (("full", "first"), ("one", "full")):
        (bench.repository / f"vm/{old}.disk").rename(bench.repository / f"vm/{new}.disk")
    outcome = bench.scan()
    paths = [item.path for item in outcome.judgement.images]
    assert paths == ["vm/first.disk", "vm/full.disk", "vm/two.disk"]
    for item in outcome.judgement.images:
        assert item.ruling.verdict is Verdict.SOUND
        assert item.proof.unchanged_since == START
    assert {row.state for row in bench.files().values()} <= {FileState.READ, FileState.GONE}


def test_a_file_that_rotted_and_moved_is_found_all_the_same(bench):
    bench.subjects = [ONCE]
    bench.put("full.disk", toys.disk("full"))
    bench.scan()
    bench.rot("full.disk", 2000)
    (bench.repository / "full.disk").rename(bench.repository / "moved.disk")
    assert ruled(bench.scan(), "moved.disk") == (Verdict.DAMAGED, "bytes-wrong")


def test_names_handed_on_over_several_nights_follow_their_files(bench):
    for number in (3, 2, 1):
        bench.put(f"{number}.disk", toys.disk(f"night{number}"))
    bench.scan()
    for night in range(4, 7):  # rotation: 3 goes, 2 becomes 3, 1 becomes 2, a new 1 comes
        (bench.repository / "3.disk").unlink()
        (bench.repository / "2.disk").rename(bench.repository / "3.disk")
        (bench.repository / "1.disk").rename(bench.repository / "2.disk")
        bench.put("1.disk", toys.disk(f"night{night}"))
        bench.clock.wait(days=1)
        outcome = bench.scan()
        assert [item.path for item in outcome.judgement.images] == ["1.disk", "2.disk", "3.disk"]
        assert {item.ruling.verdict for item in outcome.judgement.images} == {Verdict.SOUND}
        assert all(not news(item) for item in outcome.judgement.images)


def test_a_file_that_vanishes_between_survey_and_reading_is_gone_tonight(bench):
    chain(bench)
    bench.scan()
    os.utime(bench.repository / "vm/full.disk")
    bench.faults["full.disk"] = Faults(open_errno=errno.ENOENT)
    outcome = bench.scan()
    assert bench.files()["vm/full.disk"].state is FileState.GONE
    assert ruled(outcome, "vm/one.disk") == (Verdict.INCOMPLETE, "gone")
    bench.faults.clear()
    assert ruled(bench.scan(), "vm/one.disk") == SOUND


def test_a_file_that_may_not_be_opened_tonight_keeps_what_was_known(bench):
    chain(bench)
    bench.scan()
    os.utime(bench.repository / "vm/full.disk")
    bench.faults["full.disk"] = Faults(open_errno=errno.EACCES)
    outcome = bench.scan()
    assert ruled(outcome, "vm/full.disk") == (Verdict.UNPROVEN, "refused")
    assert [link.image_key for link in of(outcome, "vm/one.disk").parents] == [
        of(outcome, "vm/full.disk").key
    ]
    bench.faults.clear()
    assert ruled(bench.scan(), "vm/full.disk") == SOUND


def test_a_file_written_to_during_the_scan_is_changing_and_read_again(bench):
    bench.put("full.disk", toys.disk("full"))
    bench.faults["full.disk"] = Faults(after=5, later_mtime_ns=5)
    assert ruled(bench.scan(), "full.disk") == (Verdict.UNPROVEN, "changing")
    bench.faults.clear()
    assert ruled(bench.scan(), "full.disk") == SOUND


@pytest.mark.parametrize("done", ["replaced", "removed", "renamed", "truncated", "appended"])
@pytest.mark.parametrize("after", [0, 4, 8])
def test_what_happens_to_a_file_under_the_scan_is_no_damage(bench, done, after):
    path = bench.put("full.disk", toys.disk("full"))
    (bench.folder / "new").write_bytes(toys.disk("new"))
    deeds = {
        "replaced": lambda: (bench.folder / "new").rename(path),
        "removed": path.unlink,
        "renamed": lambda: path.rename(path.with_name("moved.disk")),
        "truncated": lambda: os.truncate(path, 700_000),
        "appended": lambda: os.truncate(path, 3_000_000),
    }
    bench.faults["full.disk"] = Faults(after=after, later_done=deeds[done])
    outcome = bench.scan()
    assert outcome.bugs == 0
    rules = [item.ruling.rule for item in outcome.judgement.images]
    assert rules in (["changing"], []), after
    bench.faults.clear()
    again = {item.ruling.verdict for item in bench.scan().judgement.images}
    cut = {Verdict.INCOMPLETE} if done == "truncated" else {Verdict.SOUND}
    assert again == (set() if done == "removed" else cut)


def test_an_image_is_inspected_again_when_a_file_it_is_stored_in_changes(bench):
    bench.subjects = [toys.DISK, toys.OWNER]
    bench.put("vm/disk.owner", b"OWNRdisk.data")
    bench.put("vm/disk.data", b"good data")
    assert ruled(bench.scan(), "vm/disk.owner") == SOUND
    assert bench.scan().bytes_read == 0
    bench.put("vm/disk.data", b"evil data")
    assert ruled(bench.scan(), "vm/disk.owner") == (Verdict.DAMAGED, "bytes-wrong")
    (bench.repository / "vm/disk.data").unlink()
    assert ruled(bench.scan(), "vm/disk.owner")[0] is Verdict.INCOMPLETE
    bench.put("vm/disk.data", b"good data")
    assert ruled(bench.scan(), "vm/disk.owner") == SOUND


def test_a_sector_that_cannot_be_read_in_a_member_damages_its_image(bench):
    bench.subjects = [toys.DISK, toys.OWNER]
    bench.put("vm/disk.owner", b"OWNRdisk.data")
    bench.put("vm/disk.data", b"good data".ljust(20_000, b"!"))
    bench.faults["disk.data"] = Faults(refused=[(9000, 9001)])
    assert ruled(bench.scan(), "vm/disk.owner") == (Verdict.DAMAGED, "storage-fails")


def linked(bench: Bench) -> Path:
    """Put a chain there as ``rsync --link-dest`` does: a full under one more name each night."""
    path = bench.put("night1/full.disk", toys.disk("full"))
    bench.put("night2/one.disk", toys.disk("one", "full", 10))
    (bench.repository / "night2/full.disk").hardlink_to(path)
    return path


def test_hard_links_are_read_once_and_known_under_every_name(bench):
    path = linked(bench)
    outcome = bench.scan()
    one = (bench.repository / "night2/one.disk").stat().st_size
    assert outcome.bytes_read == path.stat().st_size + one
    assert len(outcome.hints) == 1
    names = ["night1/full.disk", "night2/full.disk", "night2/one.disk"]
    assert [item.path for item in outcome.judgement.images] == names
    assert {item.ruling.verdict for item in outcome.judgement.images} == {Verdict.SOUND}
    before = bench.rows()
    assert bench.scan().bytes_read == 0
    assert bench.rows() == before


def test_damage_in_a_hard_linked_file_is_told_under_every_name(bench):
    path = linked(bench)
    bench.rot("night2/full.disk", MIB)
    outcome = bench.scan()
    assert {item.ruling.verdict for item in outcome.judgement.images} == {Verdict.DAMAGED}
    assert news(of(outcome, "night1/full.disk")) == news(of(outcome, "night2/full.disk"))
    assert path.exists()


def test_one_name_less_of_a_hard_linked_file_leaves_the_others(bench):
    linked(bench)
    bench.scan()
    bench.clock.wait(days=1)
    (bench.repository / "night1/full.disk").unlink()
    outcome = bench.scan()
    assert [item.path for item in outcome.judgement.images] == [
        "night2/full.disk",
        "night2/one.disk",
    ]
    assert ruled(outcome, "night2/one.disk") == SOUND
    assert of(outcome, "night2/full.disk").proof.unchanged_since == START


def test_names_that_are_no_utf8_go_all_the_way(bench):
    name = os.fsdecode(b"caf\xe9/\xff.disk")
    bench.put(name, toys.disk("full"))
    bench.rot(name, MIB)
    for _ in range(2):
        outcome = bench.scan()
        (item,) = outcome.judgement.images
        assert item.path == name
        assert item.ruling.verdict is Verdict.DAMAGED
    assert list(bench.files()) == [name]
    ((_, *row),) = bench.rows("v_files")
    assert any("�00" in str(value) or "�dc" in str(value) for value in row)


def test_names_that_are_no_utf8_come_out_as_json(bench, capsysbinary):
    name = os.fsdecode(b"caf\xe9.disk")
    bench.put(name, b"nothing known")
    world = World(clock=bench.clock, environment={"STATE_DIRECTORY": str(bench.folder / "state")})
    assert run(["scan", str(bench.repository), "--json", "--no-progress"], world) in (0, 3, 5)
    said = json.loads(capsysbinary.readouterr().out)
    (found,) = said["others"]
    assert found["path"].startswith("caf")


# Places


def test_a_part_of_the_repository_does_not_make_the_rest_gone(bench):
    chain(bench)
    bench.put("other/x.disk", toys.disk("x"))
    bench.scan()
    (bench.repository / "vm/two.disk").unlink()
    outcome = bench.scan(bench.repository / "vm")
    assert outcome.files == 2
    states = {path: row.state for path, row in bench.files().items()}
    assert states == {
        "vm/full.disk": FileState.READ,
        "vm/one.disk": FileState.READ,
        "vm/two.disk": FileState.GONE,
        "notes.txt": FileState.READ,
        "other/x.disk": FileState.READ,
    }


def test_a_single_file_is_a_part_of_its_repository(bench):
    chain(bench)
    bench.scan()
    outcome = bench.scan(bench.repository / "vm/two.disk")
    assert outcome.files == 1
    assert {row.state for row in bench.files().values()} == {FileState.READ}
    assert ruled(outcome, "vm/two.disk") == SOUND


def test_paths_inside_one_another_are_scanned_once(bench):
    chain(bench)
    inside = bench.repository / "vm"
    for paths in (
        (bench.repository, inside),
        (inside, bench.repository),
        (inside, inside / "one.disk", bench.repository, bench.repository),
    ):
        again = Bench(bench.folder / f"{len(paths)}{paths[0].name}", bench.subjects)
        outcome = again.scan(*paths)
        assert outcome.files == 4
        assert len(outcome.repositories) == 1
        assert len(outcome.judgement.images) == 3


def test_two_parts_of_one_repository_are_scanned_together(bench):
    for folder in ("a", "b", "c"):
        bench.put(f"{folder}/{folder}.disk", toys.disk(folder))
    bench.scan()
    for folder in ("a", "b", "c"):
        (bench.repository / f"{folder}/{folder}.disk").unlink()
    bench.scan(bench.repository / "a", bench.repository / "b")
    states = {path: row.state for path, row in bench.files().items()}
    assert states == {
        "a/a.disk": FileState.GONE,
        "b/b.disk": FileState.GONE,
        "c/c.disk": FileState.READ,
    }


def test_two_repositories_are_judged_together(bench):
    bench.put("full.disk", toys.disk("full"))
    second = bench.folder / "second"
    second.mkdir()
    (second / "one.disk").write_bytes(toys.disk("one", "full"))
    outcome = bench.scan(bench.repository, second)
    assert len(outcome.repositories) == 2
    assert ruled(outcome, "one.disk") == SOUND


def test_an_excluded_folder_is_not_gone(bench):
    chain(bench)
    bench.put("old/x.disk", toys.disk("x"))
    bench.scan()
    outcome = bench.scan(settings=replace(bench.settings, excludes=("old", "*.txt")))
    assert outcome.files == 3
    assert {row.state for row in bench.files().values()} == {FileState.READ}


def test_a_folder_that_cannot_be_read_is_reported_and_not_gone(bench, monkeypatch):
    chain(bench)
    bench.scan()
    really_scan = os.scandir

    def scandir(folder: Path) -> object:
        if Path(folder).name == "vm":
            raise OSError(errno.EIO, "Input/output error")
        return really_scan(folder)

    monkeypatch.setattr("scanner.survey.walk.os.scandir", scandir)
    outcome = bench.scan()
    assert outcome.notes == (
        f"{str(bench.repository / 'vm')!r} could not be read: Input/output error",
    )
    assert {row.state for row in bench.files().values()} == {FileState.READ}


def test_the_ledgers_own_folder_is_left_out(bench):
    bench.put("full.disk", toys.disk("full"))
    outcome = bench.scan(bench.folder)
    assert [row.path for item in outcome.judgement.images for row in item.files] == [
        "repository/full.disk"
    ]
    assert outcome.judgement.others == ()


def test_a_path_that_is_not_there_is_said_so(bench):
    missing = bench.folder / "missing"
    with pytest.raises(NotThereError, match="missing"):
        bench.scan(missing)


def test_a_repository_another_run_holds_is_locked(bench):
    chain(bench)
    bench.scan()
    with bench.ledger() as ledger:
        (row,) = ledger.repositories()
        held = RepositoryLock.take(
            bench.ledger_path, row.filesystem, row.root, bench.repository, START
        )
    with held, pytest.raises(LockedError, match="repository"):
        bench.scan()
    bench.scan()
