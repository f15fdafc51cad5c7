"""Images in several files: concluded only when every piece is there, read, and can be inspected."""

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from formats.core.errors import FormatError
from formats.core.model import Evidence, Identity, Outcome, Part, PieceOf
from scanner.judge.cases import Case, cases
from scanner.results import FileState
from scanner.sets import Place, conclude_set, whole
from tests.faulty import Faults, FaultyOpener
from tests.scanner.engine import toys
from tests.scanner.engine.runs import speaking
from tests.scanner.judge.rows import Rows

FILES = {"1.toy": toys.MAGIC + b"one", "2.toy": toys.MAGIC + b"two"}


class Counts:
    """What a ledger kept of pieces."""

    def tallies(self, image_id: int) -> dict[str, int]:
        return {"image": image_id}

    def unreadable(self, image_id: int) -> tuple[tuple[int, int], ...]:
        return ((image_id, 4096),)


def pieces(*states: FileState, count: int = 2) -> Case:
    rows = Rows()
    for number, state in enumerate(states, 1):
        piece = PieceOf(Identity("toy", "set"), number, count)
        rows.backup(f"{number}.toy", piece=piece, file={"state": state, "known_as": "toy"})
    (case,) = cases(rows.shelf(), frozenset({"toy"}))
    return case


READ = FileState.READ


@pytest.mark.parametrize(
    ("states", "count", "expected"),
    [
        ((READ, READ), 2, True),
        ((READ,), 2, False),
        ((READ, READ), 3, False),
        ((READ, FileState.READING), 2, False),
        ((READ, FileState.CHANGED), 2, False),
        ((READ, FileState.GONE), 2, False),
        ((READ,), 1, True),
    ],
)
def test_a_set_is_whole_when_every_piece_is_there_and_read(states, count, expected):
    assert whole(pieces(*states, count=count)) == expected


def test_an_image_in_one_file_is_no_set():
    rows = Rows()
    rows.backup("a.toy")
    (case,) = cases(rows.shelf(), frozenset())
    assert not whole(case)


def joined(parts: tuple[Part, ...]) -> tuple[Evidence, ...]:
    said = ", ".join(f"{part.member} {part.tally['image']} {part.unreadable}" for part in parts)
    return (Evidence("toy.set.joined", Outcome.MATCHED, expected=said),)


def conclude(faults: dict[str, Faults] | None = None, **steps: object) -> object:
    subject = replace(toys.toy(), conclude=joined, **steps)
    opener = FaultyOpener(faults or {}, FILES)
    with speaking(subject):
        found = conclude_set(pieces(READ, READ), Counts(), Place(Path("/srv"), opener))
    assert opener.opened == opener.closed
    return found


def test_every_piece_brings_its_facts_its_counts_and_its_gaps():
    (row,) = conclude()
    assert row.expected == "1.toy 1001 ((1001, 4096),), 2.toy 1002 ((1002, 4096),)"


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOENT, errno.EIO])
def test_a_piece_that_cannot_be_opened_now_leaves_the_set_for_another_night(number):
    assert conclude({"2.toy": Faults(open_errno=number)}) is None


def test_a_format_nobody_knows_any_more_leaves_the_set_alone():
    opener = FaultyOpener({}, FILES)
    with speaking():
        assert conclude_set(pieces(READ, READ), Counts(), Place(Path("/srv"), opener)) is None


def test_a_piece_whose_structure_broke_meanwhile_is_concluded_by_what_is_left():
    error = FormatError("toy.head.magic", offset=0, length=4)

    def inspect(*_arguments: object) -> object:
        raise error

    (row,) = conclude(inspect=inspect)
    assert row.check == "toy.set.joined"
