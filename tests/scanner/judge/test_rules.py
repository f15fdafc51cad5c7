"""The rule table: which evidence decides, in which order, and that no bad news is good news."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.core.model import Bearing, Evidence, Kind, Outcome
from scanner.judge.model import Verdict
from scanner.judge.rules import RULES, rule_meanings
from scanner.results import BUG_CHECK, FileState, PayloadSeen
from tests.scanner.judge.rows import GOOD, OLD, SEEN, SETTLE, Rows, bad, ruled

DOUBTFUL, REDUNDANT, NEEDED = Bearing.DOUBTFUL, Bearing.REDUNDANT, Bearing.NEEDED
BUG = bad(Outcome.UNSUPPORTED, DOUBTFUL, BUG_CHECK)
UNSTEADY = bad(Outcome.UNSTEADY, REDUNDANT, "storage.steady")
FRESH = SEEN - timedelta(minutes=5)


def one(rows: tuple[Evidence, ...] = (GOOD,), **more: object) -> tuple[Verdict, str]:
    """Return verdict and rule about one image by itself."""
    made = Rows()
    made.backup("a.qcow2", rows, **more)
    return ruled(made.judged(), "a.qcow2")


EVIDENCE = [
    # What decides                                        verdict, rule
    ((GOOD,), Verdict.SOUND, "proven"),
    ((), Verdict.UNPROVEN, "nothing-proven"),
    ((Evidence("toy.sum", Outcome.ABSENT),), Verdict.UNPROVEN, "nothing-proven"),
    ((GOOD, bad()), Verdict.DAMAGED, "bytes-wrong"),
    ((GOOD, bad(Outcome.UNREADABLE)), Verdict.DAMAGED, "storage-fails"),
    ((GOOD, bad(Outcome.TRUNCATED)), Verdict.INCOMPLETE, "bytes-missing"),
    ((GOOD, bad(Outcome.UNSUPPORTED)), Verdict.UNPROVEN, "not-judgeable"),
    ((GOOD, bad(Outcome.UNSUPPORTED, DOUBTFUL)), Verdict.UNPROVEN, "not-judgeable"),
    ((GOOD, bad(Outcome.UNSUPPORTED, REDUNDANT)), Verdict.SOUND, "proven"),
    ((GOOD, bad(Outcome.MISMATCHED, DOUBTFUL)), Verdict.UNPROVEN, "doubtful"),
    ((GOOD, bad(Outcome.TRUNCATED, DOUBTFUL)), Verdict.UNPROVEN, "doubtful"),
    ((GOOD, bad(Outcome.UNREADABLE, DOUBTFUL)), Verdict.UNPROVEN, "doubtful"),
    ((GOOD, bad(Outcome.MISMATCHED, REDUNDANT)), Verdict.WEAKENED, "copy-failing"),
    ((GOOD, bad(Outcome.TRUNCATED, REDUNDANT)), Verdict.WEAKENED, "copy-failing"),
    ((GOOD, bad(Outcome.UNREADABLE, REDUNDANT)), Verdict.WEAKENED, "copy-failing"),
    ((GOOD, UNSTEADY), Verdict.WEAKENED, "unsteady"),
    ((GOOD, bad(Outcome.UNSTEADY, NEEDED)), Verdict.WEAKENED, "unsteady"),
    ((GOOD, BUG), Verdict.UNPROVEN, "bug"),
]


@pytest.mark.parametrize(("rows", "verdict", "rule"), EVIDENCE)
def test_evidence_decides(rows, verdict, rule):
    assert one(rows) == (verdict, rule)


@pytest.mark.parametrize(("rows", "verdict", "rule"), EVIDENCE)
def test_evidence_about_the_file_decides_about_its_images(rows, verdict, rule):
    if GOOD in rows:
        news = tuple(row for row in rows if row.bad)
        assert one((GOOD,), about_file=news) == (verdict, rule)


@pytest.mark.parametrize("outcome", [item for item in Outcome if Evidence("a.b.c", item).bad])
@pytest.mark.parametrize("bearing", Bearing)
def test_no_bad_evidence_is_silent_except_an_unsupported_copy(outcome, bearing):
    verdict, _rule = one((GOOD, bad(outcome, bearing)))
    silent = outcome is Outcome.UNSUPPORTED and bearing is REDUNDANT
    assert (verdict is Verdict.SOUND) == silent


STATES = [
    (FileState.READ, Verdict.SOUND, "proven"),
    (FileState.READING, Verdict.UNPROVEN, "not-read"),
    (FileState.REFUSED, Verdict.UNPROVEN, "refused"),
    (FileState.FAILED, Verdict.UNPROVEN, "not-read"),
    (FileState.CHANGED, Verdict.UNPROVEN, "changing"),
]


@pytest.mark.parametrize(("state", "verdict", "rule"), STATES)
def test_the_state_of_the_file_decides(state, verdict, rule):
    assert one(file={"state": state}) == (verdict, rule)


@pytest.mark.parametrize("state", [FileState.READING, FileState.REFUSED, FileState.FAILED])
def test_damage_that_was_found_is_damage_although_the_rest_was_not_read(state):
    assert one((GOOD, bad()), file={"state": state}) == (Verdict.DAMAGED, "bytes-wrong")


def test_nothing_unread_is_sound():
    assert one(file={"read_at": None})[0] is Verdict.UNPROVEN


def test_nothing_incomplete_or_unsupported_is_sound():
    assert one(complete=False) == (Verdict.INCOMPLETE, "stalled")
    assert one(in_progress=True) == (Verdict.INCOMPLETE, "stalled")
    assert one(file={"known_as": "gzip"}) == (Verdict.UNPROVEN, "not-judgeable")


# Being written


@pytest.mark.parametrize(
    "unfinished",
    [
        {"complete": False},
        {"in_progress": True},
        {"rows": (GOOD, bad(Outcome.TRUNCATED))},
    ],
)
def test_an_unfinished_file_is_being_written_while_it_is_fresh_and_stalled_later(unfinished):
    def at(mtime: object) -> Verdict:
        return one(**unfinished, file={"mtime": mtime})[0]

    assert at(SEEN - SETTLE + timedelta(seconds=1)) is Verdict.UNPROVEN
    assert at(SEEN - SETTLE - timedelta(seconds=1)) is Verdict.INCOMPLETE
    assert at(OLD) is Verdict.INCOMPLETE


@pytest.mark.parametrize(
    ("ahead", "verdict"),
    [
        (timedelta(minutes=14), Verdict.UNPROVEN),
        (timedelta(minutes=16), Verdict.INCOMPLETE),
        (timedelta(days=3650), Verdict.INCOMPLETE),
    ],
)
def test_a_time_far_in_the_future_is_a_wrong_clock_and_no_fresh_file(ahead, verdict):
    assert one(complete=False, file={"mtime": SEEN + ahead})[0] is verdict


def test_a_file_without_a_time_is_not_fresh():
    assert one(complete=False, file={"mtime_ns": 0})[0] is Verdict.INCOMPLETE


def test_a_fresh_file_proven_complete_is_sound():
    assert one(file={"mtime": FRESH}) == (Verdict.SOUND, "proven")


def test_a_fresh_file_with_wrong_bytes_and_a_proper_end_is_damaged():
    assert one((GOOD, bad()), file={"mtime": FRESH}) == (Verdict.DAMAGED, "bytes-wrong")


def test_wrong_bytes_in_an_unfinished_file_wait_until_it_has_settled():
    rows = (GOOD, bad())
    fresh, later = {"mtime": FRESH}, {"mtime": OLD}
    assert one(rows, in_progress=True, file=fresh) == (Verdict.UNPROVEN, "being-written")
    assert one(rows, in_progress=True, file=later) == (Verdict.DAMAGED, "bytes-wrong")


# Empty

EMPTY = [
    ({"payload_bytes": 0}, Verdict.EMPTY, "nothing-stored"),
    ({"payload_bytes": 0, "kind": None}, Verdict.EMPTY, "nothing-stored"),
    ({"payload_bytes": 0, "kind": Kind.INCREMENTAL}, Verdict.SOUND, "proven"),
    ({"payload_bytes": None}, Verdict.SOUND, "proven"),
    ({"payload_seen": PayloadSeen(10, 0, nonzero=False)}, Verdict.EMPTY, "only-zeros"),
    ({"payload_seen": PayloadSeen(10, 1, nonzero=True)}, Verdict.SOUND, "proven"),
    ({"payload_seen": PayloadSeen()}, Verdict.SOUND, "proven"),
    (
        {"payload_seen": PayloadSeen(10, 0, nonzero=False), "kind": Kind.LOG},
        Verdict.SOUND,
        "proven",
    ),
]


@pytest.mark.parametrize(("image", "verdict", "rule"), EMPTY)
def test_an_empty_full_is_found_out(image, verdict, rule):
    assert one(**image) == (verdict, rule)


def test_zeros_seen_so_far_do_not_make_an_image_empty():
    zeros = PayloadSeen(10, 0, nonzero=False)
    assert one(payload_seen=zeros, file={"state": FileState.READING})[1] == "not-read"


def test_an_empty_image_stays_empty_whatever_else_is_unproven():
    for row in (BUG, bad(Outcome.UNSUPPORTED), bad(Outcome.MISMATCHED, DOUBTFUL), UNSTEADY):
        assert one((GOOD, row), payload_bytes=0) == (Verdict.EMPTY, "nothing-stored")


# The table as a whole

OUTCOMES = [item for item in Outcome if Evidence("a.b.c", item).bad]
BAD_ROWS = st.builds(
    bad,
    st.sampled_from(OUTCOMES),
    st.sampled_from(Bearing),
    st.sampled_from(["toy.block.sum", BUG_CHECK, "storage.refused", "chain.parent.present"]),
)
IMAGES = st.fixed_dictionaries(
    {},
    optional={
        "complete": st.booleans(),
        "in_progress": st.booleans(),
        "kind": st.sampled_from([*Kind, None]),
        "payload_bytes": st.sampled_from([0, 5, None]),
        "payload_seen": st.sampled_from(
            [PayloadSeen(), PayloadSeen(9), PayloadSeen(9, 9, nonzero=True)]
        ),
    },
)
FILES = st.fixed_dictionaries(
    {
        "state": st.sampled_from([item for item in FileState if item is not FileState.GONE]),
        "known_as": st.sampled_from(["qcow2", "gzip"]),
    }
)


@given(rows=st.lists(BAD_ROWS | st.just(GOOD), max_size=5), more=BAD_ROWS, image=IMAGES, file=FILES)
def test_more_bad_evidence_never_improves_a_verdict(rows, more, image, file):
    # Of a file that has settled: one that is being written is judged when it is finished.
    before, _ = one(tuple(rows), file=file, **image)
    for at in range(len(rows) + 1):
        after, rule = one((*rows[:at], more, *rows[at:]), file=file, **image)
        assert after >= before, (rule, more)


@given(
    rows=st.lists(BAD_ROWS | st.just(GOOD), min_size=1, max_size=5),
    drop=st.data(),
    image=IMAGES,
    file=FILES,
)
def test_less_good_evidence_never_improves_a_verdict(rows, drop, image, file):
    good = [at for at, row in enumerate(rows) if not row.bad]
    if not good:
        return
    at = drop.draw(st.sampled_from(good))
    before, _ = one(tuple(rows), file=file, **image)
    after, _ = one((*rows[:at], *rows[at + 1 :]), file=file, **image)
    assert after >= before


@given(rows=st.permutations([GOOD, bad(), bad(Outcome.TRUNCATED), UNSTEADY, BUG]))
def test_the_order_of_evidence_changes_no_verdict(rows):
    assert one(tuple(rows)) == (Verdict.DAMAGED, "bytes-wrong")


def test_the_rules_of_a_kind_stand_in_order_of_their_verdicts():
    # Rules that look at evidence only, worst first: what stands below can only be milder.
    names = {row[2] for row in EVIDENCE} - {"nothing-proven"}
    verdicts = [rule.verdict for rule in RULES if rule.name in names]
    assert verdicts == sorted(verdicts, reverse=True)


def test_every_rule_that_decides_has_a_meaning():
    assert {rule.name for rule in RULES} | {"nothing-proven"} <= set(rule_meanings())
    assert len({rule.name for rule in RULES}) == len(RULES)


def explained(check: Callable[[], object]) -> str:
    return (check.__doc__ or "").strip()


def test_every_rule_says_what_it_looks_for():
    assert all(explained(rule.applies) for rule in RULES)
