"""What must be read: everything that is not proven to be as it was."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest

import formats
from scanner.ledger.rows import KnownFile
from scanner.results import FileState, Stamps
from scanner.survey.choose import (
    must_read,
    present_revision,
    registry_revision,
    renamed,
    revision_of,
)
from scanner.survey.walk import Seen
from tests.scanner.engine import toys

NOW = datetime(2026, 3, 14, tzinfo=UTC)
AGE = timedelta(days=30)
STAMPS = Stamps(100, 1, 2, 3, 512)
TOY = toys.toy(revision=4)
CLOSED = replace(toys.toy(name="closed", revision=2), supported=False)


@pytest.fixture(autouse=True)
def toy_formats():
    with mock.patch.object(formats, "FORMATS", (TOY, CLOSED)):
        yield


def seen(path: str = "a", stamps: Stamps = STAMPS) -> Seen:
    return Seen(path, stamps, 1, 1)


def known(**changes: object) -> KnownFile:
    row = KnownFile("a", STAMPS, FileState.READ, "toy", 4, NOW - timedelta(days=1), "toy:x", False)  # noqa: FBT003
    return row._replace(**changes)


def chosen(item: KnownFile | None, stamps: Stamps = STAMPS, now: datetime = NOW) -> bool:
    return must_read(seen(stamps=stamps), item, now, AGE)


def test_an_unchanged_file_that_was_read_is_not_read_again():
    assert not chosen(known())


def test_an_unknown_file_is_read():
    assert chosen(None)


@pytest.mark.parametrize("state", [item for item in FileState if item is not FileState.READ])
def test_a_file_that_was_not_read_to_its_end_is_read(state):
    assert chosen(known(state=state))
    assert chosen(known(state=state, read_at=None))


def test_a_file_nobody_knows_when_it_was_read_is_read():
    assert chosen(known(read_at=None))


@pytest.mark.parametrize("name", ["size", "mtime_ns", "ctime_ns", "inode"])
def test_a_changed_stamp_is_a_reason(name):
    assert chosen(known(), replace(STAMPS, **{name: 99}))


def test_other_blocks_allocated_are_no_reason():
    assert not chosen(known(), replace(STAMPS, allocated_bytes=1024))


def test_storage_that_failed_is_asked_again_every_time():
    assert chosen(known(storage_bad=True))


@pytest.mark.parametrize(
    ("name", "revision", "expected"),
    [
        ("toy", 4, False),
        ("toy", 3, True),
        ("toy", None, True),
        ("no longer there", 4, True),
        (None, 4, True),
        ("closed", 2, True),
    ],
)
def test_evidence_of_another_revision_is_gathered_again(name, revision, expected):
    assert chosen(known(format=name, format_revision=revision)) == expected


def test_files_no_format_reads_have_the_revision_of_all_formats():
    now = registry_revision()
    for name in (None, "closed", "no longer there"):
        assert present_revision(name) == now
        assert not chosen(known(format=name, format_revision=now))
        assert chosen(known(format=name, format_revision=now + 1))
    assert present_revision("toy") == 4


def test_the_revision_of_all_formats_changes_with_any_of_them():
    read = replace(CLOSED, supported=True)
    others = [(), (TOY,), (TOY, read), (replace(TOY, revision=5), CLOSED), (TOY, CLOSED)]
    assert len({revision_of(item) for item in others}) == len(others)


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (timedelta(), False),
        (AGE - timedelta(seconds=1), False),
        (AGE, True),
        (AGE + timedelta(days=300), True),
        # The clock was wrong then, or is wrong now: nobody knows how old the proof is.
        (-timedelta(seconds=1), True),
        (-timedelta(days=3650), True),
    ],
)
def test_a_proof_grows_old(age, expected):
    assert chosen(known(read_at=NOW - age)) == expected


# Renames


def gone(path: str, stamps: Stamps = STAMPS) -> tuple[str, KnownFile]:
    return path, known(path=path, stamps=stamps)


def moves(files: dict[str, Stamps], ledger: dict[str, Stamps]) -> dict[str, str]:
    return renamed(
        [seen(path, stamps) for path, stamps in files.items()],
        dict(gone(path, stamps) for path, stamps in ledger.items()),
    )


A, B, C = STAMPS, replace(STAMPS, inode=4), replace(STAMPS, inode=5)


def test_a_file_that_moved_is_known_by_inode_size_and_time():
    touched = replace(A, ctime_ns=99)  # renaming changes it
    assert moves({"new": touched}, {"old": A}) == {"old": "new"}


@pytest.mark.parametrize("name", ["size", "mtime_ns", "inode"])
def test_another_file_is_no_move(name):
    assert moves({"new": replace(A, **{name: 99})}, {"old": A}) == {}


def test_a_file_that_is_still_there_did_not_move():
    assert moves({"old": A, "copy": A}, {"old": A}) == {}


def test_a_file_moved_over_a_known_one_has_moved():
    assert moves({"b": A}, {"a": A, "b": B}) == {"a": "b"}


def test_a_new_file_under_an_old_name_is_no_move():
    assert moves({"a": B}, {"a": A}) == {}


def test_exchanged_names_are_followed():
    assert moves({"a": B, "b": A}, {"a": A, "b": B}) == {"a": "b", "b": "a"}


def test_names_that_are_handed_on_are_followed():
    new = replace(STAMPS, inode=9)
    assert moves({"1": new, "2": A, "3": B}, {"1": A, "2": B, "3": C}) == {"1": "2", "2": "3"}


def test_several_moves_at_once():
    assert moves({"x": B, "y": C, "c": A}, {"a": B, "b": C, "c": A}) == {"a": "x", "b": "y"}


def test_one_file_moves_to_one_place():
    assert len(moves({"x": A, "y": A}, {"a": A})) == 1
