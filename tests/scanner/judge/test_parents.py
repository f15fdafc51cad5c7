"""Who is whose parent: identity before name, and no stranger of the same name."""

from datetime import timedelta

import pytest

from formats.core.model import Identity, Outcome, ParentRef
from scanner.judge.model import ParentLink, Verdict
from scanner.results import FileState
from tests.scanner.judge.rows import GOOD, OLD, SEEN, Rows, bad, named, of, ruled, wanted

GONE = {"state": FileState.GONE}


def link(rows: Rows, path: str) -> ParentLink:
    (found,) = of(rows.judged(), path).parents
    return found


def checks(rows: Rows, path: str) -> list[tuple[str, str | None]]:
    judged = of(rows.judged(), path)
    return [
        (row.evidence.check, row.evidence.actual) for row in judged.evidence if row.evidence.bad
    ]


# By identity


def test_identity_comes_before_a_name():
    rows = Rows()
    rows.backup("base.vhdx", identity="x")
    right = rows.backup("renamed.vhdx", identity="base")
    rows.backup("child.vhdx", parents=wanted("base", "base.vhdx"))
    assert link(rows, "child.vhdx") == ParentLink("toy:base", right.id, "identity")
    assert ruled(rows.judged(), "child.vhdx") == (Verdict.SOUND, "proven")


def test_a_replaced_parent_is_no_parent_and_is_named():
    rows = Rows()
    rows.backup("base.vhdx", identity="another")
    rows.backup("child.vhdx", parents=wanted("base", r"D:\vm\base.vhdx"))
    assert link(rows, "child.vhdx") == ParentLink("toy:base", None, "identity")
    assert ruled(rows.judged(), "child.vhdx") == (Verdict.INCOMPLETE, "member-missing")
    assert checks(rows, "child.vhdx") == [
        (
            "chain.parent.identity",
            "another identity in 'base.vhdx': replaced, or written to since",
        )
    ]


def test_a_missing_parent_is_incomplete_and_said_so():
    rows = Rows()
    rows.backup("child.vhdx", parents=wanted("base", "base.vhdx"))
    assert checks(rows, "child.vhdx") == [("chain.parent.present", "no such image")]
    assert ruled(rows.judged(), "child.vhdx")[0] is Verdict.INCOMPLETE


def test_any_of_several_identities_is_enough():
    rows = Rows()
    base = rows.backup("base.vhdx", identity="second")
    both = ParentRef((*wanted("first")[0].identities, *wanted("second")[0].identities))
    rows.backup("child.vhdx", parents=(both,))
    assert link(rows, "child.vhdx").image_key == base.id


def test_every_parent_is_needed():
    rows = Rows()
    rows.backup("one.vhdx", identity="one")
    rows.backup("child.vhdx", parents=(*wanted("one"), *wanted("two")))
    judged = of(rows.judged(), "child.vhdx")
    assert [item.image_key is None for item in judged.parents] == [False, True]
    assert judged.ruling.verdict is Verdict.INCOMPLETE


PREFERRED = [
    # The copy that is taken, and the one that is not.
    ({"path": "a/base.vhdx"}, {"path": "z/base.vhdx", "file": GONE}),
    ({"path": "z/other.vhdx", "file": {"repository": 2}}, {"path": "m/base.vhdx", "file": GONE}),
    ({"path": "z/base.vhdx"}, {"path": "a/base.vhdx", "file": {"repository": 2}}),
    ({"path": "z/base.vhdx"}, {"path": "a/other.vhdx"}),
    ({"path": "m/base.vhdx"}, {"path": "a/base.vhdx"}),
    ({"path": "b/base.vhdx"}, {"path": "c/base.vhdx"}),
]


@pytest.mark.parametrize(("taken", "left"), PREFERRED)
@pytest.mark.parametrize("turned", [False, True])
def test_of_copies_the_nearest_that_is_there_is_taken(taken, left, turned):
    rows = Rows()
    for copy in (left, taken) if turned else (taken, left):
        rows.backup(copy["path"], identity="base", file=copy.get("file"))
    rows.backup("m/child.vhdx", parents=wanted("base", "base.vhdx"))
    expected = of(rows.judged(), taken["path"])
    assert link(rows, "m/child.vhdx").image_key == expected.key


@pytest.mark.parametrize("shuffle", range(6))
def test_of_copies_in_one_file_the_first_is_taken_in_any_order(shuffle):
    rows = Rows()
    file = rows.file("both.vhdx")
    first = rows.image(file, identity="base")
    rows.image(file, identity="base")
    rows.backup("child.vhdx", parents=wanted("base"))
    (found,) = of(rows.judged(shuffle=shuffle), "child.vhdx").parents
    assert found.image_key == first.id


def test_a_parent_in_another_repository_is_found():
    rows = Rows()
    base = rows.backup("base.vhdx", identity="base", file={"repository": 2})
    rows.backup("child.vhdx", parents=wanted("base"))
    assert link(rows, "child.vhdx").image_key == base.id


def damaged_copy_close_by(scheme: str, *, turned: bool) -> Rows:
    rows = Rows()
    wanted_one = Identity(scheme, "base")
    copies = [("m/base.vhdx", (GOOD, bad())), ("z/other.vhdx", (GOOD,))]
    for path, evidence in reversed(copies) if turned else copies:
        rows.backup(path, evidence, identities=(wanted_one,))
    rows.backup("m/child.vhdx", parents=(ParentRef((wanted_one,), ("base.vhdx",)),))
    return rows


@pytest.mark.parametrize("turned", [False, True])
def test_a_whole_copy_far_away_comes_before_a_damaged_one_close_by(turned):
    rows = damaged_copy_close_by("vhdx.data_write_guid", turned=turned)
    judged = rows.judged()
    assert link(rows, "m/child.vhdx").image_key == of(judged, "z/other.vhdx").key
    assert ruled(judged, "m/child.vhdx") == (Verdict.SOUND, "proven")
    assert ruled(judged, "m/base.vhdx") == (Verdict.DAMAGED, "bytes-wrong")


@pytest.mark.parametrize("turned", [False, True])
def test_a_clone_that_kept_its_identity_does_not_heal_a_damaged_parent(turned):
    rows = damaged_copy_close_by("vhd.uuid", turned=turned)
    assert ruled(rows.judged(), "m/child.vhdx") == (Verdict.DAMAGED, "bytes-wrong")


def test_a_damaged_copy_comes_before_one_that_is_gone():
    rows = Rows()
    rows.backup("m/base.vhdx", (GOOD, bad()), identity="base")
    rows.backup("z/base.vhdx", identity="base", file=GONE)
    rows.backup("m/child.vhdx", parents=wanted("base", "base.vhdx"))
    assert ruled(rows.judged(), "m/child.vhdx") == (Verdict.DAMAGED, "bytes-wrong")


@pytest.mark.parametrize("name", ["/srv/more/vm/base.qcow2", "../../more/vm/base.qcow2"])
def test_a_name_that_leads_into_another_repository_is_followed(name):
    rows = Rows()
    base = rows.backup("vm/base.qcow2", file={"repository": 2})
    rows.backup("vm/base 2.qcow2", file={"repository": 2})
    rows.backup("vm/child.qcow2", parents=named(name))
    assert link(rows, "vm/child.qcow2") == ParentLink(name, base.id, "name")
    assert ruled(rows.judged(), "vm/child.qcow2") == (Verdict.SOUND, "proven")


def test_a_whole_path_means_the_file_that_lies_there_and_no_other_of_its_name():
    rows = Rows()
    rows.backup("a/base.qcow2")
    right = rows.backup("z/base.qcow2")
    rows.backup("m/child.qcow2", parents=named("/srv/backups/z/base.qcow2"))
    assert link(rows, "m/child.qcow2").image_key == right.id


def test_a_raw_disk_that_is_there_is_not_missing_and_proves_nothing():
    rows = Rows()
    rows.file("vm/base.raw", known_as=None)
    rows.backup("vm/child.qcow2", parents=named("base.raw"))
    assert checks(rows, "vm/child.qcow2") == [
        ("chain.parent.present", "'vm/base.raw' is of no known format")
    ]
    assert ruled(rows.judged(), "vm/child.qcow2") == (Verdict.UNPROVEN, "doubtful")


def test_a_raw_disk_that_is_gone_is_missing():
    rows = Rows()
    rows.file("vm/base.raw", known_as=None, state=FileState.GONE)
    rows.backup("vm/child.qcow2", parents=named("base.raw"))
    assert ruled(rows.judged(), "vm/child.qcow2") == (Verdict.INCOMPLETE, "member-missing")


def test_a_name_that_leads_out_of_all_repositories_is_missing():
    rows = Rows()
    rows.backup("base.qcow2", file={"repository": 2})
    rows.backup("child.qcow2", parents=named("../moreover/base.qcow2"))
    assert checks(rows, "child.qcow2") == [("chain.parent.present", "no such image")]


def test_an_image_is_not_its_own_parent():
    rows = Rows()
    rows.backup("odd.vhdx", identity="odd", parents=wanted("odd"))
    assert link(rows, "odd.vhdx").image_key is None
    assert ruled(rows.judged(), "odd.vhdx")[0] is Verdict.INCOMPLETE


# By name


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("base.qcow2", "m/base.qcow2"),
        ("./base.qcow2", "m/base.qcow2"),
        ("../full/base.qcow2", "full/base.qcow2"),
        ("sub/base.qcow2", "m/sub/base.qcow2"),
        ("/var/lib/images/base.qcow2", "m/base.qcow2"),
        (r"C:\vm\base.qcow2", "m/base.qcow2"),
        (r".\base.qcow2", "m/base.qcow2"),
        # Only one file can be meant by a path of another machine.
        ("/var/lib/images/base.qcow2", "elsewhere/base.qcow2"),
        (r"C:\vm\base.qcow2", "elsewhere/base.qcow2"),
    ],
)
def test_a_name_leads_to_a_file(name, base):
    rows = Rows()
    found = rows.backup(base)
    rows.backup("m/child.qcow2", parents=named(name))
    assert link(rows, "m/child.qcow2") == ParentLink(name, found.id, "name")


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("base.qcow2", ["elsewhere/base.qcow2"]),
        ("../full/base.qcow2", ["other/base.qcow2"]),
        ("/var/lib/images/base.qcow2", ["one/base.qcow2", "two/base.qcow2"]),
        ("base.qcow2", ["m/BASE.qcow2"]),
        ("", ["m/base.qcow2"]),
        ("/", ["m/base.qcow2"]),
        ("..", ["base.qcow2"]),
    ],
)
def test_a_stranger_of_the_same_name_is_no_parent(name, others):
    # Two machines with a base.qcow2 each: the chain of one must not hang on the disk of the other.
    rows = Rows()
    for path in others:
        rows.backup(path)
    rows.backup("m/child.qcow2", parents=named(name))
    assert link(rows, "m/child.qcow2").image_key is None
    assert ruled(rows.judged(), "m/child.qcow2")[0] is Verdict.INCOMPLETE


def test_a_gone_parent_is_not_replaced_by_a_stranger():
    rows = Rows()
    base = rows.backup("m/base.qcow2", file=GONE)
    rows.backup("elsewhere/base.qcow2")
    rows.backup("m/child.qcow2", parents=named("base.qcow2"))
    assert link(rows, "m/child.qcow2").image_key == base.id
    assert ruled(rows.judged(), "m/child.qcow2") == (Verdict.INCOMPLETE, "gone")


def test_a_parent_that_moved_beside_its_child_is_found_again():
    rows = Rows()
    rows.backup("full/base.qcow2", file=GONE)
    base = rows.backup("m/base.qcow2")
    rows.backup("m/child.qcow2", parents=named("../full/base.qcow2"))
    assert link(rows, "m/child.qcow2").image_key == base.id


def test_a_name_in_another_repository_is_no_parent():
    rows = Rows()
    rows.backup("base.qcow2", file={"repository": 2})
    rows.backup("child.qcow2", parents=named("base.qcow2"))
    assert link(rows, "child.qcow2").image_key is None


def test_a_parent_without_any_name_is_missing():
    rows = Rows()
    rows.backup("base.qcow2")
    rows.backup("child.qcow2", parents=(ParentRef(),))
    assert link(rows, "child.qcow2") == ParentLink("an unnamed parent", None, "name")


def test_a_name_that_is_the_childs_own_leads_in_a_circle():
    rows = Rows()
    child = rows.backup("child.qcow2", parents=named("child.qcow2"))
    assert link(rows, "child.qcow2").image_key == child.id
    assert ruled(rows.judged(), "child.qcow2") == (Verdict.INCOMPLETE, "parent-cycle")


# Gone


def test_a_gone_parent_alarms_only_if_a_living_child_needs_it():
    rows = Rows()
    rows.backup("needed.vhdx", identity="needed", file=GONE)
    rows.backup("child.vhdx", parents=wanted("needed"))
    rows.backup("rotated.vhdx", identity="rotated", file=GONE)
    rows.backup("its child.vhdx", parents=wanted("rotated"), file=GONE)
    judged = rows.judged()
    assert [item.path for item in judged.images] == ["child.vhdx", "needed.vhdx"]
    assert ruled(judged, "needed.vhdx") == (Verdict.INCOMPLETE, "gone")
    assert ruled(judged, "child.vhdx") == (Verdict.INCOMPLETE, "gone")
    child = of(judged, "child.vhdx")
    assert child.own.verdict is Verdict.SOUND
    assert child.deciding_key == of(judged, "needed.vhdx").key


def test_the_image_that_decides_is_always_among_those_judged():
    rows = Rows()
    rows.backup("full.vhdx", (GOOD, bad()), identity="full", file=GONE)
    rows.backup("one.vhdx", identity="one", parents=wanted("full"), file=GONE)
    rows.backup("two.vhdx", identity="two", parents=wanted("one"))
    rows.backup("three.vhdx", parents=wanted("two"))
    judged = rows.judged()
    keys = {item.key for item in judged.images}
    assert {item.deciding_key for item in judged.images} <= keys


# Acknowledged


def test_an_accepted_missing_parent_is_shown_and_does_not_decide():
    rows = Rows()
    rows.backup("child.vhdx", parents=wanted("base"))
    (row,) = [item for item in of(rows.judged(), "child.vhdx").evidence if item.evidence.bad]
    assert row.finding_id is not None
    judged = rows.judged(acknowledged=[row.finding_id])
    assert ruled(judged, "child.vhdx") == (Verdict.SOUND, "proven")
    assert row in of(judged, "child.vhdx").evidence


def test_findings_of_the_judge_keep_their_names():
    rows = Rows()
    rows.backup("child.vhdx", parents=wanted("base"))
    names = {
        row.finding_id
        for _ in range(2)
        for row in of(rows.judged(), "child.vhdx").evidence
        if row.evidence.bad
    }
    assert len(names) == 1


# A parent that was written over


def chain_with_rewritten_parent(rewritten_at, parent_mtime=SEEN, **parent) -> Rows:
    rows = Rows()
    base = {"rewritten_at": rewritten_at, "mtime": parent_mtime}
    rows.backup("base.qcow2", file=base, **parent)
    rows.backup("child.qcow2", parents=named("base.qcow2"), file={"mtime": OLD})
    return rows


def test_parent_written_over_after_its_child_was_there_leaves_doubt():
    rows = chain_with_rewritten_parent(SEEN)
    assert checks(rows, "child.qcow2") == [
        ("chain.parent.unmodified", "'base.qcow2' was written over since")
    ]
    assert ruled(rows.judged(), "child.qcow2") == (Verdict.UNPROVEN, "doubtful")
    assert ruled(rows.judged(), "base.qcow2") == (Verdict.SOUND, "proven")


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(chain_with_rewritten_parent(None), id="never written over"),
        pytest.param(chain_with_rewritten_parent(OLD), id="before the child was there"),
        pytest.param(
            chain_with_rewritten_parent(SEEN, OLD - timedelta(days=1)), id="the child after it"
        ),
        pytest.param(
            chain_with_rewritten_parent(
                SEEN, identities=(Identity("vhdx.data_write_guid", "new"),)
            ),
            id="an identity that writing renews",
        ),
    ],
)
def test_parent_that_may_have_been_written_to_leaves_no_doubt(rows):
    assert checks(rows, "child.qcow2") == []
    assert ruled(rows.judged(), "child.qcow2") == (Verdict.SOUND, "proven")


def swapped(child) -> Rows:
    """Return a chain whose parent was replaced by an older file that kept its time."""
    rows = Rows()
    rows.backup("base.qcow2", file={"rewritten_at": SEEN, "mtime": OLD - timedelta(days=30)})
    rows.backup("child.qcow2", parents=named("base.qcow2"), file={"mtime": OLD, **child})
    return rows


def test_an_old_file_put_back_with_its_old_time_leaves_doubt():
    rows = swapped({"unchanged_since": SEEN - timedelta(days=1)})
    assert checks(rows, "child.qcow2") == [
        ("chain.parent.unmodified", "'base.qcow2' was written over since")
    ]


@pytest.mark.parametrize(
    "child",
    [
        pytest.param({"unchanged_since": None}, id="never proven"),
        pytest.param({"unchanged_since": SEEN - timedelta(hours=2)}, id="read in the same scan"),
        pytest.param(
            {"unchanged_since": SEEN - timedelta(days=1), "rewritten_at": SEEN},
            id="replaced as well",
        ),
    ],
)
def test_a_chain_that_may_have_been_replaced_as_a_whole_leaves_no_doubt(child):
    assert checks(swapped(child), "child.qcow2") == []


# Clones


def cloned(**elsewhere: object) -> Rows:
    """Return a chain whose base is gone, and an image of the same identity in another folder."""
    rows = Rows()
    rows.backup("a/base.qcow2", identity="base", file=GONE)
    rows.backup("b/base.qcow2", identity="base", file=elsewhere)
    rows.backup("a/child.qcow2", parents=wanted("base", "base.qcow2"))
    return rows


def test_a_clone_that_went_on_differently_is_no_parent():
    rows = cloned(mtime=SEEN)
    assert ruled(rows.judged(), "a/child.qcow2") == (Verdict.INCOMPLETE, "gone")
    assert link(rows, "a/child.qcow2").image_key == rows.images[0].id


def test_a_copy_made_with_its_times_is_as_good_as_the_parent():
    rows = cloned()
    assert ruled(rows.judged(), "a/child.qcow2") == (Verdict.SOUND, "proven")
    assert link(rows, "a/child.qcow2").image_key == rows.images[1].id


def test_an_identity_that_writing_renews_is_the_parent_wherever_it_lies():
    rows = Rows()
    fresh = Identity("vhdx.data_write_guid", "g")
    rows.backup("a/base.qcow2", identities=(fresh,), file=GONE)
    rows.backup("b/base.qcow2", identities=(fresh,), file={"mtime": SEEN})
    parent = ParentRef((fresh,), ("base.qcow2",))
    rows.backup("a/child.qcow2", parents=(parent,))
    assert ruled(rows.judged(), "a/child.qcow2") == (Verdict.SOUND, "proven")


def test_a_missing_parent_is_missed_however_young_the_child_is():
    rows = Rows()
    rows.backup("child.qcow2", parents=named("base.qcow2"), file={"mtime": SEEN})
    rows.backup("cut.qcow2", (bad(Outcome.TRUNCATED),), file={"mtime": SEEN})
    assert ruled(rows.judged(), "child.qcow2") == (Verdict.INCOMPLETE, "member-missing")
    assert ruled(rows.judged(), "cut.qcow2") == (Verdict.UNPROVEN, "being-written")
