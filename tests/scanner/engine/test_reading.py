"""One unit after another against the slow and obvious way: the same evidence, tallies and digests,
however the file is cut into units and windows, and whatever the storage refuses.
"""

import errno
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.core.model import (
    Algorithm,
    Bearing,
    Codec,
    Declared,
    Evidence,
    Examined,
    ExtentBatch,
    Format,
    Outcome,
    Part,
    Payload,
)
from formats.core.source import BytesSource
from scanner.config import DIGEST_BLOCK_BYTES, MIB
from scanner.engine.finish import joined
from scanner.engine.merging import merged
from scanner.engine.plan import Unit, plan_span
from scanner.engine.reading import (
    UNREAD_DIGEST,
    Buffer,
    Shrunk,
    Stopped,
    read_unit,
    unpack_digests,
    zero_digest,
)
from scanner.engine.storage import Storage
from scanner.results import PayloadSeen, UnitResult
from tests import damage
from tests.contract import digest_of
from tests.drive import Driven, drive, run_batch
from tests.faulty import Faults, FaultyStorage, MemoryStorage
from tests.scanner.engine import toys
from tests.scanner.engine.test_plan import elements_of

NOW = datetime(2026, 5, 4, tzinfo=UTC)
SUMMED = [
    Algorithm.CRC32,
    Algorithm.CRC32C,
    Algorithm.MD5,
    Algorithm.SHA1,
    Algorithm.SHA256,
]
PACE = 4096
OTHER_BYTES = re.compile("[0-9]+ other bytes")


def read_units(
    storage: Storage, units: Sequence[Unit], window_bytes: int = MIB, stop: Event | None = None
) -> list[UnitResult]:
    buffer = Buffer.of(window_bytes)
    return [read_unit(storage, unit, buffer, NOW, stop or Event()) for unit in units]


def units_of(subject: Format, content: bytes, unit_bytes: int) -> list[Unit]:
    source = BytesSource(content)
    batches = subject.extents(source, ())
    return list(plan_span(0, len(content), batches, unit_bytes))


def all_evidence(subject: Format, results: Sequence[UnitResult]) -> list[Evidence]:
    """Return what `finish` would: unit evidence merged, and the conclusion from all tallies."""
    (inspection,) = subject.inspect(BytesSource(b""), None)
    tally = joined([unit.tallies[0] for unit in results if 0 in unit.tallies])
    rows = merged(row for unit in results for row in unit.evidence.get(0, ()))
    return [*inspection.evidence, *rows, *subject.conclude((Part(inspection, tally),))]


# Files of every kind of check


@dataclass
class Builder:
    """A file under construction, with what is to be checked in it."""

    content: bytearray = field(default_factory=lambda: bytearray(toys.MAGIC))
    batches: list[ExtentBatch] = field(default_factory=list)

    def add(self, stored: bytes) -> int:
        at = len(self.content)
        self.content += stored
        return at


SIZES = st.integers(1, 3000)


@st.composite
def files(draw: st.DrawFn) -> tuple[Format, bytes]:
    """A file with some of everything, of which some bytes are wrong."""
    made = Builder()
    seeds = st.integers(0, 1 << 30)
    for _ in range(draw(st.integers(1, 6))):
        made.add(b"?" * draw(st.integers(0, 40)))
        kind = draw(st.sampled_from([add_blocks, add_claims, add_packed, add_zeros, add_payload]))
        kind(draw, made, np.random.default_rng(draw(seeds)))
    content = bytearray(made.content)
    for _ in range(draw(st.integers(0, 3))):
        content[draw(st.integers(4, len(content) - 1))] ^= 1 << draw(st.integers(0, 7))
    return toys.toy(lambda _source: made.batches), bytes(content)


def add_blocks(draw: st.DrawFn, made: Builder, numbers: np.random.Generator) -> None:
    stride = draw(st.sampled_from([1, 2, 3, 7, 64, 100, 513, 1000]))
    check = toys.block_sums(stride)
    rows = []
    for _ in range(draw(st.integers(1, 3))):
        body = numbers.bytes(stride * draw(st.integers(0, 3000 // stride))) + b"tail"[: stride - 1]
        body = body or bytes(stride)
        rows.append((made.add(toys.with_sums(body, stride)), len(body)))
        made.add(b"?" * draw(st.integers(0, 3)))
    made.batches.append(toys.batch(check, rows, check_id=toys.BLOCK))


def add_claims(draw: st.DrawFn, made: Builder, numbers: np.random.Generator) -> None:
    algorithm = draw(st.sampled_from(SUMMED))
    plains = [numbers.bytes(draw(SIZES)) for _ in range(draw(st.integers(1, 3)))]
    rows = [(made.add(plain), len(plain)) for plain in plains]
    digests = [toys.digest_of(plain, algorithm) for plain in plains]
    bearing = draw(st.sampled_from(Bearing))
    batch = toys.batch(
        Declared(algorithm), rows, digests=digests, check_id=f"toy.{algorithm}", bearing=bearing
    )
    made.batches.append(batch)


def add_packed(draw: st.DrawFn, made: Builder, numbers: np.random.Generator) -> None:
    algorithm = draw(st.sampled_from([None, *SUMMED]))
    codec = draw(st.sampled_from(Codec))
    plain = numbers.bytes(draw(SIZES)) + b"run" * draw(st.integers(0, 2000))
    stored = toys.packed(plain, codec)
    slack = draw(st.booleans())
    stored += b"\0" * draw(st.sampled_from([0, 0, 300, 3000]))
    claimed = len(plain) + draw(st.sampled_from([0, 0, 0, 1, -1]))
    digest = toys.digest_of(plain, algorithm)
    batch = toys.batch(
        Declared(algorithm, codec, slack),
        [(made.add(stored), len(stored))],
        plain=[claimed],
        digests=None if digest is None else [digest],
        check_id=f"toy.{codec}.{algorithm}",
    )
    made.batches.append(batch)


def add_zeros(draw: st.DrawFn, made: Builder, _numbers: np.random.Generator) -> None:
    rows = []
    for _ in range(draw(st.integers(1, 3))):
        length = draw(SIZES)
        rows.append((made.add(bytes(length)), length))
        made.add(b"?")
    made.batches.append(toys.batch(Declared(Algorithm.ZEROS), rows, check_id=toys.PADDING))


def add_payload(draw: st.DrawFn, made: Builder, numbers: np.random.Generator) -> None:
    length = draw(SIZES)
    content = numbers.bytes(length) if draw(st.booleans()) else bytes(length)
    made.batches.append(toys.batch(Payload(), [(made.add(content), length)]))


@settings(max_examples=60)
@given(file=files(), unit_bytes=st.integers(50, 20_000), window_bytes=st.integers(7, 20_000))
def test_units_and_windows_change_nothing(file, unit_bytes, window_bytes):
    subject, content = file
    driven = drive(subject, BytesSource(content))
    units = units_of(subject, content, unit_bytes)
    results = read_units(MemoryStorage(content), units, window_bytes)
    assert comparable(all_evidence(subject, results)) == comparable(driven.evidence)
    payload = sum((unit.payload.get(0, PayloadSeen()) for unit in results), PayloadSeen())
    listed = [batch for batch in driven.batches if isinstance(batch.check, Payload)]
    assert payload.bytes == sum(int(batch.stored_length.sum()) for batch in listed)
    assert payload.nonzero == driven.payload_nonzero


@settings(max_examples=60)
@given(
    file=files(),
    unit_bytes=st.integers(1, 10).map(lambda count: count * PACE),
    window_bytes=st.integers(7, 20_000),
    bad=st.lists(st.integers(0, 12), max_size=4),
    seed=st.integers(0, 1 << 30),
)
def test_refused_sectors_cost_exactly_the_elements_that_touch_them(
    file, unit_bytes, window_bytes, bad, seed
):
    subject, content = file
    gaps = sorted({(at * PACE, (at + 1) * PACE) for at in bad if at * PACE < len(content)})
    storage = FaultyStorage(MemoryStorage(content), Faults(seed, refused=gaps))
    results = read_units(storage, units_of(subject, content, unit_bytes), window_bytes)
    found = {place for unit in results for at, n in unit.unreadable for place in range(at, at + n)}
    wanted = {place for start, end in gaps for place in range(start, min(end, len(content)))}
    assert found == wanted, storage
    expected = spared_evidence(subject, content, gaps)
    assert comparable(all_evidence(subject, results)) == comparable(expected), storage


def comparable(evidence: Sequence[Evidence]) -> object:
    """Return evidence so that only what it says counts.

    An extent of zeros may be cut at unit ends, and then has a row of wrong bytes for each side.
    """
    zeros = [row for row in evidence if OTHER_BYTES.fullmatch(row.actual or "")]
    others = [row for row in evidence if row not in zeros]
    said = (
        sum(int(row.actual.split()[0]) for row in zeros),
        min((row.offset for row in zeros), default=None),
        max((row.offset + row.length for row in zeros), default=None),
    )
    return digest_of(others), said


def spared_evidence(
    subject: Format, content: bytes, gaps: Sequence[tuple[int, int]]
) -> list[Evidence]:
    """Drive the format element by element, leaving out what touches a gap."""

    def spared(start: int, length: int) -> bool:
        return not any(low < start + length and high > start for low, high in gaps)

    source = BytesSource(content)
    driven = drive(toys.toy(), source, conclude=False)
    for batch in subject.extents(source, ()):
        for row, (at, length) in enumerate(
            zip(batch.offset.tolist(), batch.stored_length.tolist(), strict=True)
        ):
            match batch.check:
                case Examined(stride=stride):
                    for start, element in elements_of(at, length, stride):
                        if spared(start, element):
                            run_one(driven, batch, content[start : start + element], start, at)
                case Declared(algorithm=Algorithm.ZEROS):
                    driven.evidence.extend(zeros_outside(batch, content, at, length, gaps))
                case Declared() if spared(at, length):
                    run_batch(driven, source, only_row(batch, row))
    tally = {name: np.concatenate(tables) for name, tables in driven.tallies[0].items()}
    return [*driven.evidence, *subject.conclude((Part(driven.inspections[0], tally),))]


def run_one(driven: Driven, batch: ExtentBatch, element: bytes, start: int, origin: int) -> None:
    result = batch.check.kernel(np.frombuffer(element, np.uint8), start, origin)
    driven.evidence.extend(result.evidence)
    for name, table in result.tally.items():
        driven.tallies[0].setdefault(name, []).append(table)


def zeros_outside(
    batch: ExtentBatch, content: bytes, at: int, length: int, gaps: Sequence[tuple[int, int]]
) -> list[Evidence]:
    places = [
        place
        for place in range(at, at + length)
        if not any(low <= place < high for low, high in gaps)
    ]
    wrong = [place for place in places if content[place]]
    rows = []
    good = len(places) - len(wrong)
    if good:
        rows.append(
            Evidence(
                batch.check_id,
                Outcome.MATCHED,
                bearing=batch.bearing,
                count=good,
                vouched_bytes=good,
            )
        )
    if wrong:
        first, last = wrong[0], wrong[-1]
        rows.append(
            Evidence(
                batch.check_id,
                Outcome.MISMATCHED,
                first,
                last - first + 1,
                "zeros",
                f"{len(wrong)} other bytes",
                batch.bearing,
            )
        )
    return rows


def only_row(batch: ExtentBatch, row: int) -> ExtentBatch:
    """Return a batch of one row."""
    return toys.batch(
        batch.check,
        [(int(batch.offset[row]), int(batch.stored_length[row]))],
        check_id=batch.check_id,
        plain=None if batch.plain_length is None else [int(batch.plain_length[row])],
        digests=None if batch.digest is None else [batch.digest[row].tobytes()],
        bearing=batch.bearing,
    )


# Digests


@settings(max_examples=30)
@given(
    size=st.integers(1, 5 * MIB // 2),
    window_bytes=st.integers(20_000, 3 * MIB),
    unit_blocks=st.integers(1, 3),
)
def test_digests_are_those_of_a_plain_loop(size, window_bytes, unit_blocks):
    content = np.random.default_rng(size).bytes(size)
    units = units_of(toys.toy(), content, unit_blocks * MIB)
    results = read_units(MemoryStorage(content), units, window_bytes)
    found = b"".join(unpack_digests(unit.digests, unit.length) for unit in results)
    assert found == plain_digests(content)
    assert sum(unit.bytes_read for unit in results) == size


def plain_digests(content: bytes) -> bytes:
    return b"".join(
        xxhash.xxh3_128_digest(content[start : start + DIGEST_BLOCK_BYTES])
        for start in range(0, len(content), DIGEST_BLOCK_BYTES)
    )


@pytest.mark.parametrize("size", [1, 4096, MIB, MIB + 1, 3 * MIB, 3 * MIB + 77])
def test_zeros_and_holes_have_the_same_result_and_short_digests(size):
    subject = toys.toy(lambda _source: [toys.batch(Payload(), [(0, size)])])
    content = bytes(size)
    units = units_of(subject, content, 2 * MIB)
    written = read_units(MemoryStorage(content), units)
    holes = read_units(MemoryStorage(content, holes=[(0, size)]), units)
    for one, other in zip(written, holes, strict=True):
        assert one.digests == other.digests == b""
        assert one.payload == other.payload
        assert one.bytes_read == one.length
        assert other.bytes_read == 0
    spelled = b"".join(unpack_digests(unit.digests, unit.length) for unit in holes)
    assert spelled == plain_digests(content)


def test_a_hole_under_checks_is_zeros_to_them():
    stride = 512
    content = toys.MAGIC.ljust(4096, b"x") + bytes(3 * MIB)
    subject = toys.toy(
        lambda _source: [toys.batch(toys.block_sums(stride), [(4096, 3 * MIB)], check_id="toy.b.s")]
    )
    units = units_of(subject, content, MIB)
    written = read_units(MemoryStorage(content), units, 64 * 1024)
    holes = read_units(MemoryStorage(content, holes=[(8192, len(content))]), units, 64 * 1024)
    assert all_evidence(subject, written) == all_evidence(subject, holes)
    assert [unit.digests for unit in written] == [unit.digests for unit in holes]
    assert sum(unit.bytes_read for unit in holes) == 64 * 1024


def test_one_nonzero_byte_in_a_hole_free_sea_of_zeros_is_seen_exactly():
    content = bytearray(4 * MIB)
    content[3 * MIB - 1] = 1
    rows = [(0, MIB), (2 * MIB - 10, 20), (3 * MIB - 5, 4), (3 * MIB, 100)]
    subject = toys.toy(lambda _source: [toys.batch(Payload(), rows)])

    def weigh(content: bytes) -> PayloadSeen:
        results = read_units(MemoryStorage(content), units_of(subject, content, 2 * MIB), 70_000)
        return sum((unit.payload.get(0, PayloadSeen()) for unit in results), PayloadSeen())

    total = sum(length for _, length in rows)
    assert weigh(bytes(content)) == PayloadSeen(total, 0, nonzero=False)
    content[3 * MIB - 2] = 1
    assert weigh(bytes(content)) == PayloadSeen(total, 14, nonzero=True)
    # Of the unit's share only the block with the byte is not zeros: 10 + 4 bytes of payload.


def test_every_byte_goes_into_exactly_one_block_of_the_digests():
    content = np.random.default_rng(1).bytes(2 * MIB + 4096)
    units = units_of(toys.toy(), content, MIB)
    before = b"".join(unit.digests for unit in read_units(MemoryStorage(content), units))
    for place in (0, MIB - 1, MIB, 2 * MIB - 1, 2 * MIB, len(content) - 1):
        changed = damage.flip(content, place)
        after = b"".join(unit.digests for unit in read_units(MemoryStorage(changed), units))
        blocks = [
            at // 16
            for at in range(0, len(after), 16)
            if after[at : at + 16] != before[at : at + 16]
        ]
        assert blocks == [place // MIB]


def test_a_block_with_a_refused_sector_has_no_digest():
    content = np.random.default_rng(1).bytes(3 * MIB)
    storage = FaultyStorage(MemoryStorage(content), Faults(refused=[(MIB + 5000, MIB + 5001)]))
    (unit,) = read_units(storage, units_of(toys.toy(), content, 4 * MIB), 300_000)
    digests = [unit.digests[at : at + 16] for at in range(0, 48, 16)]
    plain = plain_digests(content)
    assert digests == [plain[:16], UNREAD_DIGEST, plain[32:]]
    assert unit.unreadable == ((MIB + 4096, 4096),)
    assert [(row.check, row.offset, row.length) for row in unit.storage] == [
        ("storage.unreadable", MIB + 4096, 4096)
    ]


def test_zero_digest_is_that_of_zeros():
    for length in (1, 4096, MIB - 1, MIB):
        assert zero_digest(length) == xxhash.xxh3_128_digest(bytes(length))


# Trouble


def test_a_refused_run_of_sectors_is_one_range_to_the_sector():
    content = bytes(8 * PACE)
    storage = FaultyStorage(MemoryStorage(content), Faults(refused=[(PACE - 1, 3 * PACE + 1)]))
    (unit,) = read_units(storage, units_of(toys.toy(), content, MIB))
    assert unit.unreadable == ((0, 4 * PACE),)


def test_a_refusal_that_passes_is_unsteady_and_no_gap():
    content = np.random.default_rng(2).bytes(64 * 1024)
    storage = FaultyStorage(MemoryStorage(content), Faults(refused_once=[(40_000, 40_001)]))
    (unit,) = read_units(storage, units_of(toys.toy(), content, MIB), 16 * 1024)
    assert unit.unreadable == ()
    (row,) = unit.storage
    assert (row.check, row.outcome) == ("storage.steady", Outcome.UNSTEADY)
    assert (row.offset, row.length) == (32 * 1024, 16 * 1024)
    assert row.bearing is Bearing.REDUNDANT
    assert unit.digests == plain_digests(content)


@pytest.mark.parametrize("number", [errno.ESTALE, errno.ETIMEDOUT, errno.EACCES])
def test_an_error_that_is_not_of_the_medium_is_no_gap(number):
    content = bytes(64 * 1024)
    storage = FaultyStorage(MemoryStorage(content), Faults(after=1, later_errno=number))
    with pytest.raises(OSError, match=r".*") as caught:
        read_units(storage, units_of(toys.toy(), content, MIB), PACE)
    assert caught.value.errno == number


@pytest.mark.parametrize("size", [0, 1, PACE, PACE + 1, 3 * PACE - 1])
def test_a_file_that_ends_early_is_shrunk(size):
    content = b"x" * (3 * PACE)
    storage = FaultyStorage(MemoryStorage(content), Faults(after=0, later_size=size))
    with pytest.raises(Shrunk):
        read_units(storage, units_of(toys.toy(), content, MIB), PACE)


def test_a_file_that_ends_early_in_its_bad_sectors_is_shrunk():
    content = b"x" * (4 * PACE)
    faults = Faults(after=2, later_size=3 * PACE, refused=[(PACE, PACE + 1)])
    with pytest.raises(Shrunk):
        read_units(
            FaultyStorage(MemoryStorage(content), faults), units_of(toys.toy(), content, MIB)
        )


def test_a_stop_is_obeyed_between_windows():
    content = bytes(10 * PACE)
    stop = Event()
    faults = Faults()
    storage = FaultyStorage(MemoryStorage(content), faults)
    reading = storage.read_into

    def read_and_stop(buffer: memoryview, offset: int) -> int:
        if offset == 3 * PACE:
            stop.set()
        return reading(buffer, offset)

    storage.read_into = read_and_stop
    with pytest.raises(Stopped):
        read_units(storage, units_of(toys.toy(), content, MIB), PACE, stop)
    assert [start for start, _ in faults.reads] == [0, PACE, 2 * PACE, 3 * PACE]


def test_bytes_behind_the_units_end_are_read_for_elements_that_cross_it_and_no_further():
    stride = 1000
    content = toys.with_sums(bytes(range(250)) * 40, stride)
    subject = toys.toy(
        lambda _source: [toys.batch(toys.block_sums(stride), [(0, len(content))], check_id="a.b.c")]
    )
    faults = Faults()
    first, *rest = units_of(subject, content, 4096)
    read_units(FaultyStorage(MemoryStorage(content), faults), [first])
    assert max(end for _, end in faults.reads) == 5000
    faults.reads.clear()
    result = read_units(FaultyStorage(MemoryStorage(content), faults), rest)
    assert sum(row.count for unit in result for row in unit.evidence[0]) == 5


def test_a_gap_behind_the_units_end_is_reported_by_the_unit_it_lies_in():
    stride = 8192
    content = toys.with_sums(bytes(4 * 8192), stride)
    subject = toys.toy(
        lambda _source: [toys.batch(toys.block_sums(stride), [(0, len(content))], check_id="a.b.c")]
    )
    gap = (4096, 8192)
    storage = FaultyStorage(MemoryStorage(content), Faults(refused=[gap]))
    first, second, *rest = read_units(storage, units_of(subject, content, 4096))
    assert first.unreadable == ()
    assert first.evidence == {}
    assert second.unreadable == ((4096, 4096),)
    assert sum(row.count for unit in rest for row in unit.evidence.get(0, ())) == 3


def test_a_kernels_bad_rows_are_kept_up_to_the_limit_then_counted():
    stride = 16
    content = b"\xff" * (16 * 1000)
    subject = toys.toy(
        lambda _source: [toys.batch(toys.block_sums(stride), [(0, len(content))], check_id="a.b.c")]
    )
    driven = drive(subject, BytesSource(content), conclude=False)
    assert len(driven.bad) == 1000
    (unit,) = read_units(MemoryStorage(content), units_of(subject, content, MIB))
    rows = unit.evidence[0]
    assert [row.offset for row in rows] == [*range(0, 16 * 200, 16), None]
    assert rows[-1].count == 800


def test_batches_of_one_kernel_that_overlap_are_both_examined():
    stride = 64
    content = np.random.default_rng(3).bytes(64 * 100)
    check = toys.block_sums(stride)
    batches = [
        toys.batch(check, [(0, 6400)], check_id=toys.BLOCK),
        toys.batch(check, [(640, 640), (3200, 640)], check_id=toys.BLOCK),
    ]
    subject = toys.toy(lambda _source: batches)
    driven = drive(subject, BytesSource(content))
    results = read_units(MemoryStorage(content), units_of(subject, content, 1024), 100)
    assert digest_of(all_evidence(subject, results)) == digest_of(driven.evidence)
    assert len(driven.bad) > 100
