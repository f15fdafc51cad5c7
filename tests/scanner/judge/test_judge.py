"""The judge as a whole: pure, deaf to the order of rows, and no slower than there are images."""

import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.core.model import Bearing, Outcome
from scanner.judge.model import Judgement, Verdict
from scanner.results import FileState
from tests.scanner.judge.rows import GOOD, OLD, READ, Rows, bad, named, of, ruled, wanted
from tests.scanner.judge.test_cases import piece

STATES = list(FileState)
NEWS = [
    (),
    (GOOD,),
    (GOOD, bad()),
    (GOOD, bad(Outcome.TRUNCATED)),
    (GOOD, bad(Outcome.MISMATCHED, Bearing.REDUNDANT)),
]
REFERENCES = [
    (),
    wanted("0"),
    wanted("1", "b.vhdx"),
    wanted("missing"),
    named("a.vhdx"),
    named("/x/b.vhdx"),
]


@st.composite
def ledgers(draw: st.DrawFn) -> Rows:
    """A few files in a few folders, with images that need one another, and pieces of sets."""
    rows = Rows()
    names = [f"{folder}{name}" for folder in ("", "x/", "y/") for name in ("a.vhdx", "b.vhdx")]
    for path in draw(st.lists(st.sampled_from(names), unique=True, max_size=6)):
        file = rows.file(
            path,
            draw(st.sampled_from([(), (bad(check="storage.unreadable"),)])),
            state=draw(st.sampled_from(STATES)),
            repository=draw(st.integers(1, 2)),
        )
        for _ in range(draw(st.integers(0, 2))):
            part = draw(st.sampled_from([None, piece(1, 2), piece(2, 2)]))
            rows.image(
                file,
                draw(st.sampled_from(NEWS)),
                identity=draw(st.sampled_from(["0", "1", "2", None])),
                parents=draw(st.sampled_from(REFERENCES)),
                piece=part,
            )
    return rows


@given(rows=ledgers(), shuffle=st.integers(0, 1000))
def test_another_order_of_rows_gives_the_same_judgement(rows, shuffle):
    assert rows.judged(shuffle=shuffle) == rows.judged()


@given(rows=ledgers())
def test_judging_twice_gives_the_same(rows):
    assert rows.judged() == rows.judged()


@given(rows=ledgers())
def test_every_living_file_is_spoken_of_once(rows):
    judged = rows.judged()
    living = {file.id for file in rows.files if file.state is not FileState.GONE}
    spoken = {file.id for item in judged.images for file in item.files}
    listed = [item.file.id for item in judged.others]
    assert len(listed) == len(set(listed))
    assert not spoken & set(listed)
    assert living <= spoken | set(listed)


@given(rows=ledgers())
def test_keys_lead_to_what_is_there(rows):
    judged = rows.judged()
    keys = {item.key for item in judged.images}
    assert len(keys) == len(judged.images)
    for item in judged.images:
        assert item.deciding_key in keys
        assert item.ruling.verdict >= item.own.verdict
    chained = [key for chain in judged.chains for key in chain.image_keys]
    assert sorted(chained) == sorted(keys)
    verdicts = {item.key: item.ruling.verdict for item in judged.images}
    for chain in judged.chains:
        assert chain.verdict is max(verdicts[key] for key in chain.image_keys)
        if chain.restorable_key is not None:
            assert verdicts[chain.restorable_key] <= Verdict.WEAKENED


@settings(max_examples=60)
@given(rows=ledgers(), at=st.integers(0, 20), news=st.sampled_from([bad(), bad(Outcome.TRUNCATED)]))
def test_bad_news_about_one_image_improves_no_other(rows, at, news):
    if not rows.images:
        return
    before = {item.key: item.ruling.verdict for item in rows.judged().images}
    image = rows.images[at % len(rows.images)]
    file = next(item for item in rows.files if item.id == image.file_id)
    rows.add(file, image, (news,))
    after = {item.key: item.ruling.verdict for item in rows.judged().images}
    assert set(after) == set(before)
    assert all(after[key] >= before[key] for key in before)


def test_acknowledging_is_per_finding_and_leaves_other_findings():
    rows = Rows()
    rows.backup("a.vhdx", (GOOD, bad(offset=1), bad(offset=2)))
    first, second = [row.finding_id for row in rows.evidence if row.finding_id]
    assert ruled(rows.judged(acknowledged=[first]), "a.vhdx")[0] is Verdict.DAMAGED
    assert ruled(rows.judged(acknowledged=[first, second]), "a.vhdx")[0] is Verdict.SOUND


def test_proof_is_as_old_as_the_oldest_piece():
    rows = Rows()
    rows.backup("1.vhdx", piece=piece(1, 2), file={"read_at": OLD})
    rows.backup("2.vhdx", piece=piece(2, 2), file={"read_at": READ, "unchanged_since": OLD})
    proof = rows.judged().images[0].proof
    assert (proof.read_at, proof.structure_at, proof.unchanged_since) == (OLD, OLD, None)


def test_no_structure_is_proven_where_something_needed_is_wrong():
    rows = Rows()
    rows.backup("a.vhdx", (GOOD, bad()))
    rows.backup("b.vhdx", (GOOD, bad(Outcome.MISMATCHED, Bearing.REDUNDANT)))
    rows.backup("c.vhdx", (GOOD,), file={"known_as": "gzip"})
    judged = rows.judged()
    assert of(judged, "a.vhdx").proof.structure_at is None
    assert of(judged, "b.vhdx").proof.structure_at == READ
    assert of(judged, "c.vhdx").proof.structure_at is None


@pytest.mark.parametrize(
    "check", ["baseline.block.xxh3", "storage.steady", "generic.tail", "generic.allocation"]
)
@pytest.mark.parametrize("bearing", [Bearing.NEEDED, Bearing.DOUBTFUL])
def test_what_says_nothing_of_the_format_takes_no_structure_away(check, bearing):
    rows = Rows()
    vouching = replace(GOOD, vouched_bytes=100)
    rows.backup("a.vhdx", (vouching,), (bad(Outcome.MISMATCHED, bearing, check),))
    rows.backup("b.vhdx", (vouching, bad(Outcome.MISMATCHED, bearing, "vhdx.bat.state")))
    judged = rows.judged()
    kept, lost = of(judged, "a.vhdx").proof, of(judged, "b.vhdx").proof
    assert (kept.structure_at, kept.read_at, kept.checksums_at) == (READ, READ, READ)
    assert (lost.structure_at, lost.read_at, lost.checksums_at) == (None, READ, None)


@pytest.mark.parametrize("bearing", list(Bearing))
def test_bytes_the_storage_refuses_leave_the_structure_and_are_not_read(bearing):
    rows = Rows()
    refused = bad(Outcome.UNREADABLE, bearing, "storage.unreadable")
    vouching = replace(GOOD, vouched_bytes=100)
    rows.backup("a.vhdx", (vouching,), (refused,), file={"unchanged_since": OLD})
    proof = of(rows.judged(), "a.vhdx").proof
    assert (proof.structure_at, proof.read_at, proof.checksums_at) == (READ, None, READ)
    assert proof.unchanged_since is None


def test_a_missing_piece_leaves_no_structure_proven():
    rows = Rows()
    rows.backup("1.vhdx", piece=piece(1, 2))
    proof = rows.judged().images[0].proof
    assert (proof.structure_at, proof.read_at) == (None, READ)


def test_no_more_bytes_are_vouched_for_than_are_needed():
    rows = Rows()
    rows.backup("a.vhdx", (replace(GOOD, vouched_bytes=1 << 40),), needed_bytes=1000)
    proof = rows.judged().images[0].proof
    assert (proof.bytes_vouched, proof.bytes_needed) == (1000, 1000)


# Size


def long_chain(count: int) -> Rows:
    """One image every quarter of an hour, each on the one before."""
    rows = Rows()
    for number in range(count):
        parents = wanted(f"{number - 1}", f"{number - 1}.vhdx") if number else ()
        rows.backup(f"logs/{number}.vhdx", identity=f"{number}", parents=parents)
    return rows


def many_folders(count: int) -> Rows:
    """A folder per machine, with the same two names in each."""
    rows = Rows()
    for number in range(count // 2):
        rows.backup(f"{number}/base.qcow2")
        rows.backup(f"{number}/child.qcow2", parents=named("base.qcow2"))
    return rows


def many_lost(count: int) -> Rows:
    """A folder per machine, whose parents are all missing or were replaced."""
    rows = Rows()
    for number in range(count // 2):
        rows.backup(f"{number}/base.vhdx", identity=f"{number}")
        rows.backup(f"{number}/child.vhdx", parents=wanted("gone", "base.vhdx"))
    return rows


def foreign_names(count: int) -> Rows:
    """Children whose parents have a path of another machine, that may mean many files."""
    rows = Rows()
    for number in range(count // 2):
        rows.backup(f"{number}/base.qcow2")
        rows.backup(f"{number}/far/child.qcow2", parents=named("/images/base.qcow2"))
    return rows


def one_circle(count: int) -> Rows:
    rows = Rows()
    for number in range(count):
        rows.backup(
            f"{number}.vhdx", identity=f"{number}", parents=wanted(f"{(number + 1) % count}")
        )
    return rows


def appended(count: int) -> Rows:
    """One file with all images, some evidence about the file, and one parent for all."""
    rows = Rows()
    file = rows.file("all.vhdx", (bad(Outcome.UNSTEADY, Bearing.REDUNDANT, "storage.steady"),))
    for number in range(count):
        rows.image(file, identity=f"{number}", parents=wanted("0") if number else ())
    return rows


def one_set(count: int) -> Rows:
    rows = Rows()
    for number in range(count):
        rows.backup(f"{number % 7}/{number}.vhdx", piece=piece(number + 1, count))
    return rows


def all_gone(count: int) -> Rows:
    rows = Rows()
    for number in range(count):
        rows.backup(f"{number}.vhdx", identity="same", file={"state": FileState.GONE})
    return rows


SHAPES = [
    long_chain,
    many_folders,
    many_lost,
    foreign_names,
    one_circle,
    appended,
    one_set,
    all_gone,
]
SMALL, LARGE = 300, 1200


def steps(run: Callable[[], Judgement]) -> int:
    """Count the lines of Python that run: what takes time, without a clock."""
    count = 0

    def trace(_frame: object, event: str, _argument: object) -> object:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("shape", SHAPES)
def test_four_times_the_images_take_four_times_the_steps(shape):
    small, large = shape(SMALL), shape(LARGE)
    ratio = steps(large.judged) / steps(small.judged)
    assert ratio < 1.25 * LARGE / SMALL


def test_a_chain_of_thousands_is_judged():
    judged = long_chain(5_000).judged()
    assert len(judged.images) == 5_000
    (chain,) = judged.chains
    assert len(chain.image_keys) == 5_000


def test_a_parent_that_is_gone_is_spoken_of_also_where_a_piece_of_its_child_is_gone():
    rows = Rows()
    rows.backup("base.vhdx", file={"state": FileState.GONE})
    rows.backup("one.vhdx", parents=named("base.vhdx"), piece=piece(1, 2))
    rows.backup("two.vhdx", piece=piece(2, 2), file={"state": FileState.GONE})
    judged = rows.judged()
    assert {item.path for item in judged.images} == {"base.vhdx", "one.vhdx"}
    assert {item.deciding_key for item in judged.images} <= {item.key for item in judged.images}
