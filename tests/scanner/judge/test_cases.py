"""Images of several pieces: which pieces make one image, which are missing, what is whose share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.core.model import Bearing, Identity, PieceOf
from scanner.judge.cases import PIECES_MAX, cases, own_shares
from scanner.judge.model import Verdict
from scanner.results import FileState, PayloadSeen
from tests.scanner.judge.rows import GOOD, VOCABULARY, Rows, bad, named, of, ruled

GONE = {"state": FileState.GONE}


def piece(number: int, count: int = 3, identity: str = "set") -> PieceOf:
    return PieceOf(Identity("toy", identity), number, count)


def add(rows: Rows, path: str, number: int, count: int = 3, **more: object) -> int:
    return rows.backup(path, piece=piece(number, count), **more).id


def grouped(rows: Rows) -> list[list[str]]:
    """Return the paths of each image's pieces."""
    found = cases(rows.shelf(), VOCABULARY.supported)
    return sorted([file.path for file in case.files] for case in found)


def test_pieces_of_one_set_are_one_image_in_order():
    rows = Rows()
    for number in (3, 1, 2):
        add(rows, f"{number}.bak", number)
    assert grouped(rows) == [["1.bak", "2.bak", "3.bak"]]
    judged = rows.judged()
    (image,) = judged.images
    assert image.ruling.verdict is Verdict.SOUND
    assert image.key == image.pieces[0].id
    assert [item.piece.number for item in image.pieces] == [1, 2, 3]


def test_images_of_other_sets_and_other_numbers_in_the_file_stay_apart():
    rows = Rows()
    for number in (1, 2):
        file = rows.file(f"{number}.bak")
        for identity in ("first", "second"):
            rows.image(file, piece=piece(number, 2, identity))
        rows.image(file, piece=piece(number, 2, "first"))
    assert grouped(rows) == [["1.bak", "2.bak"]] * 3


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ((1, 3), "2 pieces; missing number 2"),
        ((2,), "1 pieces; missing number 1, 3"),
    ],
)
def test_a_missing_piece_makes_the_image_incomplete(there, said):
    rows = Rows()
    for number in there:
        add(rows, f"{number}.bak", number)
    (image,) = rows.judged().images
    assert image.ruling.verdict is Verdict.INCOMPLETE
    (row,) = [item.evidence for item in image.evidence if item.evidence.bad]
    assert (row.check, row.expected, row.actual) == ("set.pieces.present", "3 pieces", said)


def test_a_gone_piece_is_a_missing_one():
    rows = Rows()
    add(rows, "1.bak", 1, 2)
    add(rows, "2.bak", 2, 2, file=GONE)
    (image,) = rows.judged().images
    assert image.ruling == image.own
    assert image.ruling.verdict is Verdict.INCOMPLETE
    assert image.ruling.evidence.evidence.actual == "1 pieces; missing number 2"


def test_a_set_that_is_wholly_gone_is_forgotten():
    rows = Rows()
    for number in (1, 2):
        add(rows, f"{number}.bak", number, 2, file=GONE)
    assert rows.judged().images == ()


def test_pieces_in_different_folders_are_joined():
    rows = Rows()
    add(rows, "disk1/x.bak", 1, 2)
    add(rows, "disk2/x.bak", 2, 2)
    assert grouped(rows) == [["disk1/x.bak", "disk2/x.bak"]]


def test_copies_of_a_whole_set_are_images_of_their_own():
    rows = Rows()
    for folder in ("a", "b"):
        for number in (1, 2):
            add(rows, f"{folder}/{number}.bak", number, 2)
    assert grouped(rows) == [["a/1.bak", "a/2.bak"], ["b/1.bak", "b/2.bak"]]


def test_a_damaged_copy_does_not_damage_the_other():
    rows = Rows()
    for folder in ("a", "b"):
        for number in (1, 2):
            news = (GOOD, bad()) if (folder, number) == ("a", 2) else (GOOD,)
            rows.backup(f"{folder}/{number}.bak", news, piece=piece(number, 2))
    judged = rows.judged()
    assert ruled(judged, "a/1.bak")[0] is Verdict.DAMAGED
    assert ruled(judged, "b/1.bak")[0] is Verdict.SOUND


def test_a_set_whose_piece_moved_is_whole():
    # One piece was copied elsewhere and deleted; the row of the old one still names its folder.
    rows = Rows()
    add(rows, "a/1.bak", 1, 2, file=GONE)
    add(rows, "a/2.bak", 2, 2)
    add(rows, "b/1.bak", 1, 2)
    assert grouped(rows) == [["a/1.bak"], ["b/1.bak", "a/2.bak"]]
    (image,) = rows.judged().images
    assert image.ruling.verdict is Verdict.SOUND


def test_a_set_that_moved_is_whole_and_its_old_place_forgotten():
    rows = Rows()
    for number in (1, 2):
        add(rows, f"a/{number}.bak", number, 2, file=GONE)
        add(rows, f"b/{number}.bak", number, 2)
    judged = rows.judged()
    assert [item.path for item in judged.images] == ["b/1.bak"]
    assert judged.images[0].ruling.verdict is Verdict.SOUND


def test_of_a_piece_that_is_there_twice_one_that_is_there_is_taken():
    rows = Rows()
    add(rows, "a copy of 1.bak", 1, 2, file=GONE)
    add(rows, "1.bak", 1, 2)
    add(rows, "1 again.bak", 1, 2)
    add(rows, "2.bak", 2, 2)
    assert grouped(rows) == [["1 again.bak", "2.bak"], ["1.bak"], ["a copy of 1.bak"]]


def test_a_spare_piece_is_not_passed_over():
    rows = Rows()
    add(rows, "1.bak", 1, 2)
    add(rows, "2.bak", 2, 2)
    rows.backup("z copy of 2.bak", (GOOD, bad()), piece=piece(2, 2))
    judged = rows.judged()
    assert ruled(judged, "1.bak")[0] is Verdict.SOUND
    assert ruled(judged, "z copy of 2.bak")[0] is Verdict.DAMAGED


def test_sets_of_different_repositories_are_not_mixed():
    rows = Rows()
    add(rows, "1.bak", 1, 2)
    add(rows, "2.bak", 2, 2, file={"repository": 2})
    assert grouped(rows) == [["1.bak"], ["2.bak"]]
    assert {item.ruling.verdict for item in rows.judged().images} == {Verdict.INCOMPLETE}


def test_a_hostile_count_costs_little():
    rows = Rows()
    add(rows, "1.bak", 1, 1 << 40)
    (image,) = rows.judged().images
    assert image.ruling.verdict is Verdict.INCOMPLETE
    said = image.ruling.evidence.evidence.actual
    assert said.startswith("1 pieces; missing number 2, 3")
    assert len(said) < 80
    assert PIECES_MAX < 1 << 20


def test_a_piece_that_is_not_read_leaves_the_image_unproven():
    rows = Rows()
    add(rows, "1.bak", 1, 2)
    add(rows, "2.bak", 2, 2, file={"state": FileState.READING})
    (image,) = rows.judged().images
    assert (image.ruling.verdict, image.ruling.rule) == (Verdict.UNPROVEN, "not-read")
    assert image.proof.read_at is None


def test_payload_is_weighed_over_all_pieces():
    rows = Rows()
    zeros = PayloadSeen(100, 0, nonzero=False)
    add(rows, "1.bak", 1, 2, payload_seen=zeros)
    last = {"payload_seen": PayloadSeen(100, 1, nonzero=True)}
    add(rows, "2.bak", 2, 2, **last)
    (image,) = rows.judged().images
    assert image.ruling.verdict is Verdict.SOUND
    assert {case.payload_seen for case in cases(rows.shelf(), frozenset())} == {
        PayloadSeen(200, 1, nonzero=True)
    }


@given(order=st.permutations(range(6)))
def test_the_order_of_discovery_changes_nothing(order):
    places = [("a/1", 1), ("a/2", 2), ("b/1", 1), ("c/2", 2), ("c/1 too", 1), ("d/2", 2)]
    rows = Rows()
    for at in order:
        path, number = places[at]
        add(rows, path, number, 2)
    assert grouped(rows) == [["a/1", "a/2"], ["b/1", "d/2"], ["c/1 too", "c/2"]]


# Shares


def test_an_appended_image_needs_what_lies_behind_the_one_before():
    rows = Rows()
    file = rows.file("appended.bak")
    for needed in (100, 250, None, 240, 400):
        rows.image(file, needed_bytes=needed)
    assert list(own_shares(rows.images).values()) == [100, 150, None, 0, 150]


def test_shares_do_not_depend_on_the_order_of_rows():
    rows = Rows()
    file = rows.file("appended.bak")
    for needed in (100, 250, 400):
        rows.image(file, needed_bytes=needed)
    assert own_shares(rows.images) == own_shares(rows.images[::-1])


# Members


def test_a_member_speaks_through_the_image_it_belongs_to():
    rows = Rows()
    rows.backup("vm/disk.qcow2", members=("disk.data",))
    rows.backup("vm/disk.data", file={"known_as": "raw_disk"})
    rows.backup("other/disk.data", file={"known_as": "raw_disk"})
    judged = rows.judged()
    assert [item.path for item in judged.images] == ["other/disk.data", "vm/disk.qcow2"]


def test_a_member_that_is_a_format_of_its_own_is_judged():
    rows = Rows()
    rows.backup("disk.qcow2", members=("data.qcow2",))
    rows.backup("data.qcow2", (GOOD, bad()))
    assert ruled(rows.judged(), "data.qcow2")[0] is Verdict.DAMAGED


def test_a_member_another_image_needs_as_its_parent_is_shown():
    rows = Rows()
    rows.backup("disk.qcow2", members=("data.raw",))
    rows.backup("data.raw", file={"known_as": "raw_disk"})
    rows.backup("child.qcow2", parents=named("data.raw"))
    judged = rows.judged()
    assert ruled(judged, "data.raw") == (Verdict.UNPROVEN, "not-judgeable")
    assert of(judged, "child.qcow2").deciding_key == of(judged, "data.raw").key


def test_a_further_file_need_not_be_what_its_suffix_says():
    rows = Rows()
    rows.backup("vm/disk.qcow2", members=("disk.raw",))
    misnamed = bad(bearing=Bearing.DOUBTFUL, check="generic.name")
    rows.file("vm/disk.raw", (misnamed,), known_as=None)
    assert ruled(rows.judged(), "vm/disk.qcow2") == (Verdict.SOUND, "proven")


def test_what_else_is_wrong_with_a_further_file_counts():
    rows = Rows()
    rows.backup("vm/disk.qcow2", members=("disk.raw",))
    rows.file("vm/disk.raw", (bad(check="storage.unreadable"),), known_as=None)
    assert ruled(rows.judged(), "vm/disk.qcow2") == (Verdict.DAMAGED, "bytes-wrong")


def test_members_that_are_no_image_are_not_listed_as_others():
    rows = Rows()
    rows.backup("vm/disk.qcow2", members=("disk.data", "../shared.data"))
    for path in ("vm/disk.data", "shared.data", "disk.data"):
        rows.file(path, known_as=None)
    assert [item.file.path for item in rows.judged().others] == ["disk.data"]
