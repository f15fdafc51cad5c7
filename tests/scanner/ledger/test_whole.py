"""A file written in one step leaves the rows that starting, recording and finishing it leave."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from formats.core.model import Bearing
from scanner.ledger.store import Ledger
from scanner.results import BaselineAction, BaselineResult, FileState
from tests.scanner.ledger.stories import (
    EVENING,
    NIGHT,
    PAGES,
    Clock,
    baseline,
    damaged,
    image,
    result,
    stamps,
    unit,
)

STRANGER = result(
    "a.jpg", format=None, format_revision=77, images=(), identity_key=None, baseline=baseline()
)
MISNAMED = damaged("generic.name", None, length=None, bearing=Bearing.DOUBTFUL)
RENEWED = BaselineResult(BaselineAction.RENEW, EVENING, 3 << 20)
REPLACED = BaselineResult(BaselineAction.ADOPT, EVENING, replaced=True)
UNREAD = unit(blocks=(1, None, 3), unreadable=((1 << 20, 4096),))

RESULTS = {
    "new": (STRANGER, (unit(),)),
    "name that is no UTF-8": (replace(STRANGER, path="k\udce4se.bak"), (unit(),)),
    "misnamed": (replace(STRANGER, path="a.bak", evidence=(MISNAMED,)), (unit(),)),
    "empty": (replace(STRANGER, stamps=stamps(0), bytes_read=0), ()),
    "zeros": (STRANGER, (unit(blocks=(0, 0, 0), digests=b""),)),
    "unread bytes": (replace(STRANGER, baseline=baseline(BaselineAction.NONE)), (UNREAD,)),
    "no baseline": (replace(STRANGER, baseline=None), (unit(),)),
    "replaced": (replace(STRANGER, baseline=REPLACED), (unit(),)),
    "with an image": (result("a.jpg", images=(image(),), baseline=baseline()), (unit(),)),
    "counted": (STRANGER, (unit(tallies={0: {"pages": np.zeros(1, PAGES)}}),)),
    "failed": (
        replace(STRANGER, state=FileState.FAILED, traceback="Traceback", baseline=None),
        (),
    ),
}


def before_nothing(_ledger, _number, _run):
    """Nothing is known of the file."""


def before_entered(ledger, number, run):
    ledger.enter_new(number, run, [(STRANGER.path, STRANGER.stamps)])


def before_started(ledger, number, run):
    ledger.start_file(number, run, STRANGER.path, STRANGER.stamps, None, 77)
    ledger.record_unit(number, STRANGER.path, unit(blocks=(9, 9, 9)))


def before_read(ledger, number, run):
    by_steps(ledger, number, run, replace(STRANGER, evidence=(MISNAMED,)), (unit(),))


def before_read_clean(ledger, number, run):
    by_steps(ledger, number, run, STRANGER, (unit(),))


def before_read_unproven(ledger, number, run):
    unproven = replace(STRANGER, evidence=(MISNAMED,), baseline=None)
    by_steps(ledger, number, run, unproven, (unit(),))


def before_held_images(ledger, number, run):
    by_steps(ledger, number, run, result(STRANGER.path, baseline=baseline()), (unit(),))


def before_gone(ledger, number, run):
    before_entered(ledger, number, run)
    ledger.mark_gone(number, run + 1, [""])


BEFORE = (
    before_nothing,
    before_entered,
    before_started,
    before_read,
    before_read_clean,
    before_read_unproven,
    before_held_images,
    before_gone,
)


@pytest.mark.parametrize("before", BEFORE, ids=lambda before: before.__name__)
@pytest.mark.parametrize("what", RESULTS)
def test_one_step_leaves_the_rows_that_many_steps_leave(what, before, tmp_path):
    found, read = RESULTS[what]
    at_once = told(tmp_path / "once" / "ledger.sqlite", before, in_one_step, found, read)
    steps = told(tmp_path / "steps" / "ledger.sqlite", before, by_steps, found, read)
    assert at_once == steps
    assert any(row[0] == "files" for row in steps)


def test_a_renewed_baseline_keeps_the_digests_of_blocks_that_are_unread_now(tmp_path):
    found = replace(STRANGER, baseline=RENEWED)
    at_once = told(tmp_path / "once" / "l.sqlite", before_read, in_one_step, found, (UNREAD,))
    assert at_once == told(tmp_path / "steps" / "l.sqlite", before_read, by_steps, found, (UNREAD,))
    (digests,) = [row for row in at_once if row[0] == "digests"]
    assert unit().digests[16:32] in digests[-1]


def by_steps(ledger, number, run, found, read):
    path, revision = found.path, found.format_revision
    ledger.start_file(number, run, path, found.stamps, found.format, revision)
    for one in read:
        ledger.record_unit(number, path, one)
    ledger.finish_file(number, run, found)


def in_one_step(ledger, number, run, found, read):
    ledger.finish_whole(number, run, found, read)


def told(path, before, write, found, read):
    """Return every row of a ledger that was told of a file, a night after it was told before."""
    clock = Clock()
    with Ledger.open(path, clock) as ledger:
        number = ledger.repository("uuid:1", "/backups", "/srv/backups").id
        before(ledger, number, ledger.begin_run(number, clock()))
        clock.now += NIGHT
        write(ledger, number, ledger.begin_run(number, clock()), found, read)
    with closing(sqlite3.connect(path)) as db:
        tables = db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
            " AND name NOT GLOB 'sqlite*' AND name NOT GLOB '_*'"
        ).fetchall()
        return [(name, *row) for (name,) in tables for row in rows_of(db, name)]


def rows_of(db, table):
    return db.execute(f"SELECT * FROM {table}")  # noqa: S608 - a name the database gave
