"""Doubt: what is right the second time is trouble with the hardware, said at the right place and
never called damage; what is wrong twice is believed.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import xxhash

from formats.core.model import (
    Bearing,
    Evidence,
    Examined,
    Format,
    KernelResult,
    Outcome,
    Part,
    Payload,
    Source,
)
from scanner.config import DIGEST_BLOCK_BYTES, MIB
from scanner.engine import doubt
from scanner.ledger.rows import Baseline
from scanner.results import BaselineAction, FileState, Stamps
from tests import damage
from tests.faulty import Faults
from tests.scanner.engine import toys
from tests.scanner.engine.runs import START, Run, coordinates, lane_over

NAME = "file.toy"
HEAD = 4096
STRIDE = 1024
BLOCKS = 3000


def checked() -> tuple[Format, bytes]:
    """A file of three units, all of it blocks with sums behind its head."""
    body = toys.with_sums(np.random.default_rng(1).bytes(STRIDE * BLOCKS), STRIDE)
    content = toys.MAGIC.ljust(HEAD, b"h") + body
    kernel = toys.block_sums(STRIDE)
    return toys.toy(
        lambda _source: [toys.batch(kernel, [(HEAD, len(body))], check_id=toys.BLOCK)]
    ), content


def crossing() -> tuple[Format, bytes]:
    """As above, but the blocks lie across unit ends."""
    body = toys.with_sums(np.random.default_rng(1).bytes(STRIDE * BLOCKS), STRIDE)
    content = toys.MAGIC.ljust(HEAD + 100, b"h") + body
    kernel = toys.block_sums(STRIDE)
    return toys.toy(
        lambda _source: [toys.batch(kernel, [(HEAD + 100, len(body))], check_id=toys.BLOCK)]
    ), content


def judged_at_the_end() -> tuple[Format, bytes]:
    """A format whose kernel only writes down, and whose conclusion finds what is wrong."""
    content = toys.MAGIC.ljust(HEAD, b"h") + b"\7" * (3 * MIB)
    table = np.dtype([("offset", "<i8"), ("sum", "<i8")])

    def kernel(elements: np.ndarray, offset: int, _origin: int) -> KernelResult:
        sums = elements.reshape(-1, STRIDE).sum(axis=1, dtype=np.int64)
        rows = np.zeros(len(sums), table)
        rows["offset"] = offset + STRIDE * np.arange(len(sums))
        rows["sum"] = sums
        return KernelResult((), {"sums": rows})

    def conclude(parts: Sequence[Part]) -> tuple[Evidence, ...]:
        rows = parts[0].tally["sums"]
        wrong = rows[rows["sum"] != 7 * STRIDE]
        return tuple(
            Evidence("toy.page.sum", Outcome.MISMATCHED, int(row["offset"]), STRIDE)
            for row in wrong
        )

    check = Examined(kernel, STRIDE, {"sums": table})
    subject = toys.toy(lambda _source: [toys.batch(check, [(HEAD, 3 * MIB)], check_id="toy.p.s")])
    return replace(subject, conclude=conclude), content


def evidence(run: Run) -> list[tuple[str, str, int | None, int | None]]:
    result = run.only
    rows = [*result.evidence, *(row for image in result.images for row in image.evidence)]
    return coordinates(rows)


def unsteady(block: int, size: int) -> tuple[str, str, int, int]:
    start = block * MIB
    return ("storage.steady", "unsteady", start, min(MIB, size - start))


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize(
    "place", [HEAD, MIB - 1, MIB, 2 * MIB + 12_345, HEAD + STRIDE * BLOCKS - 1]
)
def test_wrong_once_is_unsteady_at_its_mebibyte_and_no_damage(place, workers):
    subject, content = checked()
    sound = lane_over({NAME: content}, [subject])
    faults = Faults(seed=place, misread={place: 0x10})
    run = lane_over({NAME: content}, [subject], {NAME: faults}, workers=workers)
    assert evidence(run) == [unsteady(place // MIB, len(content))], faults
    assert run.only.state is FileState.READ
    assert run.only.images == sound.only.images
    assert [unit.digests for unit in run.units()] == [unit.digests for unit in sound.units()]
    assert run.only.baseline.action is BaselineAction.NONE


@pytest.mark.parametrize("place", [HEAD, MIB, 2 * MIB + 12_345])
def test_wrong_twice_is_damage_and_nothing_else(place):
    subject, content = checked()
    wrong = damage.flip(content, place)
    run = lane_over({NAME: wrong}, [subject])
    start = HEAD + (place - HEAD) // STRIDE * STRIDE
    assert evidence(run) == [(toys.BLOCK, "mismatched", start, STRIDE)]


def test_wrong_once_beside_wrong_twice_leaves_the_damage():
    subject, content = checked()
    wrong = damage.flip(content, HEAD + 5 * STRIDE)
    run = lane_over({NAME: wrong}, [subject], {NAME: Faults(misread={HEAD + 9 * STRIDE: 1})})
    assert sorted(evidence(run)) == [
        unsteady(0, len(content)),
        (toys.BLOCK, "mismatched", HEAD + 5 * STRIDE, STRIDE),
    ]


def test_wrong_once_behind_a_units_end_is_unsteady_too():
    # The element belongs to the unit where it starts; no digest of that unit has the wrong byte.
    subject, content = crossing()
    element = HEAD + 100 + (MIB - HEAD - 100) // STRIDE * STRIDE
    assert element < MIB < element + STRIDE
    run = lane_over({NAME: content}, [subject], {NAME: Faults(misread={MIB + 1: 0x20})})
    assert evidence(run) == [
        ("storage.steady", "unsteady", MIB, element + STRIDE - MIB),
    ]


def test_wrong_once_in_what_only_the_conclusion_judges_is_unsteady():
    subject, content = judged_at_the_end()
    place = 2 * MIB + 777
    run = lane_over({NAME: content}, [subject], {NAME: Faults(misread={place: 4})})
    assert evidence(run) == [unsteady(2, len(content))]
    assert run.only.state is FileState.READ
    twice = lane_over({NAME: damage.flip(content, place)}, [subject])
    start = HEAD + (place - HEAD) // STRIDE * STRIDE
    assert evidence(twice) == [("toy.page.sum", "mismatched", start, STRIDE)]


def inspected(outcome: Outcome) -> Format:
    """Return a format whose inspection looks at one byte."""
    subject, _ = checked()

    def inspect(source: Source, neighbours: object) -> object:
        (image,) = subject.inspect(source, neighbours)
        if source.read_at(100, 1) == b"h":
            return (image,)
        row = Evidence("toy.head.fill", outcome, 100, 1, "68", "?")
        return (replace(image, evidence=(*image.evidence, row)),)

    return replace(subject, inspect=inspect)


@pytest.mark.parametrize("outcome", [Outcome.MISMATCHED, Outcome.TRUNCATED])
def test_a_structure_that_is_wrong_once_is_unsteady_where_it_was_wrong(outcome):
    # A pointer that was misread leads behind the end of the file: missing bytes, by its looks.
    subject = inspected(outcome)
    _, content = checked()
    run = lane_over({NAME: content}, [subject], {NAME: Faults(misread={100: 1})})
    assert evidence(run) == [("storage.steady", "unsteady", 100, 1)]
    assert run.only.baseline.action is BaselineAction.NONE
    twice = lane_over({NAME: damage.flip(content, 100)}, [subject])
    assert evidence(twice) == [("toy.head.fill", outcome.value, 100, 1)]


def unknown_to_checks() -> tuple[Format, bytes]:
    content = toys.MAGIC + np.random.default_rng(3).bytes(3 * MIB)
    return toys.toy(lambda _source: [toys.batch(Payload(), [(4, 3 * MIB)])]), content


def baseline_of(content: bytes, stamps: Stamps, key: str | None = "toy:one") -> Baseline:
    digests = b"".join(
        xxhash.xxh3_128_digest(content[start : start + DIGEST_BLOCK_BYTES])
        for start in range(0, len(content), DIGEST_BLOCK_BYTES)
    )
    return Baseline(key, len(content), START, digests, NAME, stamps)


def test_wrong_once_against_the_baseline_is_unsteady():
    subject, content = unknown_to_checks()
    baseline = baseline_of(content, Stamps(len(content), 1_000, 1_000, 7))
    place = MIB + 99
    run = lane_over(
        {NAME: content},
        [subject],
        {NAME: Faults(misread={place: 1})},
        baseline=lambda _key: baseline,
    )
    assert evidence(run) == [unsteady(1, len(content))]
    assert run.only.baseline.action is BaselineAction.KEEP
    twice = lane_over(
        {NAME: damage.flip(content, place)}, [subject], baseline=lambda _key: baseline
    )
    assert evidence(twice) == [("baseline.block.xxh3", "mismatched", MIB, MIB)]


def test_a_block_that_can_only_be_had_from_the_cache_is_unreadable():
    subject, content = checked()
    wrong = damage.flip(content, MIB + 5000)
    sector = (MIB + 4096, MIB + 8192)
    run = lane_over({NAME: wrong}, [subject], {NAME: Faults(only_cached=[sector])})
    assert sorted(evidence(run)) == [
        unsteady(1, len(content)),
        ("storage.unreadable", "unreadable", MIB + 4096, 4096),
    ]


@pytest.mark.parametrize("file", [checked, judged_at_the_end])
def test_a_file_that_is_written_to_meanwhile_is_changed_and_not_unsteady(file):
    subject, content = file()
    misread = {HEAD: 1}
    undisturbed = Faults(misread=misread)
    assert evidence(lane_over({NAME: content}, [subject], {NAME: undisturbed}))
    for reads in range(len(undisturbed.reads)):
        faults = Faults(misread=misread, after=reads, later_mtime_ns=5_000)
        run = lane_over({NAME: content}, [subject], {NAME: faults})
        if reads > 1:  # before, the first look at the stamps sees the new ones
            assert run.only.state is FileState.CHANGED, faults
            assert [row[0] for row in evidence(run)] == ["storage.changed"], faults


def test_only_so_many_blocks_are_read_again(monkeypatch):
    monkeypatch.setattr(doubt, "CONFIRM_BLOCKS_MAX", 2)
    subject, content = judged_at_the_end()
    wrong = bytearray(content)
    for block in range(3):
        wrong[HEAD + block * MIB] ^= 1
    faults = Faults()
    run = lane_over({NAME: bytes(wrong)}, [subject], {NAME: faults})
    assert len(evidence(run)) == 3
    again = [item for item in faults.reads if item[1] - item[0] == MIB]
    assert again == [(0, MIB), (MIB, 2 * MIB)]


def test_without_doubt_nothing_is_read_twice():
    subject, content = checked()
    faults = Faults()
    lane_over({NAME: content}, [subject], {NAME: faults})
    probed = 2 * 128 * 1024
    assert faults.bytes_read == len(content) + probed


def test_unsteady_evidence_is_redundant_and_says_so():
    row = doubt.unsteady_block(3, 10 * MIB)
    assert (row.offset, row.length) == (3 * MIB, MIB)
    assert row.bearing is Bearing.REDUNDANT
    assert row.bad
    last = doubt.unsteady_block(3, 3 * MIB + 5)
    assert (last.offset, last.length) == (3 * MIB, 5)


def test_a_lost_map_does_not_keep_unsteady_blocks_from_being_read_again():
    subject, content = unknown_to_checks()
    baseline = baseline_of(content, Stamps(len(content), 1_000, 1_000, 7))
    run = lane_over(
        {NAME: content},
        [toys.failing(subject, extents=toys.LOST)],
        {NAME: Faults(misread={MIB + 99: 1})},
        baseline=lambda _key: baseline,
    )
    assert run.only.traceback is None
    assert sorted(evidence(run)) == [
        unsteady(1, len(content)),
        ("toy.map.entry", "mismatched", 123, 8),
    ]
