"""The fuzzer's parts, without the fuzzer: recipes, sums, what counts as a finding, shrinking."""

import signal
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

import formats
from formats.core.errors import FormatError
from formats.core.model import Evidence, Inspection, Outcome
from formats.core.source import BytesSource, NoNeighbours
from tests import damage
from tests.drive import drive
from tests.fuzz import findings, recipe, replay, target
from tests.fuzz.recipe import STEP, Damage
from tests.fuzz.seeds import built, seed_of, subject_named
from tests.fuzz.trial import Overdue, alarm, put_to_trial
from tests.sources import Overlay, unpack
from tests.strategies import seeded

NAMES = ("qcow2", "vhd", "vhdx", "sqlserver_bak", "mtf")
SUMMED = {
    "vhd": {"vhd.footer.checksum", "vhd.header.checksum"},
    "vhdx": {
        "vhdx.header.crc32c",
        "vhdx.region_table.crc32c",
        # An entry with a wrong sum is none, and the sequence it belonged to ends.
        "vhdx.log.sequence",
        "vhdx.log.torn",
    },
}
MAGIC = b"BREAK"


@cache
def seeds(name: str):
    subject = subject_named(name)
    made = [
        seed_of(subject, label, BytesSource(content), NoNeighbours())
        for label, content in built(name)
    ]
    return tuple(item for item in made if item is not None)


def whole(source) -> bytes:
    return source.read_at(0, source.size)


def step(kind: Damage, place: int, value: int = 0, argument: int = 0) -> bytes:
    return STEP.pack(kind, argument, place, value)


def made(steps: bytes, *, sealed: bool = False, name: str = "vhd") -> bytes:
    return whole(recipe.decode(bytes([0, sealed]) + steps, seeds(name))[1])


@pytest.mark.parametrize("name", NAMES)
def test_every_format_has_a_seed_of_its_own(name):
    assert seeds(name)
    for seed in seeds(name):
        assert not [item for item in seed.hot if item >= seed.source.size]


def test_recipe_without_steps_is_the_seed():
    assert made(b"") == whole(seeds("vhd")[0].source)


def test_steps_do_what_they_say():
    plain = made(b"")
    assert made(step(Damage.PUT, 8, 0x0102, argument=0)) == plain[:8] + b"\2\1" + plain[10:]
    assert made(step(Damage.PUT, 8, 0x0102, argument=129))[8:12] == b"\0\0\1\2"
    assert made(step(Damage.FLIP, 100, argument=3)) == damage.flip(plain, 100, 3)
    assert made(step(Damage.CUT, 700)) == plain[:700]
    assert made(step(Damage.FILL, 0, argument=9)) == damage.zero(plain, 0, 512)
    assert made(step(Damage.COPY, 512, 0, argument=9)) == plain[:512] * 2 + plain[1024:]
    assert made(step(Damage.REMOVE, 512, argument=9)) == plain[:512] + plain[1024:]
    assert made(step(Damage.INSERT, 5, argument=1)) == plain[:5] + bytes(2) + plain[5:]
    assert made(step(Damage.GROW, 0, 7)) == plain + bytes(7)
    (number,) = {made(step(Damage.ADD, 7, 129, argument=0))[7]}
    assert number == (plain[7] + 1) % 256


@given(content=st.binary(max_size=300), name=st.sampled_from(NAMES))
def test_any_bytes_are_a_recipe(content, name):
    _seed, source = recipe.decode(content, seeds(name))
    assert len(source.read_at(0, min(source.size, 4096))) == min(source.size, 4096)
    assert len(source.read_at(max(0, source.size - 64), min(source.size, 64))) <= 64


@given(number=st.integers(0, 1 << 32), name=st.sampled_from(NAMES))
def test_mutated_recipes_are_recipes_with_steps(number, name):
    random = seeded(number)
    content, counts = bytes([0, 1]), []
    for _ in range(20):
        content = recipe.mutate(content, seeds(name), random)
        counts.append(len(list(recipe.steps_of(content))))
        assert (len(content) - recipe.HEAD_BYTES) % STEP.size == 0
    assert 0 < max(counts) <= recipe.STEPS_MAX


@pytest.mark.parametrize("name", SUMMED)
def test_sums_are_made_right_again_where_bytes_were_touched(name):
    for number, seed in enumerate(seeds(name)):
        assert seed.seals
        for seal in seed.seals:
            head = bytes([number, 0]), bytes([number, 1])
            spoil = step(Damage.FLIP, seal.offset + min(seal.length - 2, 5000))
            wrong, right = (recipe.decode(item + spoil, seeds(name))[1] for item in head)
            assert sums_found_wrong(name, wrong), seal
            assert not sums_found_wrong(name, right), seal
            assert whole(wrong) != whole(seed.source) != whole(right)


def sums_found_wrong(name: str, source) -> set[str]:
    return SUMMED[name] & {item.check for item in drive(subject_named(name), source).bad}


@pytest.mark.parametrize("name", ["mtf", "sqlserver_bak"])
def test_sums_of_tapes_are_found_and_hold(name):
    for seed in seeds(name):
        in_chunks = seed.label.startswith("built/packed")
        assert in_chunks or {item.length for item in seed.seals} >= {52, 22}
        assert len(seed.seals) > 10
        for seal in seed.seals:
            plain = seed.source.read_at(seal.offset, seal.length)
            # The sum itself lies at the end of a header, and at 24 or 60 elsewhere; a chunk's is of
            # what is behind its own header.
            at = 30 if in_chunks and seal.length > 52 else 10
            spoiled = damage.flip(plain, at)
            assert seal.sealed(plain) == plain
            assert seal.sealed(spoiled) not in (plain, spoiled)
            patched = Overlay(seed.source, {seal.offset: spoiled})
            touched = [(seal.offset + at, seal.offset + at + 1)]
            again = recipe.resealed(patched, [seal], touched)
            assert again.read_at(seal.offset, seal.length) == seal.sealed(spoiled)


def test_untouched_sums_stay_as_they_are():
    seed = seeds("vhd")[2]
    broken = damage.flip(whole(seed.source), seed.source.size - 300)
    kept, mended = (
        whole(recipe.resealed(BytesSource(broken), seed.seals, [touched]))
        for touched in ((0, 4), (seed.source.size - 300, seed.source.size))
    )
    assert kept == broken != mended


def toy(raised: Exception | None = None, row: Evidence | None = None):
    """Return the VHD format, with a bug where the file holds `MAGIC`."""

    def inspect(source, _neighbours):
        if MAGIC in source.read_at(0, source.size):
            if raised:
                raise raised
            return (Inspection(evidence=(row,)),)
        return (Inspection(),)

    return replace(
        subject_named("vhd"), inspect=inspect, extents=lambda *_: iter(()), probe=lambda _: True
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"raised": KeyError("missing")},
        {"raised": MemoryError()},
        {"row": Evidence("vhd.unheard.of", Outcome.MISMATCHED, 0, 1)},
        {"row": Evidence("vhd.footer.checksum", Outcome.MISMATCHED, 1 << 40, 1)},
        {"row": Evidence("vhd.footer.checksum", Outcome.MATCHED, vouched_bytes=1 << 40)},
    ],
)
def test_broken_promise_is_a_finding(wrong):
    broken = toy(**wrong)
    put_to_trial(broken, BytesSource(b"harmless"))
    with pytest.raises((KeyError, MemoryError, AssertionError)):
        put_to_trial(broken, BytesSource(MAGIC))


def test_format_error_is_no_finding():
    put_to_trial(toy(raised=FormatError("vhd.footer.present")), BytesSource(MAGIC))


def test_finding_is_kept_once_and_can_be_replayed(tmp_path):
    crashes, recipes = tmp_path / "vhd" / "crashes", tmp_path / "vhd" / "recipes"
    broken = target.Target(toy(raised=KeyError("x")), seeds("vhd"), crashes, recipes)
    content = bytes([recipe.RAW, 0]) + b"before" + MAGIC
    broken.one_input(content)
    broken.seen.clear()
    broken.one_input(content + b"more")
    (path,) = tmp_path.rglob("*.bin.xz")
    assert whole(unpack(path)) == b"before" + MAGIC
    assert content.hex() in path.with_name(path.name.replace(".bin.xz", ".txt")).read_text("utf-8")
    assert replay.format_of(path) == "vhd"
    assert replay.main(path, None, None) == 0


def test_shrinking_leaves_only_what_matters():
    broken = toy(raised=KeyError("x"))
    content = b"secret" * 100 + MAGIC + b"tail" * 100
    error = replay.outcome(broken, content)
    less = replay.shrink(content, replay.same(broken, findings.signature(error)))
    assert less == bytes(600) + MAGIC


def test_time_runs_out():
    with pytest.raises(Overdue), alarm():
        signal.raise_signal(signal.SIGPROF)


def test_all_supported_formats_are_fuzzed():
    assert {item.name for item in formats.FORMATS if item.supported} <= set(NAMES)
