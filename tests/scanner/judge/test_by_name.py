"""Parents by nothing but names: only where no format tells, and never more than a doubt."""

from formats.core.model import Bearing
from scanner.judge.model import BY_GRAMMAR, Verdict
from tests.scanner.judge.rows import Rows, named, of, ruled


def imaged(*names: str) -> Rows:
    rows = Rows()
    for name in names:
        rows.backup(name, file={"known_as": "macrium"}, kind=None)
    return rows


def links(rows: Rows, path: str) -> list[tuple[str | None, str]]:
    judgement = rows.judged()
    by_key = {image.key: image.path for image in judgement.images}
    return [
        (None if link.image_key is None else by_key[link.image_key], link.by)
        for link in of(judgement, path).parents
    ]


def doubts(rows: Rows, path: str) -> list[tuple[str, str | None, Bearing]]:
    return [
        (row.evidence.check, row.evidence.actual, row.evidence.bearing)
        for row in of(rows.judged(), path).evidence
        if row.evidence.bad
    ]


def test_numbered_increments_follow_one_another():
    rows = imaged(
        "0123456789ABCDEF-00-00.mrimg",
        "0123456789ABCDEF-01-01.mrimg",
        "0123456789ABCDEF-02-02.mrimg",
    )
    assert links(rows, "0123456789ABCDEF-02-02.mrimg") == [
        ("0123456789ABCDEF-01-01.mrimg", BY_GRAMMAR)
    ]
    assert links(rows, "0123456789ABCDEF-01-01.mrimg") == [
        ("0123456789ABCDEF-00-00.mrimg", BY_GRAMMAR)
    ]
    assert links(rows, "0123456789ABCDEF-00-00.mrimg") == []
    assert doubts(rows, "0123456789ABCDEF-02-02.mrimg") == []


def test_a_hole_in_the_numbers_is_named_and_is_a_doubt():
    rows = imaged("0123456789ABCDEF-00-00.mrimg", "0123456789ABCDEF-03-03.mrimg")
    assert doubts(rows, "0123456789ABCDEF-03-03.mrimg") == [
        ("chain.sequence.present", "no file with numbers 1, 2", Bearing.DOUBTFUL)
    ]
    assert ruled(rows.judged(), "0123456789ABCDEF-03-03.mrimg")[0] is Verdict.UNPROVEN


def test_an_increment_without_anything_before_it_is_a_doubt():
    rows = imaged("server-inc-2026-01-05.mrimg")
    (doubt,) = doubts(rows, "server-inc-2026-01-05.mrimg")
    assert doubt == ("chain.sequence.present", "no such file", Bearing.DOUBTFUL)


def test_formats_that_are_read_tell_their_parents_themselves():
    rows = Rows()
    rows.backup("a-full-2026-01-04.qcow2")
    rows.backup("a-inc-2026-01-05.qcow2")
    assert links(rows, "a-inc-2026-01-05.qcow2") == []
    assert ruled(rows.judged(), "a-inc-2026-01-05.qcow2") == (Verdict.SOUND, "proven")


def test_a_declared_parent_goes_before_any_name():
    rows = imaged("0123456789ABCDEF-00-00.mrimg", "other.mrimg")
    rows.backup(
        "0123456789ABCDEF-01-01.mrimg", file={"known_as": "macrium"}, parents=named("other.mrimg")
    )
    assert [path for path, _by in links(rows, "0123456789ABCDEF-01-01.mrimg")] == ["other.mrimg"]


def test_images_of_other_formats_and_repositories_are_no_parents():
    rows = imaged("0123456789ABCDEF-01-01.mrimg")
    rows.backup("0123456789ABCDEF-00-00.mrimg", file={"known_as": "veeam"}, kind=None)
    rows.backup(
        "0123456789ABCDEF-00-00.mrimg", file={"known_as": "macrium", "repository": 2}, kind=None
    )
    assert links(rows, "0123456789ABCDEF-01-01.mrimg") == [(None, BY_GRAMMAR)]
