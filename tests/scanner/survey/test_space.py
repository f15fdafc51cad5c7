"""Room and quotas. No kernel here keeps quotas for sure, so its answers are made by hand, from
linux/quota.h, and the real call is tried for what it does where there is none."""

import errno
import os
import struct
import subprocess
from pathlib import Path

import pytest

from scanner.survey import space
from scanner.survey.space import (
    OF_GROUP,
    OF_USER,
    Quota,
    Space,
    ask_kernel,
    decode,
    device_of,
    quotas,
    space_at,
    space_of,
    tightest,
)

KIB = 1024
DEVICE = Path("/dev/sdz9")


def answer_of(hard_kib=0, soft_kib=0, used_bytes=0, valid=0b111111):
    """Build ``struct if_dqblk`` field by field; inodes and times hold numbers of their own."""
    fields = (hard_kib, soft_kib, used_bytes, 77, 66, 55, 44, 33)
    return b"".join(struct.pack("<Q", field) for field in fields) + struct.pack("<II", valid, 0)


def room(blocks=1000, available=250, fragment=4096, block=65536, flags=0):
    numbers = (block, fragment, blocks, 400, available, 10, 5, 5, flags, 255)
    return os.statvfs_result(numbers)


def test_room_is_counted_in_fragments_and_not_in_blocks_for_transfer():
    assert space_of(room(), None) == Space(4_096_000, 1_024_000, None, None, read_only=False)


def test_room_for_root_alone_is_not_available():
    found = space_of(room(available=0), None)
    assert found is not None
    assert found.available_bytes == 0


def test_the_block_is_the_unit_where_there_are_no_fragments():
    found = space_of(room(fragment=0), None)
    assert found is not None
    assert found.total_bytes == 65_536_000


@pytest.mark.parametrize(
    "silent", [room(blocks=0, available=0), room(fragment=0, block=0), room(available=1001)]
)
def test_a_file_system_that_names_no_size_or_an_impossible_one_is_unknown(silent):
    assert space_of(silent, None) is None


def test_read_only_is_told_from_read_write_with_other_flags():
    locked, open_ = space_of(room(flags=0x1001), None), space_of(room(flags=0x1000), None)
    assert locked is not None
    assert open_ is not None
    assert (locked.read_only, open_.read_only) == (True, False)


def test_the_quota_stands_beside_the_room():
    found = space_of(room(), Quota(500, 20))
    assert found is not None
    assert (found.quota_bytes, found.quota_used_bytes) == (500, 20)


def test_limits_are_in_kib_and_space_in_bytes():
    answer = answer_of(hard_kib=500, soft_kib=400, used_bytes=12_345)
    assert decode(answer) == Quota(500 * KIB, 12_345)


def test_the_soft_limit_counts_only_where_there_is_no_hard_one():
    assert decode(answer_of(soft_kib=400)) == Quota(400 * KIB, 0)


def test_no_limit_is_no_quota():
    assert decode(answer_of(used_bytes=5)) is None


@pytest.mark.parametrize("valid", [0b111110, 0b111101, 0])
def test_what_the_kernel_does_not_vouch_for_is_no_quota(valid):
    assert decode(answer_of(hard_kib=500, valid=valid)) is None


def test_the_answer_is_as_long_as_the_structure_of_the_kernel():
    assert len(answer_of()) == space.ANSWER.size == 72


def test_the_quota_with_the_least_left_counts_and_not_the_smallest():
    assert tightest([Quota(100, 10), Quota(1000, 990), Quota(500, 20)]) == Quota(1000, 990)
    assert tightest([Quota(100, 10), Quota(1000, 2000)]) == Quota(1000, 2000)
    assert tightest([]) is None


def test_the_owner_and_the_group_are_asked_for(monkeypatch):
    asked = []

    def ask(holder, device, number):
        asked.append((holder, device, number))
        return answer_of(hard_kib=number) if holder == OF_USER else None

    monkeypatch.setattr(space, "device_of", lambda *_: DEVICE)
    assert list(quotas(Path("/repo"), 0, 1001, 100, ask)) == [Quota(1001 * KIB, 0)]
    assert asked == [(OF_USER, DEVICE, 1001), (OF_GROUP, DEVICE, 100)]


def test_nobody_is_asked_where_there_is_no_device(monkeypatch):
    monkeypatch.setattr(space, "device_of", lambda *_: None)
    assert list(quotas(Path("/repo"), 0, 1, 1, pytest.fail)) == []


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A root with mountinfo, where plain files whose content is a number stand for devices."""

    def number_in(path):
        return path.read_text() if path.is_file() else None

    def build(source, **devices):
        (tmp_path / "proc/self").mkdir(parents=True)
        line = f"30 1 8:17 / /srv rw - ext4 {source} rw\n"
        (tmp_path / "proc/self/mountinfo").write_text(line)
        (tmp_path / "dev/block").mkdir(parents=True)
        for name, number in devices.items():
            (tmp_path / "dev" / name.replace("block_", "block/8:")).write_text(number)
        monkeypatch.setattr(space, "block_number", number_in)
        return tmp_path

    return build


def test_the_device_is_the_one_that_is_mounted(system):
    root = system("/dev/sdb1", sdb1="8:17")
    assert device_of(Path("/srv/repo"), os.makedev(8, 17), root) == root / "dev/sdb1"


def test_a_device_of_another_number_is_not_asked(system):
    root = system("/dev/sdb1", sdb1="8:33")
    assert device_of(Path("/srv/repo"), os.makedev(8, 17), root) is None


def test_a_mount_whose_source_leads_nowhere_is_found_by_its_number(system):
    root = system("/dev/root", block_17="8:17")
    assert device_of(Path("/srv/repo"), os.makedev(8, 17), root) == root / "dev/block/8:17"


def test_a_real_folder_has_the_room_that_df_shows(tmp_path):
    shown = subprocess.run(
        ["df", "--block-size=1", "--output=size", tmp_path], capture_output=True, check=True
    )
    found = space_at(tmp_path)
    assert found is not None
    assert found.total_bytes == int(shown.stdout.split()[-1])
    assert 0 <= found.available_bytes <= found.total_bytes


def test_whose_quota_counts_is_the_owner_or_the_one_named(tmp_path, monkeypatch):
    monkeypatch.setattr(space, "device_of", lambda *_: DEVICE)
    answers = {OF_USER: answer_of(hard_kib=7, used_bytes=3), OF_GROUP: None}
    asked = []

    def ask(holder, _device, number):
        asked.append(number)
        return answers[holder]

    monkeypatch.setattr(space, "ask_kernel", ask)
    found = [space_at(tmp_path), space_at(tmp_path, owner=4242)]
    status = tmp_path.stat()
    assert asked == [status.st_uid, status.st_gid, 4242, status.st_gid]
    assert [(item.quota_bytes, item.quota_used_bytes) for item in found if item] == [(7168, 3)] * 2


def test_a_path_that_is_not_there_has_no_space(tmp_path):
    assert space_at(tmp_path / "gone") is None


def test_a_refusing_file_system_has_no_space(tmp_path, monkeypatch):
    def refuse(_path):
        raise OSError(errno.ENOSYS, "not implemented")

    monkeypatch.setattr(space.os, "statvfs", refuse)
    assert space_at(tmp_path) is None


def test_the_kernel_refuses_without_an_exception(tmp_path):
    for device in (tmp_path / "gone", tmp_path, Path("/dev/null"), Path("/caf\udce9")):
        assert ask_kernel(OF_USER, device, 0) is None
        assert ask_kernel(OF_GROUP, device, 2**32 - 2) is None


def test_a_c_library_without_the_function_is_a_refusal(monkeypatch):
    monkeypatch.setattr(space.ctypes, "CDLL", lambda _name: object())
    assert ask_kernel(OF_USER, DEVICE, 0) is None
