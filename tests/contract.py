"""What every supported format promises, as functions that assert it of one format and one sample.

They are apart from the tests that run them over all formats, so that another test can hand them a
format that breaks its promises and see them fail.
"""

import json
import pickle  # noqa: TID251 - proves that data is plain, stores nothing
import re
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random

import numpy as np

from formats.core.errors import FormatError
from formats.core.model import (
    EXTENT_ROWS_MAX,
    Algorithm,
    Bearing,
    Declared,
    Evidence,
    Examined,
    ExtentBatch,
    Format,
    Inspection,
    Neighbours,
    Outcome,
    Part,
    Payload,
    Source,
)
from formats.core.source import NoNeighbours
from tests.drive import DIGESTS, Driven, as_evidence, drive, summary
from tests.sources import Counting, Failing, flipped

CHECK_GRAMMAR = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+){2,}")
# Raised by the core while it reads for a format, hence in no format's own table.
CORE_CHECKS = frozenset({"source.read", "source.budget"})

# Proxies for time: what an inspection may read of a file, whatever its fields say.
INSPECT_CALLS_MAX = 100_000
INSPECT_BYTES_MAX = 256 << 20
INSPECT_MEMORY_MAX = 48 << 20
# A map of a very large file is large, but does not grow with it for ever.
HUGE_BYTES = 1 << 40
HUGE_MEMORY_MAX = 192 << 20
INSPECTION_BYTES_MAX = 16 << 20
BATCHES_MAX = 10_000
RUNS_MAX = 8


@dataclass(frozen=True)
class Subject:
    """A format, and one file of it."""

    format: Format
    source: Source
    neighbours: Neighbours

    def drive(self, source: Source | None = None) -> Driven:
        """Drive the format over the file, or over a damaged copy.

        Payload is listed and not read: nothing is compared there, and most of a file is payload.
        """
        payload = []

        def extents(source: Source, inspections: Sequence[Inspection]) -> Iterator[ExtentBatch]:
            for batch in self.format.extents(source, inspections):
                if isinstance(batch.check, Payload):
                    payload.append(batch)
                else:
                    yield batch

        thrifty = replace(self.format, extents=extents)
        driven = drive(thrifty, source or self.source, self.neighbours)
        driven.batches.extend(payload)
        return driven


def check_clean(driven: Driven, allows: Callable[[str], bool]) -> None:
    """Promise 1: an undamaged file has an image and no bad evidence but what is expected."""
    assert driven.inspections
    wrong = [item for item in driven.bad if not allows(item.check)]
    assert not wrong, summary(wrong)


def check_evidence(subject: Format, evidence: Iterable[Evidence], size: int) -> None:
    """Promises 5 and 6: known ids, places inside the file, never a byte vouched for twice."""
    vouched = 0
    for item in evidence:
        assert item.check in subject.checks or item.check in CORE_CHECKS, item
        assert CHECK_GRAMMAR.fullmatch(item.check) or item.check in CORE_CHECKS, item
        assert item.count >= item.bad, item
        assert item.vouched_bytes >= 0, item
        assert not (item.bad and item.vouched_bytes), item
        for text in (item.expected, item.actual):
            assert text is None or (text.isprintable() and len(text) <= 200), item
        if not item.member:
            vouched += item.vouched_bytes
            check_place(item, size)
    assert vouched <= size, f"{vouched} bytes vouched for in a file of {size}"


def check_place(item: Evidence, size: int) -> None:
    """A row speaks of bytes of the file; what is good is all there, what is missing is not.

    A structure that is found bad may stand across the end of the file.
    """
    if item.offset is None:
        return
    length = item.length or 0
    missing = item.outcome is Outcome.TRUNCATED or item.check in CORE_CHECKS
    assert item.offset >= 0, item
    assert length >= 0, item
    assert missing or item.offset <= size, item
    assert item.bad or item.offset + length <= size, item


def check_inspections(driven: Driven, size: int) -> None:
    """Unknown is None; what is known makes sense for an undamaged file."""
    complete = not any(item.outcome is Outcome.TRUNCATED for item in driven.evidence)
    for item in driven.inspections:
        for number in (item.source_bytes, item.used_bytes, item.payload_bytes):
            assert number is None or number >= 0
        needed = item.needed_bytes
        assert needed is None or needed > 0
        assert needed is None or not complete or needed <= size


def check_plain(driven: Driven) -> None:
    """What goes to other workers and into the ledger is plain data, and little of it."""
    for item in driven.inspections:
        json.dumps(item.facts, allow_nan=False)
        assert len(pickle.dumps(item)) <= INSPECTION_BYTES_MAX


def check_repeatable(subject: Subject, driven: Driven) -> None:
    """Inspecting twice says the same twice."""
    again = subject.format.inspect(subject.source, subject.neighbours)
    told = [(item.facts, item.evidence, item.identities) for item in driven.inspections]
    assert [(item.facts, item.evidence, item.identities) for item in again] == told


def check_storage_error(subject: Subject, call: int) -> bool:
    """A read that the storage refuses is no damage: ``OSError`` passes, or a row says so.

    Returns whether there was such a read.
    """
    failing = Failing(subject.source, call)
    try:
        inspections = subject.format.inspect(failing, subject.neighbours)
        for _batch in subject.format.extents(failing, inspections):
            pass
    except OSError:
        assert failing.failed
        return True
    told = [item.outcome for one in inspections for item in one.evidence]
    assert not failing.failed or Outcome.UNREADABLE in told, f"read {call} failed silently"
    return failing.failed


def check_batches(subject: Format, driven: Driven, size: int) -> None:
    """Promise 2: rows sorted, disjoint, inside the file, no more than a batch holds."""
    for batch in driven.batches:
        assert batch.check_id in subject.checks, batch.check_id
        assert 0 <= batch.image_index < len(driven.inspections)
        assert 0 < len(batch.offset) <= EXTENT_ROWS_MAX
        assert batch.offset.shape == batch.stored_length.shape
        assert batch.offset.dtype == batch.stored_length.dtype == np.int64
        assert int(batch.offset[0]) >= 0
        assert (batch.stored_length > 0).all()
        ends = batch.offset + batch.stored_length
        assert (batch.offset[1:] >= ends[:-1]).all(), batch.check_id
        assert int(ends[-1]) <= size, batch.check_id
        check_columns(batch)


def check_columns(batch: ExtentBatch) -> None:
    """Each kind of check comes with the columns it needs."""
    rows = len(batch.offset)
    match batch.check:
        case Declared(algorithm=algorithm, codec=codec):
            assert codec is None or batch.plain_length is not None
            assert algorithm is not None or codec is not None
            if algorithm is not None and algorithm is not Algorithm.ZEROS:
                assert batch.digest is not None
                assert batch.digest.shape == (rows, len(DIGESTS[algorithm](b"")))
                assert batch.digest.dtype == np.uint8
        case Examined(stride=stride):
            assert stride > 0
        case Payload():
            assert batch.digest is None


def check_cut(subject: Subject, source: Source, *, spare: bool = False) -> None:
    """Promise 3: a file cut below what it needs says so, soon or at the end.

    Damage to a second copy is not enough: it would let the file pass as weakened. It is where only
    ``spare`` bytes are gone, which no restore misses.
    """
    try:
        inspections = subject.format.inspect(source, subject.neighbours)
    except FormatError:
        return
    rows = [item for one in inspections for item in one.evidence]
    if not says_so(rows, spare=spare):
        rows = subject.drive(source).evidence
    assert says_so(rows, spare=spare), f"silent when cut to {source.size}"


def says_so(evidence: Iterable[Evidence], *, spare: bool) -> bool:
    """Whether any bad row says that a restore would fail, or might."""
    return any(item.bad and (spare or item.bearing is not Bearing.REDUNDANT) for item in evidence)


def boundaries(driven: Driven) -> list[int]:
    """Return where structures and extents begin and end."""
    places = set()
    for item in driven.evidence:
        if item.offset is not None:
            places |= {item.offset, item.offset + (item.length or 0)}
    for batch in driven.batches:
        ends = batch.offset + batch.stored_length
        places |= {int(place) for place in (*batch.offset[:64], *ends[-64:])}
    return sorted(places)


def check_survives(subject: Subject, source: Source) -> None:
    """Promise 4: damaged bytes give evidence, not exceptions."""
    driven = subject.drive(source)
    assert driven.inspections or driven.bad, "neither an image nor a reason why not"
    check_evidence(subject.format, driven.evidence, source.size)
    check_batches(subject.format, driven, source.size)


def check_bounded(subject: Subject, sources: Iterable[Source]) -> None:
    """Promise 4: an inspection reads, allocates and lists a bounded amount.

    The folder is left out: unpacking a neighbour in memory is the test's own cost.
    """
    alone = replace(subject, neighbours=NoNeighbours())
    tracemalloc.start()
    try:
        for source in sources:
            counted = Counting(source, calls_max=INSPECT_CALLS_MAX, bytes_max=INSPECT_BYTES_MAX)
            tracemalloc.reset_peak()
            before, _peak = tracemalloc.get_traced_memory()
            inspect_and_list(alone, counted)
            _now, peak = tracemalloc.get_traced_memory()
            limit = HUGE_MEMORY_MAX if source.size >= HUGE_BYTES else INSPECT_MEMORY_MAX
            assert peak - before <= limit, f"{peak - before} bytes of memory for {source}"
    finally:
        tracemalloc.stop()


def inspect_and_list(subject: Subject, source: Source) -> None:
    """Inspect, and draw batches until they end or are enough; nothing is checked."""
    try:
        inspections = subject.format.inspect(source, subject.neighbours)
        for number, _batch in enumerate(subject.format.extents(source, inspections)):
            if number == BATCHES_MAX:
                break
    except FormatError as error:
        check_evidence(subject.format, [as_evidence(error)], source.size)


def vouching_rows(driven: Driven, size: int) -> list[Evidence]:
    """Return the rows that claim to notice any flipped bit of a range they name."""
    return [
        item
        for item in driven.evidence
        if item.outcome is Outcome.MATCHED
        and not item.member
        and item.offset is not None
        and item.length
        and item.vouched_bytes == item.length
        and item.offset + item.length <= size
    ]


def check_flip_is_noticed(subject: Subject, before: Driven, row: Evidence, random: Random) -> None:
    """Promise 5: a flip under a matched check changes that check, and for the worse."""
    assert row.offset is not None
    assert row.length is not None
    offset, bit = row.offset + random.randrange(row.length), random.randrange(8)
    after = subject.drive(flipped(subject.source, offset, bit))
    where = f"{row.check}: bit {bit} of byte {offset} flipped"
    assert rows_of(after.evidence, row.check) != rows_of(before.evidence, row.check), where
    assert Counter(after.bad) != Counter(before.bad), where


def rows_of(evidence: Iterable[Evidence], check: str) -> Counter[Evidence]:
    """Return the rows under one id, in no order."""
    return Counter(item for item in evidence if item.check == check)


def noticed(subject: Subject, before: Driven, random: Random) -> bool:
    """Flip one bit anywhere and return whether any evidence turned bad."""
    offset = random.randrange(subject.source.size)
    after = subject.drive(flipped(subject.source, offset, random.randrange(8)))
    return Counter(after.bad) != Counter(before.bad)


def check_grouping(subject: Subject, source: Source, whole: Driven, random: Random) -> None:
    """Promise 8: kernels and conclusion say the same, however elements come to them."""
    parts: list[dict[str, list[np.ndarray]]] = [{} for _ in whole.inspections]
    found: list[Evidence] = []
    runs = [run for batch in whole.batches for run in split_batch(batch, random)]
    random.shuffle(runs)
    for batch, kernel, offset, length, origin in runs:
        elements = np.frombuffer(source.read_at(offset, length), np.uint8)
        result = kernel(elements, offset, origin)
        found.extend(result.evidence)
        for name, table in result.tally.items():
            parts[batch.image_index].setdefault(name, []).append(table)
    for index, tables in enumerate(parts):
        merged = {name: np.concatenate(columns) for name, columns in tables.items()}
        found.extend(subject.format.conclude((Part(whole.inspections[index], merged),)))
    assert digest_of(found) == digest_of(examined_evidence(subject, source, whole))


def split_batch(batch: ExtentBatch, random: Random) -> list[tuple]:
    """Cut every extent of a batch into runs of whole elements."""
    if not isinstance(batch.check, Examined):
        return []
    runs = []
    for row in range(len(batch.offset)):
        origin, length = int(batch.offset[row]), int(batch.stored_length[row])
        count = -(-length // batch.check.stride)
        wanted = min(count - 1, random.randrange(RUNS_MAX))
        marks = sorted(random.sample(range(1, count), wanted)) if wanted else []
        edges = [0, *(mark * batch.check.stride for mark in marks), length]
        runs += [
            (batch, batch.check.kernel, origin + start, end - start, origin)
            for start, end in pairwise(edges)
        ]
    return runs


def examined_evidence(subject: Subject, source: Source, whole: Driven) -> list[Evidence]:
    """Return what kernels and conclusion say when each extent comes in one piece."""
    found: list[Evidence] = []
    for batch in whole.batches:
        if isinstance(batch.check, Examined):
            for offset, length in zip(batch.offset, batch.stored_length, strict=True):
                elements = np.frombuffer(source.read_at(int(offset), int(length)), np.uint8)
                found.extend(batch.check.kernel(elements, int(offset), int(offset)).evidence)
    for index in range(len(whole.inspections)):
        found.extend(subject.format.conclude((whole.parts(index),)))
    return found


def digest_of(evidence: Iterable[Evidence]) -> tuple[Counter[Evidence], dict[str, tuple[int, int]]]:
    """Return bad rows one by one and good rows summed: a kernel may count by run."""
    bad = Counter(item for item in evidence if item.bad)
    good: dict[str, tuple[int, int]] = {}
    for item in evidence:
        if not item.bad:
            count, vouched = good.get(item.check, (0, 0))
            good[item.check] = (count + item.count, vouched + item.vouched_bytes)
    return bad, good
