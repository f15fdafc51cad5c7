"""What a changed byte means, row by row: by who the images are, how the file is written, and what
its stamps say.
"""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from formats.core.model import Bearing, Outcome, WriteModel
from scanner.config import DIGEST_BLOCK_BYTES, EVIDENCE_PER_CHECK_MAX, MIB
from scanner.engine.baseline import Reading, compare
from scanner.engine.reading import UNREAD_DIGEST
from scanner.ledger.rows import Baseline
from scanner.results import BaselineAction, Stamps

TAKEN = datetime(2025, 10, 3, tzinfo=UTC)
NOW = datetime(2026, 3, 14, tzinfo=UTC)
ONCE, APPEND, REWRITTEN = WriteModel.WRITE_ONCE, WriteModel.APPEND_ONLY, WriteModel.REWRITTEN
SIZE = 20 * MIB

BEFORE = Stamps(SIZE, 1_000, 1_000, 7)
TOUCHED = Stamps(SIZE, 1_000, 2_000, 7)  # chmod, or somebody put the time back
COPIED = Stamps(SIZE, 1_000, 2_000, 8)
WRITTEN = Stamps(SIZE, 2_000, 2_000, 7)


def digests(size: int, changed: frozenset[int] | set[int] = frozenset(), fill: int = 1) -> bytes:
    """Return one digest per block, made of block numbers; ``changed`` ones are others."""
    blocks = -(-size // DIGEST_BLOCK_BYTES)
    return b"".join(
        xxhash.xxh3_128_digest(f"{fill if index in changed else 0}:{index}".encode())
        for index in range(blocks)
    )


def baseline(key: str | None = "a", size: int = SIZE, **more: object) -> Baseline:
    stamps = replace(BEFORE, size=size)
    return replace(Baseline(key, size, TAKEN, digests(size), "file", stamps), **more)


def reading(
    key: str | None = "a",
    model: WriteModel = REWRITTEN,
    stamps: Stamps = BEFORE,
    changed: set[int] | frozenset[int] = frozenset(),
    *,
    proven: bool = True,
    tail: bytes | None = None,
) -> Reading:
    return Reading(key, model, stamps, digests(stamps.size, changed), proven, NOW, tail)


def block_digest(all_digests: bytes, block: int) -> str:
    return all_digests[block * 16 : block * 16 + 16].hex()


NEEDED, DOUBTFUL, NOTHING = Bearing.NEEDED, Bearing.DOUBTFUL, None
MEANINGS = [
    # Nobody wrote, and yet a byte is another: damage in every model.
    *[(model, key, BEFORE, {3}, NEEDED) for model in WriteModel for key in ("a", None)],
    *[(model, key, BEFORE, set(range(20)), NEEDED) for model in WriteModel for key in ("a", None)],
    # Written once, or only behind the end: no byte changes, whatever the stamps say.
    *[
        (model, "a", stamps, {3}, NEEDED)
        for model in (ONCE, APPEND)
        for stamps in (TOUCHED, WRITTEN)
    ],
    # Rewritten: a new time explains new bytes, the old time does not.
    (REWRITTEN, "a", WRITTEN, {3}, NOTHING),
    (REWRITTEN, "a", WRITTEN, set(range(20)), NOTHING),
    (REWRITTEN, "a", TOUCHED, {3}, DOUBTFUL),
    (REWRITTEN, "a", COPIED, {3}, DOUBTFUL),
    (REWRITTEN, None, TOUCHED, {3}, DOUBTFUL),
    (REWRITTEN, None, WRITTEN, {3}, NOTHING),
    # Nobody says which images these are: mostly the same bytes are the same images, changed.
    (ONCE, None, WRITTEN, {3}, DOUBTFUL),
    (ONCE, None, WRITTEN, {3, 4}, DOUBTFUL),
    (ONCE, None, WRITTEN, {3, 4, 5}, NOTHING),
    (ONCE, None, TOUCHED, set(range(20)), DOUBTFUL),
]


@pytest.mark.parametrize(("model", "key", "stamps", "changed", "bearing"), MEANINGS)
def test_a_changed_block_means(model, key, stamps, changed, bearing):
    found, evidence = compare(reading(key, model, stamps, changed), baseline(key))
    if bearing is NOTHING:
        assert evidence == ()
        assert found.action is BaselineAction.ADOPT
        assert found.taken_at == NOW
    else:
        assert found.action is BaselineAction.KEEP
        assert [row.offset for row in evidence] == [block * MIB for block in sorted(changed)]
        assert {row.bearing for row in evidence} == {bearing}
        assert {row.outcome for row in evidence} == {Outcome.MISMATCHED}
    assert not found.replaced
    assert found.compared_bytes == SIZE


@pytest.mark.parametrize("model", WriteModel)
@pytest.mark.parametrize("key", ["a", None])
@pytest.mark.parametrize("stamps", [BEFORE, TOUCHED, COPIED, WRITTEN])
def test_equal_bytes_renew_and_keep_the_day_they_were_taken(model, key, stamps):
    found, evidence = compare(reading(key, model, stamps), baseline(key))
    assert (found.action, found.taken_at, evidence) == (BaselineAction.RENEW, TAKEN, ())


def test_the_row_of_a_changed_block_says_where_and_what():
    now = reading(changed={3})
    _, (row,) = compare(now, baseline())
    assert row.check == "baseline.block.xxh3"
    assert (row.offset, row.length) == (3 * MIB, MIB)
    assert row.expected == block_digest(digests(SIZE), 3)
    assert row.actual == block_digest(now.digests, 3)


def test_the_last_block_is_as_long_as_the_file():
    size = 2 * MIB + 77
    stamps = replace(BEFORE, size=size)
    _, (row,) = compare(reading(stamps=stamps, changed={2}), baseline(size=size))
    assert (row.offset, row.length) == (2 * MIB, 77)


def test_other_images_replace_without_a_finding():
    for model in WriteModel:
        for stamps in (TOUCHED, COPIED, WRITTEN):
            now = reading("b", model, stamps, set(range(20)))
            found, evidence = compare(now, baseline())
            assert (found.action, found.replaced, evidence) == (BaselineAction.ADOPT, True, ())
            assert (found.taken_at, found.compared_bytes) == (NOW, 0)


@pytest.mark.parametrize(("before", "now"), [("a", None), (None, "a"), ("a", "ab"), ("a|b", "a")])
def test_these_are_other_images(before, now):
    found, evidence = compare(reading(now, ONCE, WRITTEN, {3}), baseline(before))
    assert (found.replaced, evidence) == (True, ())


def test_the_first_reading_is_adopted_if_its_structure_is_proven():
    found, evidence = compare(reading(), None)
    assert (found.action, found.taken_at, evidence) == (BaselineAction.ADOPT, NOW, ())
    found, evidence = compare(reading(proven=False), None)
    assert (found.action, evidence) == (BaselineAction.NONE, ())


def test_a_truncated_file_never_becomes_its_own_reference():
    cut = replace(WRITTEN, size=9 * MIB + 5)
    for model in WriteModel:
        for earlier in (None, baseline()):
            found, evidence = compare(reading("a", model, cut, proven=False), earlier)
            assert found.action is not BaselineAction.ADOPT
            assert evidence == ()


@pytest.mark.parametrize("model", WriteModel)
def test_a_broken_structure_under_old_stamps_names_the_changed_block(model):
    found, (row,) = compare(reading("a", model, BEFORE, {3}, proven=False), baseline())
    assert found.action is BaselineAction.KEEP
    assert (row.offset, row.bearing) == (3 * MIB, Bearing.NEEDED)


def test_a_broken_structure_under_new_stamps_says_enough_by_itself():
    for stamps in (TOUCHED, WRITTEN):
        found, evidence = compare(reading("a", REWRITTEN, stamps, {3}, proven=False), baseline())
        assert (found.action, evidence) == (BaselineAction.KEEP, ())


# Files that grow


def grown(size: int, old_size: int, changed: set[int], tail: bytes | None) -> Reading:
    stamps = replace(WRITTEN, size=size)
    # Behind the old end everything is new, and so is the block the old end lies in.
    new = set(range(old_size // MIB, -(-size // MIB)))
    return reading("a|b", APPEND, stamps, changed | new, tail=tail)


OLD = 5 * MIB + 1000


def test_a_file_that_grew_behind_its_end_keeps_the_day():
    same_tail = digests(OLD)[-16:]
    found, evidence = compare(grown(9 * MIB, OLD, set(), same_tail), baseline("a", OLD))
    assert (found.action, found.taken_at, evidence) == (BaselineAction.ADOPT, TAKEN, ())
    assert found.compared_bytes == OLD


def test_a_file_that_grew_and_changed_is_found_in_whole_blocks_and_in_the_old_tail():
    same_tail = digests(OLD)[-16:]
    _, (row,) = compare(grown(9 * MIB, OLD, {2}, same_tail), baseline("a", OLD))
    assert (row.offset, row.length, row.bearing) == (2 * MIB, MIB, Bearing.NEEDED)
    other_tail = bytes(range(16))
    found, (row,) = compare(grown(9 * MIB, OLD, set(), other_tail), baseline("a", OLD))
    assert (row.offset, row.length) == (5 * MIB, 1000)
    assert row.expected == same_tail.hex()
    assert row.actual == other_tail.hex()
    assert found.action is BaselineAction.KEEP


def test_a_file_that_grew_from_a_whole_block_has_no_tail_to_compare():
    old = 5 * MIB
    found, evidence = compare(grown(9 * MIB, old, set(), None), baseline("a", old))
    assert (found.action, evidence) == (BaselineAction.ADOPT, ())


def test_a_tail_that_was_never_read_cannot_have_changed():
    before = baseline("a", OLD, digests=digests(OLD)[:-16] + UNREAD_DIGEST)
    found, evidence = compare(grown(9 * MIB, OLD, set(), bytes(range(16))), before)
    assert (found.action, evidence) == (BaselineAction.ADOPT, ())


def test_a_file_that_only_grows_and_lost_its_last_images_is_found():
    # What is left is whole, so nothing in the file says that there was more.
    cut = replace(WRITTEN, size=5 * MIB)
    found, (row,) = compare(reading("a|b", APPEND, cut), baseline("a|b|c", 9 * MIB))
    assert found.action is BaselineAction.KEEP
    assert (row.check, row.outcome) == ("baseline.images.present", Outcome.TRUNCATED)
    assert row.bearing is Bearing.DOUBTFUL
    assert row.expected == f"3 images in {9 * MIB} bytes"
    assert row.actual == f"2 in {5 * MIB} bytes"


def test_a_file_begun_anew_under_its_old_name_lost_nothing():
    found, evidence = compare(reading("d", APPEND, WRITTEN), baseline("a|b|c"))
    assert (found.replaced, evidence) == (True, ())


# Blocks nobody could read


def test_unread_blocks_are_not_compared():
    gap = bytearray(digests(SIZE))
    gap[3 * 16 : 4 * 16] = UNREAD_DIGEST
    for now, before in (
        (replace(reading(), digests=bytes(gap)), baseline()),
        (reading(), baseline(digests=bytes(gap))),
    ):
        found, evidence = compare(now, before)
        assert (found.action, evidence) == (BaselineAction.RENEW, ())


def test_many_changed_blocks_are_kept_up_to_the_limit_then_counted():
    size = 1000 * MIB
    stamps = replace(BEFORE, size=size)
    _, evidence = compare(reading(stamps=stamps, changed=set(range(1000))), baseline(size=size))
    assert len(evidence) == EVIDENCE_PER_CHECK_MAX + 1
    assert evidence[-1].count == 1000 - EVIDENCE_PER_CHECK_MAX
    assert evidence[-1].offset is None


def test_an_empty_file_equals_itself():
    stamps = replace(BEFORE, size=0)
    found, evidence = compare(reading(stamps=stamps), baseline(size=0))
    assert (found.action, evidence) == (BaselineAction.RENEW, ())


@given(
    model=st.sampled_from(WriteModel),
    key=st.sampled_from(["a", "a|b", "b", None]),
    old_key=st.sampled_from(["a", "a|b", "b", None]),
    stamps=st.sampled_from([BEFORE, TOUCHED, COPIED, WRITTEN]),
    changed=st.sets(st.integers(0, 19)),
    proven=st.booleans(),
)
def test_a_finding_never_changes_the_reference_and_only_proven_files_do(
    model, key, old_key, stamps, changed, proven
):
    found, evidence = compare(
        reading(key, model, stamps, changed, proven=proven), baseline(old_key)
    )
    if evidence or not proven:
        assert found.action in (BaselineAction.KEEP, BaselineAction.NONE)
    if found.action is BaselineAction.RENEW:
        assert not changed
    places = {row.offset // MIB for row in evidence if row.offset is not None}
    assert places <= changed
