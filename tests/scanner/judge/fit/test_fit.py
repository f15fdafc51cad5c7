"""One word for each image: empty, partial, plausible, full, or unknown, and the arithmetic."""

from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.core.model import Identity, Kind, PieceOf
from scanner.expectations import SourceExpectation
from scanner.judge.fit.fit import FitWord, arithmetic, fits
from scanner.judge.fit.usual import Compared
from scanner.results import FileState, PayloadSeen
from tests.scanner.judge.backed_up import DAY, GIB, NOW, WEEK, backup, only_fit, past, ruled, seen
from tests.scanner.judge.outlooks import one
from tests.scanner.judge.rows import Rows

GB = 10**9
DECLARED = SourceExpectation("disk", match=("vm/**",), expected=800 * GB)
OTHERS = [Kind.INCREMENTAL, Kind.DIFFERENTIAL, Kind.LOG]


# Empty


@pytest.mark.parametrize("kind", [Kind.FULL, None])
def test_a_full_that_stores_nothing_is_empty(kind):
    assert ruled(backup(0, kind=kind)) == ("empty", "it stores nothing of its source")


@pytest.mark.parametrize("kind", [Kind.FULL, None])
def test_a_full_of_zeros_is_empty_however_large(kind):
    source = backup(8 * GIB, nonzero=0, kind=kind, source_bytes=8 * GIB)
    assert ruled(source) == ("empty", "all that it stores is zeros")


def test_zeros_that_were_not_all_read_prove_nothing():
    source = backup(8 * GIB, nonzero=0, state=FileState.READING, source_bytes=8 * GIB)
    assert ruled(source)[0] == "full"
    assert only_fit(source).nonzero_bytes is None


def test_what_nobody_looked_at_is_not_called_zeros():
    source = backup(8 * GIB, payload_seen=PayloadSeen(), source_bytes=8 * GIB)
    assert ruled(source)[0] == "full"
    assert only_fit(source).nonzero_bytes is None


@pytest.mark.parametrize("kind", OTHERS)
def test_an_increment_that_stores_nothing_is_plausible(kind):
    assert ruled(backup(0, kind=kind, source_bytes=GIB)) == (
        "plausible",
        "it stores nothing, as when nothing had changed",
    )


def test_an_increment_that_stores_nothing_says_what_is_usual():
    history = past(*[3 * GB] * 14, kind=Kind.INCREMENTAL, step=DAY)
    assert ruled(backup(0, kind=Kind.INCREMENTAL, history=history)) == (
        "plausible",
        "it stores nothing, as when nothing had changed; 3 GB are usual",
    )


# Beside what was in use


@pytest.mark.parametrize(
    ("stored", "word", "reason"),
    [
        (899, "partial", "it stores 89 % of the 1 TB that were in use"),
        (900, "plausible", "it stores 90 % of the 1 TB that were in use"),
        (979, "plausible", "it stores 97 % of the 1 TB that were in use"),
        (980, "full", "it stores all that was in use"),
        (1001, "full", "it stores all that was in use"),
    ],
)
def test_a_full_is_held_against_what_was_in_use(stored, word, reason):
    source = backup(stored * GB, source_bytes=4000 * GB, used_bytes=1000 * GB)
    assert ruled(source) == (word, reason)


def test_a_differential_is_held_against_what_its_own_format_counts():
    short = backup(50 * GB, kind=Kind.DIFFERENTIAL, used_bytes=100 * GB, source_bytes=900 * GB)
    whole = backup(100 * GB, kind=Kind.DIFFERENTIAL, used_bytes=100 * GB, source_bytes=900 * GB)
    assert ruled(short)[0] == "partial"
    assert ruled(whole)[0] == "plausible"


@pytest.mark.parametrize("kind", OTHERS)
def test_an_increment_is_never_held_against_the_source(kind):
    source = backup(2 * GB, DECLARED, kind=kind, source_bytes=800 * GB)
    assert ruled(source) == ("unknown", "it stores 2 GB; nothing tells how much it should be")
    assert not any("%" in line for line in arithmetic(only_fit(source)))


@pytest.mark.parametrize("kind", OTHERS)
def test_an_increment_as_large_as_the_source_is_not_called_full(kind):
    assert ruled(backup(8 * GIB, kind=kind, source_bytes=8 * GIB))[0] == "unknown"


# Beside the source, and beside what is declared


def test_all_of_the_source_is_full():
    assert ruled(backup(8 * GIB, source_bytes=8 * GIB)) == ("full", "it stores the whole source")


def test_little_of_a_large_disk_alone_says_nothing():
    source = backup(60 * GB, source_bytes=2000 * GB)
    assert ruled(source) == (
        "unknown",
        "it stores 3 % of 2 TB; nothing tells how much of that was in use",
    )


@pytest.mark.parametrize(("stored", "word"), [(559, "partial"), (561, "plausible")])
def test_a_thin_full_is_held_against_what_is_declared(stored, word):
    source = backup(stored * GB, DECLARED, source_bytes=2000 * GB)
    assert ruled(source) == (word, f"it stores {stored} GB, 800 GB are declared")


def test_a_fixed_disk_of_zeros_does_not_hold_what_is_declared():
    source = backup(1000 * GB, DECLARED, nonzero=90 * GB, source_bytes=1000 * GB)
    assert ruled(source) == (
        "partial",
        "it stores 1 TB, 90 GB of it not all zeros, 800 GB are declared",
    )
    healthy = backup(1000 * GB, DECLARED, nonzero=600 * GB, source_bytes=1000 * GB)
    assert ruled(healthy)[0] == "full"


def test_everything_in_use_is_a_part_where_far_more_is_declared():
    source = backup(90 * GB, DECLARED, used_bytes=90 * GB, source_bytes=90 * GB)
    assert ruled(source)[0] == "partial"


def test_the_size_of_a_compressed_file_is_not_held_against_what_is_declared():
    assert ruled(backup(None, DECLARED, file=90 * GB)) == (
        "unknown",
        "how much it stores of its source is not known",
    )


# Beside its own history


def test_a_thin_full_in_line_with_its_history_is_plausible():
    source = backup(60 * GB, history=past(*[58 * GB] * 5), source_bytes=2000 * GB)
    assert ruled(source) == ("plausible", "it stores 60 GB, 58 GB are usual")


def test_a_thin_full_far_below_its_history_is_a_part():
    source = backup(20 * GB, history=past(*[58 * GB] * 5), source_bytes=2000 * GB)
    assert ruled(source) == ("partial", "it stores 20 GB, 58 GB are usual")


def test_a_full_of_all_that_was_in_use_is_full_though_it_was_more_before():
    source = backup(20 * GB, history=past(*[58 * GB] * 5), used_bytes=20 * GB)
    assert ruled(source) == ("full", "it stores all that was in use")


def test_a_fixed_disk_that_lost_its_data_is_a_part():
    history = past(*[500 * GB] * 6, nonzero_bytes=300 * GB)
    lost = backup(500 * GB, history=history, nonzero=10 * GB, source_bytes=500 * GB)
    assert ruled(lost) == (
        "partial",
        "it stores 500 GB, 10 GB of it not all zeros, 300 GB are usual",
    )
    healthy = backup(500 * GB, history=history, nonzero=290 * GB, source_bytes=500 * GB)
    assert ruled(healthy) == ("full", "it stores the whole source")


def test_four_earlier_ones_are_not_enough():
    source = backup(20 * GB, history=past(*[58 * GB] * 4), source_bytes=2000 * GB)
    assert ruled(source)[0] == "unknown"
    found = only_fit(source)
    assert (found.usual_bytes, found.learned) == (None, (4, 5))


def test_only_whole_and_filled_ones_tell_what_is_usual():
    cut = past(*[58 * GB] * 6, complete=False)
    assert only_fit(backup(20 * GB, history=cut)).learned == (0, 5)
    empty = past(*[0] * 6)
    assert only_fit(backup(20 * GB, history=empty)).learned == (0, 5)


def test_an_image_that_was_read_twice_is_not_compared_with_itself():
    source = backup(20 * GB)
    (own,) = source.history
    before = replace(own, at=own.at - timedelta(hours=1), file_bytes=10 * GB)
    for history in ((before, own), (own, before)):
        assert only_fit(replace(source, history=history)).learned == (0, 5)


def test_only_the_same_kind_tells_what_is_usual():
    history = past(*[2 * GB] * 9, kind=Kind.INCREMENTAL)
    assert only_fit(backup(20 * GB, history=history)).learned == (0, 5)


def test_later_ones_do_not_tell_what_is_usual():
    later = tuple(
        replace(row, created_at=NOW + DAY * number, path=f"vm/disk-2026-04-{number:02}.qcow2")
        for number, row in enumerate(past(*[58 * GB] * 6), 1)
    )
    assert only_fit(backup(20 * GB, history=later)).learned == (0, 5)


def test_of_closed_formats_files_are_compared():
    history = past(*[None] * 6, file_bytes=100 * GB, nonzero_bytes=None)
    assert ruled(backup(None, file=101 * GB, history=history)) == (
        "plausible",
        "its file takes 101 GB, 100 GB are usual",
    )
    assert ruled(backup(None, file=10 * GB, history=history))[0] == "partial"


def test_of_an_unknown_kind_only_what_is_like_the_others_is_plausible():
    history = past(*[None] * 6, kind=None, file_bytes=100 * GB, nonzero_bytes=None)
    near = backup(None, file=90 * GB, history=history, kind=None)
    assert ruled(near)[0] == "plausible"
    far = backup(None, file=5 * GB, history=history, kind=None)
    assert ruled(far)[0] == "unknown"


# Images that are not whole


def test_a_cut_image_stores_what_was_seen_of_it():
    source = backup(
        100 * GB,
        file=30 * GB,
        needed_bytes=101 * GB,
        payload_seen=seen(29 * GB),
        used_bytes=100 * GB,
    )
    assert only_fit(source).stored_bytes == 29 * GB
    assert ruled(source) == (
        "partial",
        "it stores 29 % of the 100 GB that were in use; it is cut, at least 71 GB are missing",
    )


def test_a_cut_thin_image_is_held_against_its_own_map():
    source = backup(100 * GB, file=30 * GB, needed_bytes=101 * GB, payload_seen=seen(29 * GB))
    assert ruled(source) == (
        "partial",
        "29 % of the 100 GB in its own map are there; it is cut, at least 71 GB are missing",
    )


def test_an_image_cut_before_its_first_block_is_empty():
    source = backup(100 * GB, file=GB, needed_bytes=110 * GB, payload_seen=PayloadSeen())
    assert ruled(source)[0] == "empty"


def test_what_is_left_of_a_cut_compressed_image_nobody_looked_at_is_unknown():
    source = backup(100 * GB, file=10 * GB, needed_bytes=50 * GB, payload_seen=PayloadSeen())
    assert ruled(source) == (
        "unknown",
        "how much it stores of its source is not known; it is cut, at least 40 GB are missing",
    )


def test_a_cut_image_is_not_called_full():
    source = backup(
        100 * GB, file=109 * GB, needed_bytes=110 * GB, used_bytes=100 * GB, source_bytes=100 * GB
    )
    assert ruled(source) == (
        "plausible",
        "it stores 100 % of the 100 GB that were in use; it is cut, at least 1 GB are missing",
    )


def test_an_image_whose_writer_stopped_says_so():
    source = backup(100 * GB, complete=False, used_bytes=100 * GB)
    assert ruled(source)[1].endswith("; its writer never finished")


def test_pieces_are_added_up():
    rows = Rows()
    for number in (1, 2):
        rows.backup(
            f"db-{number}.bak",
            piece=PieceOf(Identity("toy", "set"), number, 2),
            used_bytes=100 * GB,
            source_bytes=300 * GB,
            payload_bytes=50 * GB,
            payload_seen=seen(50 * GB),
            file={"size": 51 * GB},
        )
    found = only_fit(one(rows))
    assert (found.word, found.stored_bytes, found.used_bytes) == (
        FitWord.FULL,
        100 * GB,
        100 * GB,
    )
    assert (found.source_bytes, found.file_bytes) == (300 * GB, 102 * GB)


def test_a_missing_piece_is_missing():
    source = backup(50 * GB, piece=PieceOf(Identity("toy", "set"), 1, 2), used_bytes=100 * GB)
    assert ruled(source) == (
        "partial",
        "it stores 50 % of the 100 GB that were in use; 1 of its 2 pieces is missing",
    )


def test_of_a_file_with_several_images_each_has_its_part():
    rows = Rows()
    file = rows.file("db.bak", size=30 * GB)
    for end in (10, 30):
        rows.image(file, payload_bytes=9 * GB, needed_bytes=end * GB, created_at=NOW)
    assert sorted(item.file_bytes for item in fits(one(rows)).values()) == [10 * GB, 20 * GB]


# The arithmetic


def test_the_arithmetic_goes_from_the_source_to_the_file():
    source = backup(
        412 * GB,
        DECLARED,
        nonzero=398 * GB,
        file=200 * GB,
        source_bytes=859 * GB,
        used_bytes=412 * GB,
        history=past(*[400 * GB] * 6),
    )
    assert arithmetic(only_fit(source)) == (
        "source 859 GB, of it in use 412 GB (the format's own maps)",
        "stored 412 GB = 100 % of what was in use, 398 GB of it not all zeros",
        "file 200 GB = 48 % of what is stored",
        "declared 800 GB",
        "usual 400 GB (median of 6 earlier full backups)",
    )


def test_the_arithmetic_says_what_is_not_known():
    source = backup(60 * GB, source_bytes=2000 * GB, payload_seen=PayloadSeen())
    assert arithmetic(only_fit(source)) == (
        "source 2 TB; how much of it was in use the format does not say",
        "stored 60 GB = 3 % of the source",
        "file 60 GB",
        "usual: learning, 0 of 5 earlier full backups",
    )
    assert arithmetic(only_fit(backup(None, file=GB, kind=None))) == (
        "stored: not known",
        "file 1 GB",
        "usual: learning, 0 of 5 earlier backups",
    )


def test_the_arithmetic_says_how_long_increments_are_watched():
    history = past(*[3 * GB] * 6, kind=Kind.INCREMENTAL, step=DAY)
    found = only_fit(backup(90 * GB, kind=Kind.INCREMENTAL, history=history))
    assert arithmetic(found)[-1] == (
        "usual 3 GB (median of 6 earlier incremental backups); learning, 5 of 8 days"
    )
    assert (found.compared, found.watched) == (
        Compared.LEARNING,
        (timedelta(days=5), timedelta(days=8)),
    )


def test_99_percent_and_more_are_not_called_all():
    source = backup(9_999 * GB, source_bytes=10_000 * GB, complete=False)
    assert "= 99 % of the source" in arithmetic(only_fit(source))[1]


# Properties

sizes = st.integers(1, 2000).map(lambda number: number * GIB)
kinds = st.sampled_from([*Kind, None])
facts = st.fixed_dictionaries(
    {
        "kind": kinds,
        "source_bytes": st.none() | sizes,
        "used_bytes": st.none() | sizes,
        "complete": st.booleans(),
    }
)
pasts = st.lists(sizes, max_size=9)
ORDER = [FitWord.EMPTY, FitWord.PARTIAL, FitWord.PLAUSIBLE, FitWord.FULL]


def declared_as(expected: int | None) -> SourceExpectation:
    return SourceExpectation("disk", match=("vm/**",), expected=expected)


@settings(deadline=None, max_examples=60)
@given(facts=facts, history=pasts, expected=st.none() | sizes, pair=st.tuples(sizes, sizes))
def test_more_stored_never_gives_a_worse_word(facts, history, expected, pair):
    rows = past(*history, kind=facts["kind"])
    less, more = (
        only_fit(backup(size, declared_as(expected), history=rows, **facts)).word
        for size in (min(pair) - GIB, max(pair))
    )
    if FitWord.UNKNOWN not in (less, more):
        assert ORDER.index(less) <= ORDER.index(more)


@settings(deadline=None, max_examples=60)
@given(facts=facts, history=pasts, expected=st.none() | sizes, size=sizes)
def test_twice_all_sizes_is_the_same_word(facts, history, expected, size):
    def word(factor: int) -> tuple[FitWord, Compared]:
        grown = {
            name: value * factor if name.endswith("_bytes") and value else value
            for name, value in facts.items()
        }
        rows = past(*(one * factor for one in history), kind=facts["kind"])
        limit = None if expected is None else expected * factor
        found = only_fit(backup(size * factor, declared_as(limit), history=rows, **grown))
        return found.word, found.compared

    assert word(2) == word(1)


@settings(deadline=None, max_examples=40)
@given(facts=facts, history=pasts, size=sizes, seed=st.integers(0, 99))
def test_the_order_of_history_changes_nothing(facts, history, size, seed):
    source = backup(size, history=past(*history, kind=facts["kind"]), **facts)
    shuffled = list(source.history)
    Random(seed).shuffle(shuffled)  # noqa: S311 - an order of rows is no secret
    assert fits(replace(source, history=tuple(shuffled))) == fits(source)


def test_a_year_of_growing_fulls_is_plausible_every_week():
    rows = Rows()
    for week in range(52):
        at = NOW + WEEK * week
        rows.backup(
            f"vm/disk-{at:%Y-%m-%d}.qcow2",
            payload_bytes=round(100 * GB * 1.01**week),
            created_at=at,
            source_bytes=2000 * GB,
        )
    source = one(rows)
    words = fits(source)
    found = [words[image.key].word for image in source.images]
    assert found == [FitWord.UNKNOWN] * 5 + [FitWord.PLAUSIBLE] * 47
