"""What is said of the newest backup of each kind, and the healthy twins of which nothing is."""

from dataclasses import replace
from datetime import timedelta

import pytest

from formats.core.model import Kind
from scanner.expectations import SourceExpectation
from scanner.judge.fit.advice import fit_advice
from scanner.judge.fit.fit import fits, newest_fits
from scanner.results import PayloadSeen
from tests.scanner.judge.backed_up import DAY, DISK, NOW, WEEK, advised, backup, past
from tests.scanner.judge.outlooks import one
from tests.scanner.judge.rows import SEEN, Rows

GB = 10**9
NAME = f"({DISK!r})"
NIGHTLY = past(*[3 * GB] * 20, kind=Kind.INCREMENTAL, step=DAY)
DIFFERENTIALS = past(*[3 * GB] * 20, kind=Kind.DIFFERENTIAL, step=DAY)
WEEKLY = past(*[400 * GB] * 8, source_bytes=900 * GB)


def test_a_part_of_a_source_is_warned_of():
    source = backup(100 * GB, used_bytes=400 * GB)
    sentence = "only a part of its source: it stores 25 % of the 400 GB that were in use"
    assert advised(source) == {"fit.partial": ("warning", f"the newest full {NAME} is {sentence}")}
    assert advised(backup(390 * GB, used_bytes=400 * GB)) == {}


@pytest.mark.parametrize("nonzero", [0, None])
def test_what_is_empty_has_a_verdict(nonzero):
    assert (
        advised(backup(0 if nonzero is None else 100 * GB, nonzero=nonzero, history=WEEKLY)) == {}
    )


def test_what_was_cut_has_a_verdict():
    seen = PayloadSeen(20 * GB, 20 * GB, nonzero=True)
    source = backup(400 * GB, file=20 * GB, needed_bytes=410 * GB, payload_seen=seen)
    assert fits(source).popitem()[1].word == "partial"
    assert advised(source) == {}


def test_what_is_still_written_is_waited_for():
    rows = Rows()
    rows.backup(
        DISK,
        payload_bytes=20 * GB,
        used_bytes=400 * GB,
        created_at=NOW,
        in_progress=True,
        file={"mtime": SEEN - timedelta(minutes=1)},
    )
    source = one(rows)
    (found,) = fits(source).values()
    assert found.reason.endswith("; it is still being written")
    assert list(fit_advice(source, fits(source))) == []


def test_a_full_smaller_than_usual_is_warned_of():
    # It stores all that was in use, so it is no part. Earlier ones did not say what was in use.
    source = backup(100 * GB, used_bytes=100 * GB, source_bytes=900 * GB, history=WEEKLY)
    assert advised(source) == {
        "fit.smaller-than-usual": (
            "warning",
            f"the newest full {NAME} is smaller than usual: it stores 100 GB, 400 GB are usual",
        )
    }


def test_a_full_larger_than_usual_is_mentioned():
    source = backup(700 * GB, source_bytes=900 * GB, history=WEEKLY)
    assert advised(source) == {
        "fit.larger-than-usual": (
            "advice",
            f"the newest full {NAME} is larger than usual: it stores 700 GB, 400 GB are usual",
        )
    }


@pytest.mark.parametrize("size", [300, 400, 590])
def test_a_full_of_about_the_usual_size_is_nothing_to_talk_about(size):
    assert advised(backup(size * GB, source_bytes=900 * GB, history=WEEKLY)) == {}


def test_a_partial_full_is_told_once():
    source = backup(100 * GB, source_bytes=900 * GB, history=WEEKLY)
    assert list(advised(source)) == ["fit.partial"]


@pytest.mark.parametrize(("size", "severity"), [(14, "advice"), (16, "warning")])
def test_an_increment_of_more_than_five_times_the_usual_is_warned_of(size, severity):
    source = backup(size * GB, kind=Kind.INCREMENTAL, history=NIGHTLY)
    ((rule, (level, text)),) = advised(source).items()
    assert (rule, level) == ("fit.larger-than-usual", severity)
    causes = "mass changes, an encrypting intruder, or a reset of change tracking"
    assert text.endswith(causes) == (severity == "warning")


def test_an_increment_that_stores_nothing_where_much_is_usual_is_warned_of():
    source = backup(0, kind=Kind.INCREMENTAL, history=NIGHTLY)
    assert advised(source) == {
        "fit.smaller-than-usual": (
            "warning",
            f"the newest incremental {NAME} is smaller than usual: it stores 0 B, 3 GB are usual",
        )
    }


@pytest.mark.parametrize("size", [2, 3, 5])
def test_an_increment_of_about_the_usual_size_is_nothing_to_talk_about(size):
    assert advised(backup(size * GB, kind=Kind.INCREMENTAL, history=NIGHTLY)) == {}


def test_a_log_is_never_warned_of_for_being_large():
    history = past(*[3 * GB] * 20, kind=Kind.LOG, step=DAY)
    source = backup(90 * GB, kind=Kind.LOG, history=history)
    assert advised(source)["fit.larger-than-usual"][0] == "advice"


def test_a_differential_may_grow_until_the_next_full():
    assert advised(backup(90 * GB, kind=Kind.DIFFERENTIAL, history=DIFFERENTIALS)) == {}
    small = backup(GB, kind=Kind.DIFFERENTIAL, history=DIFFERENTIALS)
    assert list(advised(small)) == ["fit.smaller-than-usual"]


def test_a_source_of_which_less_is_in_use_is_warned_of_once():
    history = past(*[400 * GB] * 8, source_bytes=900 * GB, used_bytes=400 * GB)
    source = backup(90 * GB, used_bytes=90 * GB, source_bytes=900 * GB, history=history)
    assert advised(source) == {
        "fit.source-shrank": (
            "warning",
            f"the newest full {NAME} is of a source with 90 GB in use, 400 GB are usual",
        )
    }
    healthy = backup(350 * GB, used_bytes=350 * GB, source_bytes=900 * GB, history=history)
    assert advised(healthy) == {}


def test_a_smaller_disk_is_warned_of():
    source = backup(400 * GB, source_bytes=500 * GB, history=WEEKLY)
    ((rule, (_, text)),) = advised(source).items()
    assert rule == "fit.source-shrank"
    assert text.endswith("is of a source with 500 GB, 900 GB are usual")


def test_files_that_shrink_around_the_same_data_are_no_news():
    history = past(*[400 * GB] * 8, source_bytes=900 * GB, used_bytes=400 * GB)
    source = backup(400 * GB, used_bytes=400 * GB, source_bytes=420 * GB, history=history)
    assert advised(source) == {}


def test_accepting_a_smaller_source_holds_for_the_next_full():
    history = past(*[400 * GB] * 8, source_bytes=900 * GB, used_bytes=400 * GB)
    source = backup(90 * GB, used_bytes=90 * GB, history=history)
    ids = {item.id for item in fit_advice(source, fits(source))}
    image = source.images[0]
    moved = replace(image, files=(replace(image.files[0], path="vm/disk-2026-03-16.qcow2"),))
    later = replace(source, images=(moved,))
    assert {item.id for item in fit_advice(later, fits(later))} == ids


def test_accepting_a_small_backup_does_not_hold_for_the_next():
    source = backup(0, kind=Kind.INCREMENTAL, history=NIGHTLY)
    ids = {item.id for item in fit_advice(source, fits(source))}
    image = source.images[0]
    moved = replace(image, files=(replace(image.files[0], path="vm/disk-2026-03-10.qcow2"),))
    later = replace(source, images=(moved,))
    assert not {item.id for item in fit_advice(later, fits(later))} & ids


@pytest.mark.parametrize(
    ("sizes", "rules"),
    [((100, 400), []), ((400, 100), ["fit.partial"]), ((100, 0), ["fit.partial"])],
)
def test_only_the_newest_of_a_kind_that_is_not_empty_is_talked_about(sizes, rules):
    rows = Rows()
    for number, size in enumerate(sizes):
        at = NOW + WEEK * number
        rows.backup(
            f"vm/disk-{at:%Y-%m-%d}.qcow2",
            payload_bytes=size * GB,
            used_bytes=400 * GB,
            created_at=at,
        )
    assert list(advised(one(rows))) == rules


def test_each_kind_has_a_newest_one():
    rows = Rows()
    rows.backup("vm/disk-2026-03-01.qcow2", kind=Kind.INCREMENTAL, created_at=NOW - WEEK)
    for number, size in enumerate([400, 100]):
        at = NOW + WEEK * number
        rows.backup(
            f"vm/disk-{at:%Y-%m-%d}.qcow2",
            payload_bytes=size * GB,
            used_bytes=400 * GB,
            created_at=at,
        )
    source = one(rows)
    assert list(advised(source)) == ["fit.partial"]
    newest = {source.images[number].key for number in (0, 2)}
    assert set(newest_fits(source)) == newest


def test_a_first_week_of_backups_is_nothing_to_talk_about():
    few = past(400 * GB, 20 * GB, 700 * GB)
    declared = SourceExpectation("disk", match=("vm/**",), expected=500 * GB)
    assert advised(backup(360 * GB, declared, history=few, source_bytes=900 * GB)) == {}


def test_of_an_unknown_kind_nothing_is_unusual():
    history = past(*[None] * 12, kind=None, file_bytes=3 * GB, nonzero_bytes=None)
    assert advised(backup(None, kind=None, file=400 * GB, history=history)) == {}
