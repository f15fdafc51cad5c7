"""The contract suite must be able to fail: a toy format keeps every promise, then breaks each.

The toy: ``TOY1``, the number of elements, CRC-32 of those 8 bytes, then elements of 64 bytes whose
last 4 are the CRC-32 of the rest.
"""

import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest

from formats.core.errors import FormatError, Truncated
from formats.core.model import (
    Bearing,
    Evidence,
    Examined,
    ExtentBatch,
    Format,
    Inspection,
    KernelResult,
    Outcome,
    WriteModel,
    no_extents,
)
from formats.core.source import BytesSource, NoNeighbours, Window
from tests import contract, strategies
from tests.contract import Subject
from tests.sources import BudgetSpent, Overlay, flipped
from tests.strategies import seeded

HEADER_BYTES = 12
ELEMENT_BYTES = 64
COUNT = 100
COUNTS = np.dtype([("matched", np.int64), ("vouched", np.int64)])
CHECKS = {
    "toy.header.crc": "The header is as it was written.",
    "toy.element.crc": "The element is as it was written.",
    "toy.file.needed": "The file holds all its elements.",
}


def written(count: int = COUNT) -> bytes:
    header = struct.pack("<4sI", b"TOY1", count)
    elements = [bytes([index % 251]) * 60 for index in range(count)]
    sealed = [part + zlib.crc32(part).to_bytes(4, "little") for part in (header, *elements)]
    return b"".join(sealed)


def inspect(source, _neighbours):
    head = source.read_at(0, HEADER_BYTES)
    magic, count, declared = struct.unpack("<4sII", head)
    if magic != b"TOY1" or zlib.crc32(head[:8]) != declared:
        raise FormatError("toy.header.crc", offset=0, length=HEADER_BYTES)
    needed = HEADER_BYTES + count * ELEMENT_BYTES
    if source.size < needed:
        raise Truncated(source.size, needed - source.size, source.size, check="toy.file.needed")
    good = Evidence("toy.header.crc", Outcome.MATCHED, 0, HEADER_BYTES, vouched_bytes=HEADER_BYTES)
    return (Inspection(needed_bytes=needed, evidence=(good,), state=count),)


def kernel(elements, offset, _origin):
    rows = elements.reshape(-1, ELEMENT_BYTES)
    found = []
    for index, row in enumerate(rows):
        if zlib.crc32(row[:60].tobytes()) != int.from_bytes(row[60:].tobytes(), "little"):
            place = offset + index * ELEMENT_BYTES
            found.append(Evidence("toy.element.crc", Outcome.MISMATCHED, place, ELEMENT_BYTES))
    matched = len(rows) - len(found)
    table = np.array([(matched, matched * ELEMENT_BYTES)], COUNTS)
    return KernelResult(tuple(found), {"counts": table})


def extents(_source, inspections, check=None):
    count = inspections[0].state
    check = check or Examined(kernel, ELEMENT_BYTES, {"counts": COUNTS})
    column = np.array([HEADER_BYTES], np.int64)
    length = np.array([count * ELEMENT_BYTES], np.int64)
    yield ExtentBatch(check, "toy.element.crc", 0, column, length)


def conclude(parts):
    counts = parts[0].tally["counts"]
    total, vouched = int(counts["matched"].sum()), int(counts["vouched"].sum())
    return (Evidence("toy.element.crc", Outcome.MATCHED, count=total, vouched_bytes=vouched),)


TOY = Format(
    name="toy",
    title="toy",
    suffixes=(".toy",),
    references=("this file",),
    revision=1,
    write_model=WriteModel.WRITE_ONCE,
    integrity="CRC-32 of everything",
    limitations="none",
    samples="none",
    checks=CHECKS,
    probe=lambda source: source.size >= HEADER_BYTES and source.read_at(0, 4) == b"TOY1",
    inspect=inspect,
    extents=extents,
    conclude=conclude,
)
FILE = BytesSource(written())
KEPT = Subject(TOY, FILE, NoNeighbours())


def broken(**changes) -> Subject:
    return Subject(replace(TOY, **changes), FILE, NoNeighbours())


def nothing_allowed(_check: str) -> bool:
    return False


def breaks(message=None):
    return pytest.raises(AssertionError, match=message)


def with_evidence(*rows: Evidence) -> Subject:
    def inspect_more(source, neighbours):
        (one,) = inspect(source, neighbours)
        return (replace(one, evidence=(*one.evidence, *rows)),)

    return broken(inspect=inspect_more)


def with_columns(offsets, lengths, **changes) -> Subject:
    def other_extents(source, inspections):
        for batch in extents(source, inspections):
            columns = np.array(offsets, np.int64), np.array(lengths, np.int64)
            yield replace(batch, offset=columns[0], stored_length=columns[1], **changes)

    return broken(extents=other_extents)


def with_kernel(other) -> Subject:
    check = Examined(other, ELEMENT_BYTES, {"counts": COUNTS})
    return broken(extents=lambda source, inspections: extents(source, inspections, check))


def test_toy_keeps_every_promise():
    driven = KEPT.drive()
    contract.check_clean(driven, nothing_allowed)
    contract.check_evidence(TOY, driven.evidence, FILE.size)
    contract.check_inspections(driven, FILE.size)
    contract.check_batches(TOY, driven, FILE.size)
    contract.check_plain(driven)
    contract.check_repeatable(KEPT, driven)
    assert contract.check_storage_error(KEPT, 1)
    assert not contract.check_storage_error(KEPT, 2)
    for size in (0, 1, HEADER_BYTES, FILE.size - 1):
        contract.check_cut(KEPT, Window(FILE, 0, size))
    contract.check_survives(KEPT, flipped(FILE, 5, 7))
    contract.check_bounded(KEPT, [Overlay(FILE, {4: b"\xff" * 4})])
    contract.check_grouping(KEPT, FILE, driven, seeded(1))
    damaged = flipped(FILE, 700, 0)
    contract.check_grouping(KEPT, damaged, KEPT.drive(damaged), seeded(1))
    (row,) = contract.vouching_rows(driven, FILE.size)
    contract.check_flip_is_noticed(KEPT, driven, row, seeded(1))
    assert contract.noticed(KEPT, driven, seeded(1))


def test_bad_evidence_of_a_clean_sample_fails_unless_allowed():
    driven = KEPT.drive(flipped(FILE, 700, 0))
    with breaks("toy.element.crc"):
        contract.check_clean(driven, nothing_allowed)
    contract.check_clean(driven, lambda check: check == "toy.element.crc")


@pytest.mark.parametrize(
    "row",
    [
        Evidence("toy.other.crc", Outcome.MATCHED),
        Evidence("toy.element.crc", Outcome.MATCHED, -1, 1),
        Evidence("toy.element.crc", Outcome.MATCHED, 0, FILE.size + 1),
        Evidence("toy.element.crc", Outcome.MISMATCHED, FILE.size + 1, 1),
        Evidence("toy.element.crc", Outcome.MATCHED, 0, 1, vouched_bytes=1),
        Evidence("toy.element.crc", Outcome.MISMATCHED, 0, 1, vouched_bytes=1),
        Evidence("toy.element.crc", Outcome.MATCHED, 0, 1, vouched_bytes=-1),
        Evidence("toy.element.crc", Outcome.MISMATCHED, count=0),
        Evidence("toy.element.crc", Outcome.MATCHED, count=-1),
        Evidence("toy.element.crc", Outcome.MISMATCHED, actual="\x00secret"),
    ],
    ids=str,
)
def test_malformed_evidence_fails(row):
    with breaks():
        contract.check_evidence(TOY, with_evidence(row).drive().evidence, FILE.size)


def test_missing_bytes_may_lie_behind_the_end():
    contract.check_place(Evidence("toy.file.needed", Outcome.TRUNCATED, FILE.size, 9), FILE.size)


@pytest.mark.parametrize(
    ("offsets", "lengths"),
    [
        ([12, 76], [65, 64]),
        ([76, 12], [64, 64]),
        ([12], [FILE.size]),
        ([-1], [64]),
        ([12], [0]),
        ([], []),
        ([12, 76], [64]),
        (range(70_000), [1] * 70_000),
    ],
    ids=["overlap", "unsorted", "outside", "negative", "empty", "no_rows", "uneven", "many"],
)
def test_extents_that_break_their_promises_fail(offsets, lengths):
    subject = with_columns(offsets, lengths)
    driven = KEPT.drive()
    driven.batches = list(subject.format.extents(FILE, driven.inspections))
    with breaks():
        contract.check_batches(TOY, driven, FILE.size)


def test_truncation_that_is_not_noticed_fails():
    def careless(source, _neighbours):
        if source.size < HEADER_BYTES:
            raise FormatError("toy.header.crc")
        return (Inspection(needed_bytes=HEADER_BYTES, state=(source.size - HEADER_BYTES) // 64),)

    subject = broken(inspect=careless)
    with breaks("silent"):
        contract.check_cut(subject, Window(FILE, 0, 600))


def test_truncation_called_redundant_fails():
    def careless(source, neighbours):
        try:
            return inspect(source, neighbours)
        except Truncated:
            row = Evidence("toy.file.needed", Outcome.TRUNCATED, bearing=Bearing.REDUNDANT)
            return (Inspection(evidence=(row,), state=(source.size - HEADER_BYTES) // 64),)

    with breaks("silent"):
        contract.check_cut(broken(inspect=careless), Window(FILE, 0, 600))
    contract.check_cut(broken(inspect=careless), Window(FILE, 0, 600), spare=True)


def test_any_other_exception_fails():
    def fragile(source, neighbours):
        if source.read_at(4, 4) == b"\xff" * 4:
            raise KeyError
        return inspect(source, neighbours)

    with pytest.raises(KeyError):
        contract.check_survives(broken(inspect=fragile), Overlay(FILE, {4: b"\xff" * 4}))


def test_storage_error_taken_for_damage_fails():
    def confused(source, neighbours):
        try:
            return inspect(source, neighbours)
        except OSError as error:
            raise FormatError("toy.header.crc") from error

    with pytest.raises(FormatError):
        contract.check_storage_error(broken(inspect=confused), 1)


def test_storage_error_that_is_swallowed_fails():
    def careless(source, neighbours):
        try:
            return inspect(source, neighbours)
        except OSError:
            return (Inspection(state=COUNT),)

    with breaks("silently"):
        contract.check_storage_error(broken(inspect=careless), 1)


def test_facts_that_are_no_plain_data_fail():
    subject = broken(inspect=lambda *_any: (Inspection(facts={"id": b"raw"}, state=COUNT),))
    with pytest.raises(TypeError):
        contract.check_plain(subject.drive())


def test_inspection_that_changes_its_mind_fails():
    numbers = iter(range(9))
    subject = broken(inspect=lambda *_any: (Inspection(facts={"n": next(numbers)}, state=COUNT),))
    with breaks():
        contract.check_repeatable(subject, subject.drive())


def test_no_image_and_no_reason_fails():
    with breaks("neither"):
        contract.check_survives(broken(inspect=lambda *_any: (), extents=no_extents), FILE)


def test_trust_in_a_count_fails():
    def trusting(source, _neighbours):
        count = int.from_bytes(source.read_at(4, 4), "little")
        return (Inspection(state=len(bytearray(count // 16))),)

    subject = broken(inspect=trusting)
    contract.check_bounded(subject, [FILE])
    with breaks("memory"):
        contract.check_bounded(subject, [Overlay(FILE, {4: b"\xff" * 4})])


def test_reading_without_end_fails():
    def endless(source, _neighbours):
        while True:
            source.read_at(0, HEADER_BYTES)

    with pytest.raises(BudgetSpent):
        contract.check_bounded(broken(inspect=endless), [FILE])


def test_vouching_without_looking_fails():
    row = Evidence("toy.element.crc", Outcome.MATCHED, 8, 4, vouched_bytes=4)

    def blind(_source, _neighbours):
        return (Inspection(evidence=(row,), state=COUNT),)

    subject = broken(inspect=blind)
    with breaks("flipped"):
        contract.check_flip_is_noticed(subject, subject.drive(), row, seeded(1))


def test_kernel_that_depends_on_its_run_fails():
    def by_run(elements, offset, origin):
        result = kernel(elements, offset, origin)
        late = Evidence("toy.element.crc", Outcome.MISMATCHED, offset, 1)
        return replace(result, evidence=(late,) if offset > origin else result.evidence)

    subject = with_kernel(by_run)
    with breaks():
        contract.check_grouping(subject, FILE, subject.drive(), seeded(1))


def test_conclusion_that_depends_on_order_fails():
    def by_order(parts):
        first = int(parts[0].tally["counts"]["matched"][0])
        return (Evidence("toy.element.crc", Outcome.MATCHED, count=first),)

    subject = broken(conclude=by_order)
    with breaks():
        contract.check_grouping(subject, FILE, subject.drive(), seeded(1))


def test_sweep_makes_every_hot_field_extreme():
    swept = list(strategies.swept(FILE, [4, 8], 1 << 40))
    numbers = {(source.size, source.read_at(4, 4)) for source in swept}
    assert len(swept) == 2 * len(strategies.SWEPT_NUMBERS)
    assert numbers >= {(1 << 40, number) for number in strategies.SWEPT_NUMBERS}


def test_hot_places_cover_the_header_and_both_edges():
    places = strategies.hot_places(KEPT.drive(), FILE.size)
    assert {0, 4, 8} <= set(places)
    assert max(places) >= FILE.size - 8
    assert all(0 <= place < FILE.size for place in places)
