"""What is odd about chains and still restores."""

from datetime import timedelta

import pytest

from formats.core.model import Identity, Kind
from scanner.judge.advice import Severity
from scanner.judge.model import Verdict
from scanner.judge.sources.chains import chain_advice
from tests.scanner.judge.outlooks import found, one
from tests.scanner.judge.rows import OLD, SEEN, Rows, named, ruled, wanted

CHILD = {"kind": Kind.INCREMENTAL}


def said(rows: Rows) -> dict[str, str]:
    images = {image.key: image for image in rows.judged().images}
    advice = list(chain_advice(one(rows), images))
    assert all(item.severity is Severity.ADVICE for item in advice)
    return {item.rule: item.text for item in advice}


def chain(*, parent_mtime=OLD, **base: object) -> Rows:
    rows = Rows()
    rows.backup("base.qcow2", file={"mtime": parent_mtime}, **base)
    rows.backup("one.qcow2", parents=named("base.qcow2"), **CHILD)
    return rows


def test_a_plain_chain_is_nothing_to_talk_about():
    assert said(chain()) == {}


def test_copies_are_named():
    rows = Rows()
    rows.backup("a-2026-01-04.qcow2", identity="x")
    rows.backup("a-2026-01-05.qcow2", identity="x")
    assert said(rows) == {
        "chain.duplicate": "1 image is there more than once under the same identity, "
        "as 'a-2026-01-04.qcow2' and 'a-2026-01-05.qcow2'"
    }


def test_copies_that_differ_in_size_are_told():
    rows = Rows()
    rows.backup("a-2026-01-04.qcow2", identity="x")
    rows.backup("a-2026-01-05.qcow2", identity="x", file={"size": 1})
    assert said(rows)["chain.duplicate"].endswith("; not all of them are equally long")


def test_two_increments_of_one_parent_are_a_fork():
    rows = chain()
    rows.backup("two.qcow2", parents=named("base.qcow2"), **CHILD)
    assert said(rows) == {
        "chain.fork": "'base.qcow2' is continued by both 'one.qcow2' and 'two.qcow2'"
    }


def test_copies_of_one_increment_are_no_fork():
    rows = Rows()
    rows.backup("base.vhdx", identity="base", file={"known_as": "vhdx"})
    for name in ("one.vhdx", "copy/one.vhdx"):
        rows.backup(
            name, identity="one", parents=wanted("base"), file={"known_as": "vhdx"}, **CHILD
        )
    assert set(said(rows)) == {"chain.duplicate"}


def test_several_differentials_of_one_full_are_no_fork():
    rows = Rows()
    rows.backup("base.qcow2")
    for name in ("one.qcow2", "two.qcow2"):
        rows.backup(name, parents=named("base.qcow2"), kind=Kind.DIFFERENTIAL)
    assert said(rows) == {}


def test_a_parent_in_another_repository_is_named():
    rows = Rows()
    rows.backup("base.vhdx", identity="base", file={"known_as": "vhdx", "repository": 2})
    rows.backup("one.vhdx", parents=wanted("base"), file={"known_as": "vhdx"}, **CHILD)
    assert said(rows) == {
        "chain.elsewhere": "1 image needs one in another repository: "
        "'one.vhdx' needs 'base.vhdx' there"
    }


def test_a_parent_written_later_than_its_child_is_named():
    assert said(chain(parent_mtime=SEEN)) == {
        "chain.written-later": "'base.qcow2' was last written after 'one.qcow2', which is based on "
        "it: changed since, unless the files were copied without their times"
    }


def test_times_of_coarse_file_systems_are_no_later():
    assert said(chain(parent_mtime=OLD + timedelta(seconds=2))) == {}


def test_an_identity_that_writing_renews_needs_no_times():
    fresh = (Identity("vhdx.data_write_guid", "g"),)
    assert said(chain(parent_mtime=SEEN, identities=fresh)) == {}


def test_an_image_that_names_its_own_file_was_swapped_and_that_is_a_warning():
    rows = Rows()
    rows.backup("base.qcow2")
    rows.backup("one.qcow2", parents=named("one.qcow2"), **CHILD)
    rows.backup("two.qcow2", parents=named("base.qcow2"), **CHILD)
    images = {image.key: image for image in rows.judged().images}
    (source,) = [one for one in found(rows) if any(i.path == "one.qcow2" for i in one.images)]
    (advice,) = chain_advice(source, images)
    assert (advice.rule, advice.severity) == ("chain.swapped", Severity.WARNING)
    assert advice.text.startswith("'one.qcow2' names its own file as its parent: files of this")
    assert ruled(rows.judged(), "one.qcow2") == (Verdict.INCOMPLETE, "parent-cycle")


@pytest.mark.parametrize("name", ["/srv/vm/one.qcow2", r"D:\\vm\\one.qcow2", "../day0/one.qcow2"])
def test_a_name_that_leads_elsewhere_is_not_its_own(name):
    rows = Rows()
    rows.backup("day1/one.qcow2", parents=named(name), **CHILD)
    assert said(rows) == {}
    assert ruled(rows.judged(), "day1/one.qcow2") == (Verdict.INCOMPLETE, "member-missing")
