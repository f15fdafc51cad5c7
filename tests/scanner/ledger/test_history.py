"""What images measured is kept when they are gone, written over or renamed."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from scanner.ledger.history import KEPT_PER_IMAGE_MAX
from scanner.ledger.rows import SpaceRow
from scanner.ledger.store import Ledger
from scanner.results import BaselineAction, BaselineResult
from tests.scanner.ledger.stories import EVENING, INSPECTION, NIGHT, Story, baseline, image, stamps


def history(story):
    return story.ledger.history([story.repository.id])


def measured(**changes):
    return (image(replace(INSPECTION, **changes)),)


def test_what_an_image_measures_is_written_down(story):
    story.read()
    (row,) = history(story)
    assert (row.path, row.image_index, row.format, row.kind) == (
        "a.vhdx", 0, "vhdx", INSPECTION.kind,
    )  # fmt: skip
    assert row.source == "SRV1"
    assert row.created_at == INSPECTION.created_at
    sizes = (row.source_bytes, row.used_bytes, row.payload_bytes, row.needed_bytes)
    assert sizes == (100, 90, 80, 70)
    assert (row.nonzero_bytes, row.file_bytes, row.complete) == (40, stamps().size, False)


def test_reading_the_same_again_is_no_news(story):
    story.read()
    story.next_run()
    story.read()
    assert len(history(story)) == 1


def test_image_that_is_written_over_leaves_its_measure(story):
    story.read(images=measured(payload_bytes=1))
    story.next_run()
    story.read(images=measured(payload_bytes=2), stamps=stamps(mtime_ns=99))
    assert [row.payload_bytes for row in history(story)] == [1, 2]


def test_file_that_is_gone_leaves_its_measure(story):
    story.read()
    story.next_run()
    story.ledger.mark_gone(story.repository.id, story.run, [""])
    assert [row.path for row in history(story)] == ["a.vhdx"]


def test_unknown_sizes_stay_unknown(story):
    unknown = dict.fromkeys(("source_bytes", "used_bytes", "payload_bytes", "needed_bytes"))
    story.read(images=measured(**unknown))
    (row,) = history(story)
    assert row.payload_bytes is None
    assert row.used_bytes is None


def test_renamed_files_take_their_history_along_also_when_they_swap_names(story):
    story.read("a.vhdx", images=measured(payload_bytes=1))
    story.read("b.vhdx", images=measured(payload_bytes=2))
    story.ledger.rename(story.repository.id, {"a.vhdx": "b.vhdx", "b.vhdx": "a.vhdx"})
    assert {row.path: row.payload_bytes for row in history(story)} == {"b.vhdx": 1, "a.vhdx": 2}


def test_only_so_many_measures_are_kept_of_one_place(story):
    for night in range(KEPT_PER_IMAGE_MAX + 3):
        story.read(stamps=stamps(mtime_ns=night))
    story.read("b.vhdx")
    rows = [row for row in history(story) if row.path == "a.vhdx"]
    assert [row.mtime_ns for row in rows] == list(range(3, KEPT_PER_IMAGE_MAX + 3))
    assert len(history(story)) == KEPT_PER_IMAGE_MAX + 1


def test_space_is_what_was_measured_last(story):
    space = SpaceRow(story.repository.id, 500, 100, None, 7, read_only=True, measured_at=EVENING)
    story.ledger.save_space(space)
    later = replace(space, available_bytes=90, quota_bytes=400, measured_at=EVENING + NIGHT)
    story.ledger.save_space(later)
    assert story.ledger.spaces([story.repository.id]) == (later,)


def rewriting(taken_at, compared=1, **changes):
    return BaselineResult(BaselineAction.ADOPT, taken_at, compared, **changes)


@pytest.mark.parametrize(
    ("decision", "rewritten_at"),
    [
        (rewriting(EVENING), EVENING),
        (rewriting(EVENING, 0, replaced=True), EVENING),
        (rewriting(EVENING, 0), None),  # a first baseline: there was nothing before
        (rewriting(EVENING - NIGHT), None),  # appended to: what was there is there
        (baseline(BaselineAction.RENEW), None),
        (baseline(BaselineAction.KEEP), None),
    ],
)
def test_file_is_rewritten_when_other_bytes_take_the_place_of_proven_ones(
    story, decision, rewritten_at
):
    story.read(baseline=decision)
    assert story.file().rewritten_at == rewritten_at


def test_ledger_of_the_first_version_keeps_what_it_measured(ledger_path, clock):
    with Ledger.open(ledger_path, clock) as ledger:
        Story(ledger, clock).read()
    with closing(sqlite3.connect(ledger_path)) as db:
        db.executescript(
            "DROP TABLE history; DROP TABLE spaces; DROP VIEW v_sources; DROP TABLE sources;"
            "ALTER TABLE files DROP COLUMN rewritten_us;"
            "ALTER TABLE files DROP COLUMN cramped_mtime_ns;"
            "DELETE FROM _sqlite_migrations WHERE name = 'm0002_history';"
        )
    with Ledger.open(ledger_path, clock) as ledger:
        (row,) = ledger.history([repository.id for repository in ledger.repositories()])
        assert (row.path, row.payload_bytes, row.nonzero_bytes) == ("a.vhdx", 80, 40)
