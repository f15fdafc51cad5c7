"""Chains by name whose files were swapped: nothing that hangs together by name is believed."""

from datetime import timedelta

from scanner.judge.model import Verdict
from scanner.results import FileState
from tests.scanner.judge.rows import OLD, Rows, named, of, ruled, wanted

DAY = timedelta(days=1)


def chain(*parents: str | None, folder: str = "vm") -> Rows:
    """Return a full and increments of consecutive days with these parents, by number."""
    rows = Rows()
    for number, parent in enumerate(parents):
        rows.backup(
            f"{folder}/a-2026-01-0{number + 1}.qcow2",
            parents=() if parent is None else named(f"a-2026-01-0{parent}.qcow2"),
        )
    return rows


def verdicts(rows: Rows) -> list[tuple[Verdict, str]]:
    paths = sorted(image.path for image in rows.judged().images)
    return [ruled(rows.judged(), path) for path in paths]


def test_a_chain_in_order_is_sound():
    assert verdicts(chain(None, "1", "2", "3")) == [(Verdict.SOUND, "proven")] * 4


def test_two_increments_that_changed_places_leave_nothing_by_name_believed():
    # The second holds what the third was, which names the second; the third names the first.
    found = verdicts(chain(None, "2", "1", "3"))
    assert found == [
        (Verdict.SOUND, "proven"),
        (Verdict.INCOMPLETE, "parent-cycle"),
        (Verdict.UNPROVEN, "doubtful"),
        (Verdict.UNPROVEN, "doubtful"),
    ]


def test_other_chains_and_links_by_identity_stay_what_they_are():
    rows = chain(None, "2", "1")
    rows.backup("other/a-2026-01-01.qcow2")
    rows.backup("other/a-2026-01-02.qcow2", parents=named("a-2026-01-01.qcow2"))
    rows.backup("vm/a-2026-01-08.qcow2", identity="x")
    rows.backup("vm/a-2026-01-09.qcow2", parents=wanted("x"))
    judgement = rows.judged()
    for path in ("other/a-2026-01-02.qcow2", "vm/a-2026-01-09.qcow2"):
        assert ruled(judgement, path) == (Verdict.SOUND, "proven")
    (doubt,) = [row for row in of(judgement, "vm/a-2026-01-03.qcow2").evidence if row.evidence.bad]
    assert doubt.evidence.check == "chain.parent.in-place"


def test_what_came_after_a_swapped_image_was_gone_has_nothing_to_do_with_it():
    rows = Rows()
    gone = {"state": FileState.GONE, "seen_at": OLD}
    rows.backup("vm/a-2026-01-02.qcow2", parents=named("a-2026-01-02.qcow2"), file=gone)
    for number, since in ((3, OLD - DAY), (5, OLD + DAY)):
        full = f"a-2026-01-0{number}.qcow2"
        seen = {"first_seen_at": since}
        rows.backup(f"vm/{full}", file=seen)
        rows.backup(f"vm/a-2026-01-0{number + 1}.qcow2", parents=named(full), file=seen)
    judgement = rows.judged()
    assert ruled(judgement, "vm/a-2026-01-04.qcow2") == (Verdict.UNPROVEN, "doubtful")
    assert ruled(judgement, "vm/a-2026-01-06.qcow2") == (Verdict.SOUND, "proven")
