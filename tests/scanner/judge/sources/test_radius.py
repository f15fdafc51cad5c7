"""What dies with a file: the chain behind it, unless a copy or another way saves it."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from formats.core.model import Kind
from scanner.judge.model import JudgedImage, Judgement, Verdict
from scanner.judge.sources.model import RestorePoint, Source, Span
from scanner.judge.sources.radius import Loss, dies_with, held_in, without
from scanner.results import FileState
from tests.scanner.judge import backups
from tests.scanner.judge.dated import sources_in
from tests.scanner.judge.rows import REPOSITORIES, Rows, bad, named, wanted

NIGHT = datetime(2026, 3, 9, 22, tzinfo=UTC)
HOLES = (Verdict.SOUND, Verdict.WEAKENED, Verdict.UNPROVEN, Verdict.DAMAGED)


def chain(*names: str) -> Rows:
    """Return a chain in which each image names the one before it by identity."""
    rows = Rows()
    for number, name in enumerate(names):
        rows.backup(
            f"vm/{name}.qcow2",
            identity=name,
            parents=wanted(names[number - 1]) if number else (),
            created_at=NIGHT + timedelta(number),
            kind=Kind.INCREMENTAL if number else Kind.FULL,
        )
    return rows


def lost(judgement: Judgement, *paths: str) -> tuple[Loss, ...]:
    """Return what dies with the files at these paths."""
    keys = frozenset(image.key for image in judgement.images if image.path in paths)
    assert len(keys) >= len(paths)
    found = sources_in(judgement.images, REPOSITORIES)
    return dies_with(keys, judgement.images, found, UTC)


def only(losses: Iterable[Loss]) -> Loss:
    (found,) = losses
    return found


def ends(points: Iterable[RestorePoint], source: Source) -> list[str]:
    """Return the last letters of the names of points, oldest first."""
    paths = {image.key: image.path.rpartition("/")[2].partition(".")[0] for image in source.images}
    return [paths[point.key] for point in points]


def test_a_full_takes_its_whole_chain_with_it() -> None:
    loss = only(lost(chain("a", "b", "c").judged(), "vm/a.qcow2"))
    assert ends(loss.points, loss.source) == ["a", "b", "c"]
    assert loss.newest is not None
    assert loss.newest.at == NIGHT + timedelta(2)
    assert loss.newest_left is None
    assert (loss.unproven, loss.spared, loss.spans) == ((), (), ())


def test_an_increment_takes_only_what_comes_after_it() -> None:
    loss = only(lost(chain("a", "b", "c").judged(), "vm/b.qcow2"))
    assert ends(loss.points, loss.source) == ["b", "c"]
    assert loss.newest_left is not None
    assert loss.newest_left.at == NIGHT


def test_the_last_increment_dies_alone() -> None:
    loss = only(lost(chain("a", "b", "c").judged(), "vm/c.qcow2"))
    assert ends(loss.points, loss.source) == ["c"]
    assert loss.newest_left is not None
    assert loss.newest_left.at == NIGHT + timedelta(1)


def test_what_does_not_restore_today_is_not_counted() -> None:
    rows = chain("a", "b", "c")
    rows.add(rows.files[1], rows.images[1], [bad()])
    loss = only(lost(rows.judged(), "vm/a.qcow2"))
    assert ends(loss.points, loss.source) == ["a"]
    assert ends(only(lost(rows.judged(), "vm/b.qcow2")).points, loss.source) == []


def test_what_is_not_proven_yet_is_counted_apart() -> None:
    rows = chain("a", "b", "c")
    rows.files[2] = replace(rows.files[2], state=FileState.READING)
    loss = only(lost(rows.judged(), "vm/a.qcow2"))
    assert ends(loss.points, loss.source) == ["a", "b"]
    assert ends(loss.unproven, loss.source) == ["c"]


def test_a_copy_of_the_parent_saves_its_children() -> None:
    rows = chain("a", "b", "c")
    rows.backup("vm/copy/a2.qcow2", identity="a", created_at=NIGHT)
    losses = lost(rows.judged(), "vm/a.qcow2")
    assert [ends(loss.points, loss.source) for loss in losses if loss.points] == [["a"]]
    assert [ends(loss.spared, loss.source) for loss in losses if loss.spared] == [["b", "c"]]
    both = lost(rows.judged(), "vm/a.qcow2", "vm/copy/a2.qcow2")
    dead = [name for loss in both for name in ends(loss.points, loss.source)]
    assert sorted(dead) == ["a", "a2", "b", "c"]


def test_a_damaged_copy_of_the_parent_saves_nothing() -> None:
    rows = chain("a", "b")
    rows.backup("vm/copy/a2.qcow2", [bad()], identity="a", created_at=NIGHT)
    losses = lost(rows.judged(), "vm/a.qcow2")
    assert [ends(loss.points, loss.source) for loss in losses if loss.points] == [["a", "b"]]


def test_an_image_that_calls_itself_like_its_parent_does_not_save_itself() -> None:
    rows = Rows()
    rows.backup("vm/a.qcow2", identity="same", created_at=NIGHT)
    rows.backup("vm/b.qcow2", identity="same", parents=wanted("same"), created_at=NIGHT)
    loss = only(lost(rows.judged(), "vm/a.qcow2"))
    assert ends(loss.points, loss.source) == ["a", "b"]


def test_a_file_of_the_same_name_elsewhere_is_no_copy() -> None:
    rows = Rows()
    rows.backup("vm/a.qcow2", created_at=NIGHT)
    rows.backup("else/a.qcow2", created_at=NIGHT)
    rows.backup("vm/b.qcow2", parents=named("a.qcow2"), created_at=NIGHT + timedelta(1))
    loss = only(lost(rows.judged(), "vm/a.qcow2"))
    assert ends(loss.points, loss.source) == ["a", "b"]


def test_one_of_two_parents_is_one_too_few() -> None:
    rows = Rows()
    rows.backup("vm/a.qcow2", identity="a", created_at=NIGHT)
    rows.backup("vm/b.qcow2", identity="b", created_at=NIGHT)
    rows.backup("vm/c.qcow2", parents=(*wanted("a"), *wanted("b")), created_at=NIGHT)
    loss = only(lost(rows.judged(), "vm/b.qcow2"))
    assert ends(loss.points, loss.source) == ["b", "c"]


def test_images_that_need_one_another_in_a_circle_are_no_loss() -> None:
    rows = Rows()
    rows.backup("vm/a.qcow2", identity="a", parents=wanted("b"))
    rows.backup("vm/b.qcow2", identity="b", parents=wanted("a"))
    assert only(lost(rows.judged(), "vm/a.qcow2")).points == ()


def test_other_sources_are_not_concerned() -> None:
    rows = chain("a", "b")
    rows.backup("other/x.qcow2", identity="x", created_at=NIGHT)
    loss = only(lost(rows.judged(), "vm/a.qcow2"))
    assert [image.path for image in loss.source.images] == ["vm/a.qcow2", "vm/b.qcow2"]


def test_what_lies_in_a_file_includes_images_it_is_a_further_file_of() -> None:
    rows = Rows()
    rows.backup("vm/disk.qcow2", members=("disk.raw",))
    rows.backup("vm/other.qcow2")
    rows.file("vm/disk.raw", known_as=None)
    images = rows.judged().images
    by_path = {image.path: image.key for image in images}
    assert held_in([rows.files[2]], images) == {by_path["vm/disk.qcow2"]}
    assert held_in([rows.files[1]], images) == {by_path["vm/other.qcow2"]}


# Databases


def in_database(sets: Iterable[backups.BackupSet], *paths: str) -> Loss:
    return only(lost(backups.judged(tuple(sets)), *paths))


def test_a_log_takes_what_follows_until_a_differential_saves_the_rest() -> None:
    loss = in_database(backups.week(), "L1")
    assert ends(loss.points, loss.source) == ["L1", "L2"]
    at = backups.minute
    assert loss.spans == (Span(at(0), at(25)),)
    assert loss.newest_left == loss.newest
    assert ends(loss.spared, loss.source) == [], "they are restored from the differential today"


def test_a_differential_is_spared_by_the_logs() -> None:
    loss = in_database(backups.week(), "D")
    assert ends(loss.points, loss.source) == ["D"]
    assert ends(loss.spared, loss.source) == ["L3", "L4"]
    assert loss.spans == ()


def test_the_full_takes_everything_and_every_moment() -> None:
    loss = in_database(backups.week(), "F")
    assert ends(loss.points, loss.source) == ["F", "L1", "L2", "D", "L3", "L4"]
    assert loss.newest_left is None
    assert loss.spans == (Span(backups.minute(0), backups.minute(40)),)


def test_an_older_full_saves_what_came_after_the_newer_one() -> None:
    older = backups.full("E", 50, 60, at=-10)
    between = backups.log("L0", 55, 150, at=5)
    loss = in_database((older, between, *backups.week()), "F")
    assert ends(loss.points, loss.source) == ["F", "D"]
    assert "L4" in ends(loss.spared, loss.source)
    assert loss.newest_left == loss.newest
    assert loss.spans == ()


def test_a_copy_of_the_full_saves_the_differential() -> None:
    sets = (*backups.week(), backups.full("Fcopy", 100, 110, at=0, guid="F"))
    loss = in_database(sets, "F")
    assert ends(loss.points, loss.source) == ["F"]


def test_a_damaged_full_takes_nothing_with_it() -> None:
    first, *rest = backups.week()
    loss = in_database((backups.worse(first, Verdict.DAMAGED), *rest), "F")
    assert (loss.points, loss.spans) == ((), ())


def test_the_loss_is_what_judging_without_the_file_says() -> None:
    """Every single loss of a week equals the difference of two whole judgements."""
    sets = (*backups.week(), backups.full("G", 350, 360, at=35), backups.log("L5", 500, 600, at=50))
    before = usable(backups.judged(sets).images)
    for taken in sets:
        gone = backups.judged(sets, gone=[taken.path])
        loss = in_database(sets, taken.path)
        assert set(ends(loss.points, loss.source)) == before - usable(gone.images), taken.path


def usable(images: Iterable[JudgedImage]) -> set[str]:
    return {image.path for image in images if image.ruling.verdict <= Verdict.WEAKENED}


# Properties and speed


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 7), st.sampled_from(HOLES)), min_size=2, max_size=8),
    st.integers(0, 7),
    st.integers(0, 100),
)
def test_a_tree_loses_what_judging_it_without_the_file_loses(
    drawn: list[tuple[int, Verdict]], index: int, seed: int
) -> None:
    """Images need an earlier one each, are of any verdict, and come in any order."""

    def rows(verdicts: list[Verdict]) -> Rows:
        made = Rows()
        for number, ((parent, _), verdict) in enumerate(zip(drawn, verdicts, strict=True)):
            outcome, bearing = backups.OUTCOMES[verdict]
            made.backup(
                f"vm/{number}.qcow2",
                [bad(outcome, bearing)],
                identity=number,
                parents=wanted(str(parent % number)) if number else (),
                created_at=NIGHT + timedelta(number),
            )
        return made

    verdicts = [verdict for _, verdict in drawn]
    index %= len(drawn)
    judgement = rows(verdicts).judged(shuffle=seed)
    loss = only(lost(judgement, f"vm/{index}.qcow2"))
    without_it = [*verdicts[:index], Verdict.DAMAGED, *verdicts[index + 1 :]]
    after = usable(rows(without_it).judged().images)
    paths = {image.key: image.path for image in judgement.images}
    assert {paths[point.key] for point in loss.points} == usable(judgement.images) - after
    assert loss == only(lost(rows(verdicts).judged(), f"vm/{index}.qcow2"))


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.integers(0, 60), unique=True, max_size=10),
    st.lists(st.integers(0, 60), unique=True, max_size=10),
)
def test_stretches_left_are_the_minutes_in_the_one_and_not_in_the_other(
    one: list[int], other: list[int]
) -> None:
    def minutes(spans: Iterable[Span]) -> set[int]:
        return {
            number
            for number in range(61)
            for span in spans
            if span.begin <= backups.minute(number + 0.5) < span.end
        }

    first, second = in_pairs(one), in_pairs(other)
    found = list(without(first, second))
    assert minutes(found) == minutes(first) - minutes(second)
    assert all(span.begin < span.end for span in found)


def in_pairs(numbers: list[int]) -> list[Span]:
    edges = [backups.minute(number) for number in sorted(numbers)]
    return [Span(*pair) for pair in zip(edges[::2], edges[1::2], strict=False)]


def test_a_chain_may_be_longer_than_the_stack_is_deep() -> None:
    rows = chain(*(f"n{number}" for number in range(3_000)))
    loss = only(lost(rows.judged(shuffle=1), "vm/n0.qcow2"))
    assert len(loss.points) == 3_000
