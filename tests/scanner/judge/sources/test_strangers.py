"""Files called like a source's backups that are none."""

from datetime import UTC, datetime, timedelta

import pytest

from formats.core.model import Evidence, Outcome
from scanner.expectations import Expectations
from scanner.judge.sources.answers import State
from scanner.judge.sources.outlook import Known, Outlook, outlook
from tests.scanner.judge.outlooks import history_of
from tests.scanner.judge.rows import REPOSITORIES, SEEN, Rows

MADE = SEEN - timedelta(days=2)
EMPTY = Evidence("generic.size", Outcome.TRUNCATED)


def ahead(rows: Rows) -> Outlook:
    judgement = rows.judged()
    known = Known(
        REPOSITORIES,
        rows.files,
        judgement.images,
        history_of(rows),
        (),
        (),
        Expectations(),
        UTC,
        judgement.others,
    )
    return outlook(known, SEEN)


def nights(stranger: str, written: datetime = SEEN - timedelta(days=1)) -> Rows:
    rows = Rows()
    rows.backup("vm/web-2026-03-12.qcow2", created_at=MADE)
    rows.file(stranger, (EMPTY,), known_as=None, mtime=written, size=0)
    return rows


def test_a_newest_file_without_a_byte_is_told_of_at_its_source():
    (one,) = ahead(nights("vm/web-2026-03-13.qcow2")).sources
    assert one.answer.state is State.ATTENTION
    assert one.answer.wrong == (
        "'vm/web-2026-03-13.qcow2' is newer than its newest backup, and none: "
        "no source data is stored"
    )
    assert one.answer.first == "see why the backup job left a file that is no backup"


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("vm/web-2026-03-01.qcow2", MADE - timedelta(days=1)),
        ("vm/mail-2026-03-13.qcow2", SEEN),
        ("other/web-2026-03-13.qcow2", SEEN),
    ],
)
def test_older_files_and_those_of_other_names_are_none_of_its_business(path, written):
    (one,) = ahead(nights(path, written)).sources
    assert (one.answer.state, one.answer.wrong) == (State.RESTORABLE, None)
