"""What a finished reading found replaces what was known."""

from dataclasses import fields, replace
from datetime import timedelta

from hypothesis import given, settings

from formats.core.model import Evidence, Inspection, Outcome
from scanner.findings import finding_id
from scanner.ledger.rows import ImageRow
from scanner.results import FileState, PayloadSeen
from tests.scanner.ledger.stories import (
    EVENING,
    INSPECTION,
    MATCHED,
    NIGHT,
    REDUNDANT,
    Story,
    baseline,
    damaged,
    image,
    piece,
    result,
    stamps,
)
from tests.scanner.ledger.test_units import ROWS

COPIED = [field.name for field in fields(Inspection) if field.name not in ("evidence", "state")]


def test_file_comes_back_as_it_was_read(story):
    story.read(stamps=stamps(allocated_bytes=4096), baseline=baseline(taken_at=EVENING - NIGHT))
    row = story.file()
    assert (row.path, row.size, row.allocated_bytes, row.mtime_ns) == ("a.vhdx", 3 << 20, 4096, 11)
    assert (row.state, row.format, row.format_revision) == (FileState.READ, "vhdx", 2)
    assert (row.read_at, row.unchanged_since) == (EVENING, EVENING - NIGHT)
    assert (row.bytes_read, row.first_seen_at, row.seen_at) == (3 << 20, EVENING, EVENING)


def test_image_comes_back_as_it_was_inspected(story):
    story.read(images=(image(), image(piece(2, 3))))
    first, second = story.images()
    for row, inspection in ((first, INSPECTION), (second, piece(2, 3))):
        assert {name: getattr(row, name) for name in COPIED} == {
            name: getattr(inspection, name) for name in COPIED
        }
        assert row.payload_seen == PayloadSeen(50, 40, nonzero=True)
    assert (first.file_id, first.image_index, second.image_index) == (story.file().id, 0, 1)
    assert set(COPIED) == set(ImageRow.__slots__) - {
        "id",
        "file_id",
        "image_index",
        "payload_seen",
    }


def test_size_from_a_damaged_field_is_held_at_the_largest_number(story):
    story.read(images=(image(Inspection(source_bytes=2**64 - 1)),))
    assert story.images()[0].source_bytes == 2**63 - 1


def test_unknown_is_none_and_not_zero(story):
    story.read(images=(image(Inspection()),), format=None, format_revision=None, identity_key=None)
    row = story.images()[0]
    empty = Inspection()
    unknown = [name for name in COPIED if getattr(empty, name) is None]
    assert len(unknown) == 11
    assert {getattr(row, name) for name in unknown} == {None}
    assert row.identities == row.parents == row.members == ()
    assert story.file().format is None


def test_image_keeps_its_number_from_reading_to_reading(story):
    story.read(images=(image(), image()))
    before = [row.id for row in story.images()]
    story.read(images=(image(Inspection(title="again")), image(), image()))
    assert [row.id for row in story.images()][:2] == before
    assert [row.title for row in story.images()] == ["again", "Nightly", "Nightly"]
    story.read(images=(image(),))
    assert [row.id for row in story.images()] == before[:1]


def test_new_evidence_takes_the_place_of_old(story):
    story.read(evidence=(damaged("generic.tail.zeros"),), images=(image(evidence=(damaged(),)),))
    story.read(evidence=(), images=(image(evidence=(MATCHED,)),))
    assert [row.evidence for row in story.evidence()] == [MATCHED]


@settings(max_examples=50, deadline=None)
@given(rows=ROWS)
def test_any_evidence_comes_back_in_order(rows, lasting):
    lasting.finish(result(images=(image(evidence=rows),)))

    def capped(number):
        return None if number is None else min(number, 2**63 - 1)

    assert [row.evidence for row in lasting.evidence()] == [
        replace(
            row,
            offset=capped(row.offset),
            length=capped(row.length),
            count=capped(row.count),
            vouched_bytes=capped(row.vouched_bytes),
        )
        for row in rows
    ]
    assert [row.finding_id is not None for row in lasting.evidence()] == [row.bad for row in rows]


def test_evidence_is_as_old_as_the_oldest_byte_it_rests_on(story):
    story.read(read_at=EVENING - NIGHT, evidence=(damaged(),))
    assert {row.found_at for row in story.evidence()} == {EVENING - NIGHT}
    story.read(read_at=None, evidence=(damaged(),), state=FileState.CHANGED)
    assert {row.found_at for row in story.evidence()} == {EVENING}


def test_evidence_says_who_it_is_about_and_which_code_found_it(story):
    story.read(evidence=(damaged(),), images=(image(evidence=(MATCHED,)),))
    about_image, about_file = story.evidence()
    assert (about_image.image_id, about_file.image_id) == (story.images()[0].id, None)
    assert about_image.file_id == about_file.file_id == story.file().id
    assert about_image.revision == about_file.revision == 2


def test_finding_has_the_name_every_room_gives_it(story):
    found = damaged("vhdx.header.crc32c", 4096, member="base.vhdx")
    story.read(evidence=(found,), images=(image(evidence=()), image(evidence=(found,))))
    repository = "uuid:one\0/backups"
    names = {row.image_id is None: row.finding_id for row in story.evidence()}
    for about_file, index in ((True, None), (False, 1)):
        assert names[about_file] == finding_id(
            repository, "a.vhdx", "base.vhdx", index, "vhdx.header.crc32c", 4096
        )
    assert all(len(name) == 10 and int(name, 16) >= 0 for name in names.values())


def test_same_trouble_has_the_same_name_in_the_next_run_whatever_was_found(story):
    story.read(evidence=(damaged(actual="0x1"),))
    before = [row.finding_id for row in story.evidence()]
    story.next_run()
    story.read(evidence=(replace(damaged(actual="0x2"), outcome=Outcome.UNSTEADY),))
    assert [row.finding_id for row in story.evidence()] == before


def test_trouble_elsewhere_has_another_name(ledger, clock):
    here, there = Story(ledger, clock), Story(ledger, clock, root="/other")
    names = set()
    for story, path, offset in (
        (here, "a", 1),
        (here, "a", 2),
        (here, "b", 1),
        (there, "a", 1),
        (here, "a", None),
    ):
        story.read(path, images=(), evidence=(damaged(offset=offset),))
        names |= {row.finding_id for row in story.evidence()}
    assert len(names) == 5


def test_damaged_text_in_names_is_no_obstacle(story):
    odd = Evidence("x.y.z", Outcome.MISMATCHED, member="\ud800\0", actual="\udfff")
    story.read(evidence=(odd,), images=(image(Inspection(facts={"\ud800": "\0"})),))
    assert odd in [row.evidence for row in story.evidence()]
    assert story.images()[0].facts == {"\ud800": "\0"}


def test_file_that_changed_while_it_was_read_has_no_date_of_reading(story):
    story.read()
    story.read(state=FileState.CHANGED, read_at=EVENING + timedelta(hours=1))
    assert story.file().read_at is None
    assert story.file().state is FileState.CHANGED


def test_bug_of_ours_is_remembered_until_the_next_reading(story):
    story.read(traceback="Traceback ...\ud800")
    assert story.ledger.traceback(story.file().id) == "Traceback ...\ud800"
    story.read()
    assert story.ledger.traceback(story.file().id) is None
    assert story.ledger.traceback(12345) is None


def test_file_may_be_finished_without_having_been_started(story):
    story.finish(result("empty.bak", images=(), format=None, format_revision=None))
    assert story.file("empty.bak").state is FileState.READ


def test_what_all_pieces_showed_is_replaced_when_it_is_concluded_again(story):
    story.read("one.bak", images=(image(piece(1), evidence=(MATCHED,)),))
    story.read("two.bak", images=(image(piece(2), evidence=(REDUNDANT,)),))
    first = story.images()[0]
    story.ledger.record_joint(first.id, (damaged("sql.page.checksum"), MATCHED), EVENING + NIGHT)
    story.ledger.record_joint(first.id, (damaged("sql.page.checksum"),), EVENING + NIGHT)
    joint = [row for row in story.evidence() if row.found_at == EVENING + NIGHT]
    assert [(row.image_id, row.evidence) for row in joint] == [
        (first.id, damaged("sql.page.checksum"))
    ]
    assert joint[0].file_id == first.file_id
    assert joint[0].revision == 2
    assert len(story.evidence()) == 3


def test_piece_that_is_read_again_waits_for_a_new_conclusion(story):
    story.read("one.bak", images=(image(piece(1), evidence=()),))
    story.ledger.record_joint(story.images()[0].id, (MATCHED,), EVENING)
    story.read("one.bak", images=(image(piece(1), evidence=()),))
    assert story.evidence() == ()
