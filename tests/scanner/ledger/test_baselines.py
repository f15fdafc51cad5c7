"""The engine decides about baselines; the ledger obeys."""

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.results import BaselineAction, FileState
from tests.scanner.ledger.stories import (
    EVENING,
    MIB,
    NIGHT,
    Story,
    baseline,
    digests_of,
    result,
    stamps,
    unit,
)

ADOPT, RENEW = BaselineAction.ADOPT, BaselineAction.RENEW
KEEP, NONE = BaselineAction.KEEP, BaselineAction.NONE


def read_times(story):
    return [us for (us,) in story.ledger._reader.execute("SELECT read_us FROM digests").fetchall()]


def test_no_file_no_baseline(story):
    assert story.baseline() is None
    story.start()
    story.record(unit())
    assert story.baseline() is None


def test_adopted_reading_is_the_baseline(story):
    units = [unit(3 * MIB, (4, 5)), unit(0, (1, 2, 3))]
    story.read(units=units, stamps=stamps(5 * MIB), baseline=baseline(taken_at=EVENING - NIGHT))
    found = story.baseline()
    assert found.digests == digests_of(1, 2, 3, 4, 5)
    assert found.taken_at == EVENING - NIGHT
    assert (found.identity_key, found.size, found.path) == ("vhdx:aa", 5 * MIB, "a.vhdx")
    assert found.stamps == stamps(5 * MIB)
    assert story.file().unchanged_since == EVENING - NIGHT


def test_adopting_again_replaces_digests_and_identity(story):
    story.read(baseline=baseline())
    story.read(
        units=[unit(blocks=(7,))],
        stamps=stamps(MIB),
        identity_key="vhdx:bb",
        baseline=baseline(taken_at=EVENING + NIGHT),
    )
    found = story.baseline()
    assert found.digests == digests_of(7)
    assert (found.identity_key, found.size) == ("vhdx:bb", MIB)
    assert found.taken_at == EVENING + NIGHT


def test_renewed_baseline_keeps_the_day_it_was_taken_and_has_new_times_of_reading(story):
    story.read(baseline=baseline())
    later = EVENING + NIGHT
    story.read(
        units=[unit(0, (1, 2), read_at=later), unit(2 * MIB, (3,), read_at=later)],
        stamps=stamps(mtime_ns=99),
        baseline=baseline(RENEW),
    )
    found = story.baseline()
    assert (found.digests, found.taken_at) == (digests_of(1, 2, 3), EVENING)
    assert found.stamps == stamps(mtime_ns=99)
    assert len(read_times(story)) == 2
    assert set(read_times(story)) == {int(later.timestamp()) * 1_000_000}


def test_block_unread_this_time_keeps_its_digest_when_the_rest_is_equal(story):
    story.read(baseline=baseline())
    story.read(units=[unit(0, (1,)), unit(MIB, (2, None))], baseline=baseline(RENEW))
    assert story.baseline().digests == digests_of(1, 2, 3)


def test_block_unread_in_an_adopted_reading_is_unknown(story):
    story.read(baseline=baseline())
    story.read(units=[unit(blocks=(1, None, 3))], baseline=baseline(ADOPT))
    assert story.baseline().digests == digests_of(1, None, 3)


def test_renewing_what_another_path_had_makes_a_baseline_here(story):
    story.read(units=[unit(blocks=(1, None, 3))], baseline=baseline(RENEW, EVENING - NIGHT))
    found = story.baseline()
    assert (found.digests, found.taken_at) == (digests_of(1, None, 3), EVENING - NIGHT)


@pytest.mark.parametrize("action", [KEEP, NONE])
def test_kept_baseline_stays_as_it_is_and_is_no_date_of_the_file(story, action):
    story.read(baseline=baseline())
    before = story.baseline()
    story.next_run()
    story.read(
        units=[unit(blocks=(9, 9, 9))], stamps=stamps(mtime_ns=99), baseline=baseline(action)
    )
    assert story.baseline() == before
    assert story.file().unchanged_since is None
    assert story.count("units") == 0


@pytest.mark.parametrize("decision", [None, baseline(NONE), baseline(KEEP)])
def test_structure_that_is_not_proven_takes_no_baseline(story, decision):
    story.read(baseline=decision)
    assert story.baseline() is None
    assert story.count("digests") == 0


@pytest.mark.parametrize("state", [FileState.CHANGED, FileState.REFUSED])
def test_only_a_complete_reading_makes_a_baseline(story, state):
    story.read(state=state, baseline=baseline())
    assert story.baseline() is None


@pytest.mark.parametrize("how", ["engine says nothing", "every digest is that of zeros"])
def test_zeros_take_no_room(story, how):
    length = 64 * MIB + 5
    zeros = xxhash.xxh3_128_digest(bytes(MIB)) * 64 + xxhash.xxh3_128_digest(bytes(5))
    digests = b"" if how == "engine says nothing" else zeros
    story.read(units=[unit(length=length, digests=digests)], baseline=baseline())
    assert story.baseline().digests == zeros
    sizes = story.ledger._reader.execute("SELECT length(digests) FROM digests").fetchall()
    assert sizes == [(0,)]


def test_part_of_a_file_no_unit_covers_is_unknown(story):
    story.read(units=[unit(0, (1,)), unit(3 * MIB, (4,))], baseline=baseline())
    assert story.baseline().digests == digests_of(1, None, None, 4)


@settings(max_examples=25, deadline=None)
@given(
    blocks=st.lists(
        st.binary(min_size=16, max_size=16) | st.just(bytes(16)), min_size=1, max_size=9
    ),
    sizes=st.lists(st.integers(1, 4), min_size=9, max_size=9),
)
def test_cutting_a_file_into_other_units_changes_no_baseline(blocks, sizes, lasting):
    units, start = [], 0
    for size in sizes:
        part = blocks[start : start + size]
        if part:
            units.append(unit(start * MIB, [1] * len(part), digests=b"".join(part)))
        start += size
    lasting.read(units=units, baseline=baseline())
    assert lasting.baseline().digests == b"".join(blocks)


class TestMoved:
    """A file that was moved is compared with itself, where nothing else claims the place."""

    def seen(self, story, *paths):
        story.ledger.mark_seen(story.run, story.repository.id, paths)

    def test_file_not_seen_any_more_lends_its_baseline(self, story):
        story.read("old.vhdx", baseline=baseline())
        story.next_run()
        assert story.baseline("new.vhdx").path == "old.vhdx"
        assert story.baseline("new.vhdx").digests == digests_of(1, 2, 3)

    def test_file_that_is_still_there_is_a_copy_and_lends_nothing(self, story):
        story.read("old.vhdx", baseline=baseline())
        story.next_run()
        self.seen(story, "old.vhdx")
        assert story.baseline("new.vhdx") is None

    def test_file_gone_weeks_ago_lends_its_baseline(self, story):
        story.read("old.vhdx", baseline=baseline())
        story.ledger.mark_gone(story.repository.id, story.next_run(), [""])
        for _night in range(3):
            story.next_run()
        assert story.baseline("new.vhdx").path == "old.vhdx"

    def test_other_images_lend_nothing(self, story):
        story.read("old.vhdx", baseline=baseline())
        story.next_run()
        assert story.baseline("new.vhdx", "vhdx:bb") is None
        assert story.baseline("new.vhdx", None) is None

    def test_own_baseline_of_the_same_images_comes_first(self, story):
        story.read("old.vhdx", units=[unit(blocks=(1,))], baseline=baseline())
        story.read("new.vhdx", units=[unit(blocks=(2,))], baseline=baseline())
        story.next_run()
        assert story.baseline("new.vhdx").digests == digests_of(2)

    def test_moved_images_come_before_what_lay_at_the_path_before(self, story):
        story.read("old.vhdx", baseline=baseline())
        story.read("new.vhdx", identity_key="vhdx:bb", baseline=baseline())
        story.next_run()
        self.seen(story, "new.vhdx")
        assert story.baseline("new.vhdx").path == "old.vhdx"
        assert story.baseline("new.vhdx", "vhdx:cc").path == "new.vhdx"

    def test_file_without_an_identity_is_compared_with_what_lay_there(self, story):
        story.read(baseline=baseline())
        assert story.baseline("a.vhdx", None).identity_key == "vhdx:aa"

    def test_newest_of_several_is_taken(self, story):
        story.read("one.vhdx", baseline=baseline())
        story.next_run()
        story.read("two.vhdx", baseline=baseline())
        story.next_run()
        assert story.baseline("new.vhdx").path == "two.vhdx"

    def test_other_repository_lends_nothing(self, ledger, clock):
        one, two = Story(ledger, clock), Story(ledger, clock, "uuid:two")
        one.read("old.vhdx", baseline=baseline())
        one.next_run()
        assert two.baseline("new.vhdx") is None

    def test_baseline_of_a_gone_file_is_let_go_after_a_month(self, story, clock):
        story.read("old.vhdx", baseline=baseline())
        story.read("here.vhdx", baseline=baseline())
        self.seen(story, "here.vhdx")
        story.next_run()
        self.seen(story, "here.vhdx")
        story.ledger.mark_gone(story.repository.id, story.run, [""])
        gone_at = clock.now
        story.ledger.end_run(story.run, gone_at + 30 * NIGHT, 1, 1, 0)
        assert story.baseline("old.vhdx") is not None
        story.ledger.end_run(story.run, gone_at + 31 * NIGHT, 1, 1, 0)
        assert story.baseline("old.vhdx") is None
        assert story.baseline("here.vhdx") is not None


def test_two_disks_taking_turns_at_one_mount_point_have_their_own_baselines(ledger, clock):
    monday, tuesday = Story(ledger, clock, "uuid:m"), Story(ledger, clock, "uuid:t")
    monday.read(units=[unit(blocks=(1,))], baseline=baseline())
    tuesday.read(units=[unit(blocks=(2,))], baseline=baseline())
    assert monday.baseline().digests == digests_of(1)
    assert tuesday.baseline().digests == digests_of(2)
    assert result().identity_key == monday.baseline().identity_key
