"""Images that may have ended with the room they were written into."""

import pytest

from formats.core.model import Bearing
from scanner.judge.judge import Vocabulary, judge
from scanner.judge.model import Verdict
from tests.scanner.judge.rows import REPOSITORIES, SETTLE, Rows, of, ruled

OPEN_ENDED = Vocabulary(frozenset({"qcow2", "vhdx"}), frozenset({".qcow2"}), frozenset({"qcow2"}))


def judged(rows: Rows, *, acknowledged: frozenset[str] = frozenset()):
    return judge(
        REPOSITORIES, rows.files, rows.images, rows.evidence, OPEN_ENDED, SETTLE, acknowledged
    )


def written(*, cramped: bool = True, format_name: str = "qcow2", **image: object) -> Rows:
    rows = Rows()
    sizes = {"source_bytes": 800, "payload_bytes": 500} | image
    rows.backup("full", file={"known_as": format_name, "cramped": cramped}, **sizes)
    return rows


def test_image_written_until_no_room_was_left_is_not_proven_whole():
    judgement = judged(written())
    assert ruled(judgement, "full") == (Verdict.UNPROVEN, "no-room")
    (row,) = [row for row in of(judgement, "full").evidence if row.evidence.bad]
    assert row.evidence.check == "storage.space.left"
    assert row.evidence.bearing is Bearing.DOUBTFUL


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(written(cramped=False), id="there was room"),
        pytest.param(written(format_name="vhdx"), id="a format with an end of its own"),
        pytest.param(written(payload_bytes=790), id="nothing can be missing behind it"),
    ],
)
def test_image_that_cannot_have_been_cut_short_is_sound(rows):
    assert ruled(judged(rows), "full") == (Verdict.SOUND, "proven")


@pytest.mark.parametrize("unknown", ["payload_bytes", "source_bytes"])
def test_what_is_not_known_leaves_the_doubt(unknown):
    assert ruled(judged(written(**{unknown: None})), "full")[0] is Verdict.UNPROVEN


def test_doubt_can_be_acknowledged():
    rows = written()
    (name,) = {row.finding_id for row in of(judged(rows), "full").evidence if row.evidence.bad}
    assert name is not None
    accepted = judged(rows, acknowledged=frozenset({name}))
    assert ruled(accepted, "full") == (Verdict.SOUND, "proven")
