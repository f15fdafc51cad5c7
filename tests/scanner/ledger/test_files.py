"""What a survey learns of files it knows: found, renamed, gone."""

import pytest

from formats.core.model import Evidence, Outcome
from scanner.ledger.store import Ledger
from scanner.results import FileState
from tests.scanner.ledger.stories import (
    EVENING,
    MATCHED,
    NIGHT,
    Story,
    baseline,
    damaged,
    result,
    stamps,
    unit,
)


def test_known_file_has_what_decides_whether_it_is_read(story):
    story.read(path="a.vhdx", stamps=stamps(inode=2**64 - 5))
    known = story.known("a.vhdx")
    assert known.path == "a.vhdx"
    assert known.stamps == stamps(inode=2**64 - 5)
    assert known.state is FileState.READ
    assert (known.format, known.format_revision) == ("vhdx", 2)
    assert known.read_at == EVENING
    assert known.identity_key == "vhdx:aa"
    assert known.storage_bad is False


@pytest.mark.parametrize(
    ("evidence", "bad"),
    [
        ((damaged("storage.unreadable"),), True),
        ((Evidence("storage.read", Outcome.MATCHED),), False),
        ((damaged("baseline.block.xxh3"),), False),
        ((damaged("storagex.y"),), False),
    ],
)
def test_known_file_says_whether_its_storage_is_failing(story, evidence, bad):
    story.read(evidence=evidence)
    assert story.known().storage_bad is bad


def test_known_files_take_one_query_each_for_files_and_failing_ones(story):
    for number in range(20):
        story.read(f"{number}.vhdx", evidence=(damaged("storage.unreadable"),))
    asked = []
    story.ledger._reader.set_trace_callback(asked.append)
    known = story.ledger.known_files(story.repository.id)
    assert len(known) == 20
    assert len(asked) == 2


@pytest.mark.parametrize("read", ["files", "images", "evidence"])
def test_what_the_judge_reads_is_one_query(story, read):
    for number in range(20):
        story.read(f"{number}.vhdx", evidence=(damaged(),))
    asked = []
    story.ledger._reader.set_trace_callback(asked.append)
    assert len(getattr(story, read)()) >= 20
    assert len(asked) == 1


def test_equal_paths_in_two_repositories_are_two_files(ledger, clock):
    one, two = Story(ledger, clock), Story(ledger, clock, "uuid:two")
    one.read(stamps=stamps(1))
    two.start(seen=stamps(2))
    two.record(unit())
    assert one.file().size == 1
    assert two.file().state is FileState.READING
    assert one.file().state is FileState.READ
    assert one.file().id != two.file().id
    assert one.recorded() == ()
    two.ledger.mark_gone(two.repository.id, two.next_run(), [""])
    assert (one.file().state, two.file().state) == (FileState.READ, FileState.GONE)


def test_repository_is_its_file_system_and_folder_wherever_it_is_mounted(ledger):
    one = ledger.repository("uuid:x", "/backups", "/mnt/a")
    assert ledger.repository("uuid:x", "/backups", "/mnt/b").id == one.id
    assert ledger.repository("uuid:y", "/backups", "/mnt/b").id != one.id
    assert ledger.repository("uuid:x", "/other", "/mnt/b").id != one.id
    assert [row.path for row in ledger.repositories()] == ["/mnt/b"] * 3


def test_name_that_is_no_utf8_is_a_name_like_others(story):
    path = "caf\udce9/\ufffd.vhdx"
    story.read(path)
    assert story.known(path).path == path
    assert story.file(path).path == path
    story.ledger.rename(story.repository.id, {path: "\udce8"})
    assert story.file("\udce8").path == "\udce8"


def test_runs_are_listed_newest_first(story):
    story.ledger.end_run(story.run, EVENING + NIGHT / 24, 5, 7 << 40, 4)
    story.next_run()
    newest, oldest = story.ledger.runs(story.repository.id, limit=5)
    assert (newest.finished_at, newest.exit_code, newest.files) == (None, None, 0)
    assert oldest.started_at == EVENING
    assert oldest.finished_at == EVENING + NIGHT / 24
    assert (oldest.files, oldest.bytes_read, oldest.exit_code) == (5, 7 << 40, 4)
    assert story.ledger.runs(story.repository.id, limit=1) == (newest,)


def test_file_that_is_seen_again_has_a_new_date_and_nothing_else(story):
    story.read()
    before = story.file()
    story.ledger.mark_seen(story.next_run(), story.repository.id, ["a.vhdx", "unknown"])
    after = story.file()
    assert after.seen_at == EVENING + NIGHT
    assert after.first_seen_at == before.first_seen_at == EVENING
    assert (after.state, after.read_at) == (before.state, before.read_at)
    assert len(story.files()) == 1


class TestGone:
    PATHS = ("a/1", "a/2", "ab/3", "b/4", "c")

    @pytest.fixture
    def second_night(self, story):
        for path in self.PATHS:
            story.read(path)
        story.next_run()
        return story

    def gone(self, story, under, except_under=()):
        said = story.ledger.mark_gone(story.repository.id, story.run, under, except_under)
        assert said == tuple(
            path for path in self.PATHS if story.file(path).state is FileState.GONE
        )
        return said

    def test_whole_repository(self, second_night):
        second_night.ledger.mark_seen(second_night.run, second_night.repository.id, ["a/2", "c"])
        assert self.gone(second_night, [""]) == ("a/1", "ab/3", "b/4")

    def test_scan_of_a_folder_says_nothing_of_the_rest(self, second_night):
        assert self.gone(second_night, ["a"]) == ("a/1", "a/2")

    def test_scan_of_one_file_says_nothing_of_the_rest(self, second_night):
        assert self.gone(second_night, ["c"]) == ("c",)

    def test_folder_with_a_slash_at_its_end_is_the_same_folder(self, second_night):
        assert self.gone(second_night, ["a/", "b/"]) == ("a/1", "a/2", "b/4")

    def test_unreadable_folder_hides_its_files_and_does_not_delete_them(self, second_night):
        assert self.gone(second_night, [""], ["a", "b"]) == ("ab/3", "c")

    def test_nothing_surveyed_nothing_gone(self, second_night):
        assert self.gone(second_night, []) == ()

    def test_file_keeps_the_day_it_was_seen_last_and_is_said_gone_once(self, second_night):
        self.gone(second_night, ["c"])
        assert second_night.file("c").seen_at == EVENING
        second_night.next_run()
        assert second_night.ledger.mark_gone(1, second_night.run, ["c"]) == ()

    def test_file_that_came_back_is_gone_until_it_is_looked_into(self, second_night):
        self.gone(second_night, ["c"])
        second_night.ledger.mark_seen(second_night.next_run(), 1, ["c"])
        assert second_night.known("c").state is FileState.GONE
        second_night.read("c")
        assert second_night.known("c").state is FileState.READ

    def test_file_being_started_counts_as_seen(self, second_night):
        second_night.start("c")
        assert self.gone(second_night, [""]) == self.PATHS[:-1]


class TestRename:
    def test_keeps_everything(self, story):
        story.read(evidence=(damaged("baseline.block.xxh3"),), baseline=baseline())
        before = story.file(), story.images(), story.baseline()
        story.ledger.rename(story.repository.id, {"a.vhdx": "old/a.vhdx"})
        after = story.file("old/a.vhdx"), story.images(), story.baseline("old/a.vhdx")
        assert after[0].id == before[0].id
        assert after[1] == before[1]
        assert after[2].digests == before[2].digests
        assert [row.path for row in story.files()] == ["old/a.vhdx"]
        assert [row.evidence.check for row in story.evidence() if row.image_id is None] == [
            "baseline.block.xxh3"
        ]

    def test_handed_on_names_and_exchanged_ones(self, story):
        for number, path in enumerate(["full.bak", "full.1.bak", "x", "y"]):
            story.read(path, stamps=stamps(number + 1))
        story.ledger.rename(
            story.repository.id,
            {"full.bak": "full.1.bak", "full.1.bak": "full.2.bak", "x": "y", "y": "x"},
        )
        sizes = {row.path: row.size for row in story.files()}
        assert sizes == {"full.1.bak": 1, "full.2.bak": 2, "x": 4, "y": 3}

    def test_file_that_stood_at_the_new_name_is_another_one(self, story):
        story.read("a", stamps=stamps(1))
        story.read("b", stamps=stamps(2), baseline=baseline())
        story.ledger.rename(story.repository.id, {"a": "b"})
        assert [(row.path, row.size) for row in story.files()] == [("b", 1)]
        assert story.count("baselines") == 0

    def test_unknown_name_is_skipped(self, story):
        story.read("b")
        story.ledger.rename(story.repository.id, {"never seen": "b"})
        assert [row.path for row in story.files()] == ["b"]

    def test_finding_has_the_name_it_would_have_had_there(self, story, tmp_path, clock):
        found = (damaged("baseline.block.xxh3"), damaged(member="b.vhdx"), MATCHED)
        story.read(evidence=found)
        story.ledger.rename(story.repository.id, {"a.vhdx": "new.vhdx"})
        with Ledger.open(tmp_path / "other" / "ledger.sqlite", clock) as other:
            there = Story(other, clock)
            there.read("new.vhdx", evidence=found)
            assert story.evidence() == there.evidence()

    def test_accepted_finding_stays_accepted(self, story):
        story.read(evidence=(damaged(),))
        (before,) = {row.finding_id for row in story.evidence() if row.image_id is None}
        story.ledger.acknowledge(before, EVENING + NIGHT, "old disk", EVENING)
        story.ledger.rename(story.repository.id, {"a.vhdx": "new.vhdx"})
        (after,) = {row.finding_id for row in story.evidence() if row.image_id is None}
        assert after != before
        assert [row.finding_id for row in story.ledger.acknowledgements(EVENING)] == [after]


def test_refused_file_keeps_what_was_known_of_it(story):
    story.read(evidence=(damaged(),), baseline=baseline())
    images, before = story.images(), story.file()
    about_image = [row for row in story.evidence() if row.image_id is not None]
    story.next_run()
    refused = Evidence("storage.access", Outcome.UNREADABLE, actual="EACCES")
    story.finish(
        result(
            state=FileState.REFUSED,
            images=(),
            evidence=(refused,),
            read_at=None,
            identity_key=None,
            format=None,
            format_revision=None,
        )
    )
    after = story.file()
    assert after.state is FileState.REFUSED
    assert (after.format, after.read_at) == (before.format, before.read_at)
    assert after.unchanged_since == before.unchanged_since == EVENING
    assert story.images() == images
    assert [row for row in story.evidence() if row.image_id is not None] == about_image
    (about_file,) = (row for row in story.evidence() if row.image_id is None)
    assert (about_file.evidence, about_file.found_at) == (refused, EVENING + NIGHT)
    assert story.baseline() is not None
    assert story.known().storage_bad is True
