"""qcow2: large, hostile and odd images. Pieces of any size say the same; limits are told."""

import struct
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.core.model import Outcome, Payload
from formats.core.source import BytesSource, NoNeighbours
from formats.qcow2 import FORMAT, bitmaps, crosscheck, extents, l1, tables
from formats.qcow2.header import CLUSTER_BITS_MAX, CLUSTER_BITS_MIN
from tests.builders.qcow2 import COMPRESSED, COPIED, FIELDS, Image, extension, patch
from tests.builders.qcow2_cases import CASES, bitmapped, sample, snapshotted
from tests.drive import drive, summary
from tests.samples import FIXTURES
from tests.sources import Counting, Extended, Overlay, unpack

WINDOW_CLUSTERS = 64
MIB = 1 << 20


def digest(content):
    """Return what is told of each cluster, however rows are joined, and all extents."""
    found = drive(FORMAT, BytesSource(content))
    told = Counter()
    for item in found.bad:
        told[item.check, item.outcome, item.bearing] += item.count
    payload, decoded = 0, set()
    for batch in found.batches:
        for offset, length in zip(batch.offset, batch.stored_length, strict=True):
            if isinstance(batch.check, Payload):
                payload += int(length)
            else:
                # What a snapshot shares with the disk may come up once for each of them.
                decoded.add(int(offset))
    return told, payload, decoded, [item.facts for item in found.inspections]


def small_fixtures():
    return sorted((FIXTURES / "qcow2").rglob("*.qcow2.xz"))


@pytest.fixture
def small_pieces(monkeypatch):
    """Make windows, chunks and batches so small that every image needs several."""

    def shrink():
        monkeypatch.setattr(crosscheck, "WINDOW_CLUSTERS", WINDOW_CLUSTERS)
        monkeypatch.setattr(crosscheck, "WINDOWS_MAX", 1 << 20)
        monkeypatch.setattr(crosscheck, "WINDOW_NUMBERS_MAX", 1 << 20)
        monkeypatch.setattr(extents, "WINDOW_CLUSTERS", WINDOW_CLUSTERS)
        monkeypatch.setattr(extents, "EXTENT_ROWS_MAX", 3)
        monkeypatch.setattr(tables, "CHUNK_BYTES_MAX", 512)

    return shrink


@pytest.mark.parametrize(
    "path", small_fixtures(), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_size_of_pieces_changes_nothing_of_a_sound_image(path, small_pieces):
    source = unpack(path)
    content = source.read_at(0, source.size)
    whole = digest(content)
    small_pieces()
    assert digest(content) == whole


def test_size_of_pieces_changes_nothing_of_a_damaged_image(small_pieces):
    damaged = [case.damage(case.make()) for case in CASES]
    whole = [digest(content) for content in damaged]
    small_pieces()
    for case, content, before in zip(CASES, damaged, whole, strict=True):
        assert digest(content) == before, case.name


def unsupported(content):
    found = drive(FORMAT, BytesSource(content)).evidence
    return {item.check for item in found if item.outcome is Outcome.UNSUPPORTED}


def test_map_beyond_the_limit_is_told(monkeypatch):
    content = sample()
    assert unsupported(content) == set()
    monkeypatch.setattr(l1, "L2_TABLES_MAX", 1)
    assert unsupported(content) == {"qcow2.map.limit"}
    # What was not walked is not called forgotten.
    told = {item.check for item in drive(FORMAT, BytesSource(content)).bad}
    assert told == {"qcow2.map.limit"}


def test_l1_tables_beyond_the_limit_are_told(monkeypatch):
    content = snapshotted()
    monkeypatch.setattr(l1, "L1_BYTES_TOTAL_MAX", 8)
    assert unsupported(content) == {"qcow2.map.limit"}


def test_clusters_beyond_the_limit_are_told(monkeypatch):
    image = Image(size=4096 * 512)
    for guest in range(200):
        image.data(guest, b"x")
    content = image.finish()
    assert unsupported(content) == set()
    monkeypatch.setattr(crosscheck, "WINDOW_CLUSTERS", WINDOW_CLUSTERS)
    monkeypatch.setattr(crosscheck, "WINDOWS_MAX", 2)
    assert unsupported(content) == {"qcow2.refcount.limit"}
    monkeypatch.setattr(crosscheck, "WINDOWS_MAX", 1 << 20)
    monkeypatch.setattr(crosscheck, "WINDOW_NUMBERS_MAX", 2)
    assert unsupported(content) == {"qcow2.refcount.limit"}


def test_bitmaps_beyond_the_limit_are_told(monkeypatch):
    content = bitmapped()
    monkeypatch.setattr(bitmaps, "TABLE_ENTRIES_MAX", 0)
    assert unsupported(content) == {"qcow2.bitmaps.limit"}


def test_extensions_beyond_the_limit_are_told():
    many = Image(cluster_bits=12, extensions=extension(7, b"") * 256)
    assert unsupported(many.finish()) == {"qcow2.extension.length"}
    fewer = Image(cluster_bits=12, extensions=extension(7, b"") * 255)
    assert unsupported(fewer.finish()) == set()


def test_saturated_counts_are_still_compared():
    # 32-bit refcounts reach further than what is kept of them.
    image = Image(refcount_order=5)
    offset = image.data(0, b"x")
    image.uses[offset // 512] = 3_000_000
    found = drive(FORMAT, BytesSource(image.finish())).bad
    leaked = [item for item in found if item.check == "qcow2.cluster.leaked"]
    assert [(item.offset, item.actual) for item in leaked] == [(offset, "refcount 65534")]


def test_sparse_image_of_a_tebibyte_costs_next_to_nothing():
    image = Image(cluster_bits=16, size=1 << 40)
    for guest in (0, 5 << 20, (1 << 24) - 1):
        image.data(guest, b"x")
    counted = Counting(BytesSource(image.finish()), calls_max=60, bytes_max=2 * MIB)
    inspections = FORMAT.inspect(counted, NoNeighbours())
    assert not [item for item in inspections[0].evidence if item.bad]
    assert inspections[0].payload_bytes == 3 << 16
    assert [len(batch.offset) for batch in FORMAT.extents(counted, inspections)] == [1]


def full_disk(clusters):
    """An image of clusters of 64 KiB that are all stored, in order, behind all tables."""
    cluster, per_table, per_block = 1 << 16, 8192, 32768
    l2_count, l1_bytes = clusters // per_table, clusters // per_table * 8
    block_count = -(-(clusters + clusters // per_table + 70) // per_block)
    first_l2, first_data = 3 + block_count, 3 + block_count + l2_count
    total = first_data + clusters
    head = bytearray(first_data * cluster)
    head[:112] = Image(cluster_bits=16, size=64).finish()[:112]
    l1_at, table_at = 2 * cluster, cluster
    for name, value in {
        "size": clusters * cluster,
        "l1_size": l2_count,
        "l1_table_offset": l1_at,
        "refcount_table_offset": table_at,
    }.items():
        offset, code = FIELDS[name]
        struct.pack_into(code, head, offset, value)
    blocks = (3 + np.arange(block_count, dtype=np.uint64)) << np.uint64(16)
    head[table_at : table_at + block_count * 8] = blocks.astype(">u8").tobytes()
    counts = np.zeros(block_count * per_block, ">u2")
    counts[:total] = 1
    head[3 * cluster : 3 * cluster + counts.nbytes] = counts.tobytes()
    tables_at = (first_l2 + np.arange(l2_count, dtype=np.uint64)) << np.uint64(16)
    flagged = tables_at | np.uint64(COPIED)
    head[l1_at : l1_at + l1_bytes] = flagged.astype(">u8").tobytes()
    hosts = (first_data + np.arange(clusters, dtype=np.uint64)) << np.uint64(16)
    head[first_l2 * cluster :] = (hosts | np.uint64(COPIED)).astype(">u8").tobytes()
    return Extended(BytesSource(bytes(head)), total * cluster)


def test_full_image_is_walked_in_little_memory():
    # 64 GiB: a million clusters, 8 MiB of L2 tables, read twice and no more.
    clusters = 1 << 20
    source = full_disk(clusters)
    counted = Counting(source, calls_max=1000, bytes_max=24 * MIB)
    tracemalloc.start()
    (image,) = FORMAT.inspect(counted, NoNeighbours())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not [item for item in image.evidence if item.bad], summary(image.evidence)
    assert image.payload_bytes == clusters << 16
    assert image.needed_bytes == source.size
    assert peak < 40 * MIB
    batches = list(FORMAT.extents(source, (image,)))
    assert [batch.offset.tolist() for batch in batches] == [[source.size - (clusters << 16)]]
    # One bent pointer among a million is found, with what it left behind.
    at = source.size - (clusters << 16) - 4096
    entry = int.from_bytes(source.read_at(at, 8), "big")
    bent = Overlay(source, {at: struct.pack(">Q", entry - (1 << 16))})
    (damaged,) = FORMAT.inspect(bent, NoNeighbours())
    host = entry & ~COPIED
    assert {(item.check, item.offset) for item in damaged.evidence if item.bad} == {
        ("qcow2.cluster.missing", host - (1 << 16)),
        ("qcow2.cluster.overlap", host - (1 << 16)),
        ("qcow2.cluster.leaked", host),
    }


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("make", [snapshotted, bitmapped], ids=lambda make: make.__name__)
def test_field_at_its_maximum_costs_little(name, make):
    content = make()
    width = struct.calcsize(FIELDS[name][1])
    for value in ((1 << 8 * width) - 1, 1 << (8 * width - 1), (1 << (4 * width)) - 1):
        try:
            changed = patch(content, name, value)
        except AssertionError:
            continue
        huge = Extended(BytesSource(changed), 20 << 40)
        counted = Counting(huge, calls_max=2000, bytes_max=128 * MIB)
        inspections = FORMAT.inspect(counted, NoNeighbours())
        for number, _ in enumerate(FORMAT.extents(counted, inspections)):
            assert number < 1000


def test_snapshots_that_lead_nowhere_are_not_read_to_their_end():
    # A hole where the snapshot table should be: each entry of it is readable, and wrong.
    content = patch(patch(sample(), "nb_snapshots", 65_536), "snapshots_offset", 1 << 16)
    counted = Counting(Extended(BytesSource(content), 1 << 40), calls_max=500, bytes_max=MIB)
    (image,) = FORMAT.inspect(counted, NoNeighbours())
    assert "qcow2.snapshots.entry" in {item.check for item in image.evidence if item.bad}


words = st.one_of(
    st.integers(0, (1 << 64) - 1),
    st.integers(0, 100).map(lambda cluster: cluster << 9 | COPIED),
    st.integers(0, 1 << 16).map(lambda offset: offset | COMPRESSED),
    st.sampled_from([0, 1, COPIED, COMPRESSED, (1 << 56) - 512 | COPIED, (1 << 64) - 1]),
)


@settings(max_examples=50, deadline=None)
@given(
    entries=st.dictionaries(st.integers(0, 63), words, max_size=20),
    l1_entries=st.dictionaries(st.integers(0, 1), words, max_size=2),
    counts=st.dictionaries(st.integers(0, 255), st.integers(0, 65535), max_size=5),
    version=st.sampled_from([2, 3]),
    external=st.booleans(),
)
def test_any_table_content_gives_evidence_and_nothing_else(
    entries, l1_entries, counts, version, external
):
    image = Image(version=version, incompatible=4 if external and version == 3 else 0)
    image.data(7, b"x")
    image.maps[0] |= {guest: (word, 0) for guest, word in entries.items() if not external}
    for number, count in counts.items():
        image.uses[number] = count
    try:
        content = bytearray(image.finish())
    except OverflowError:
        # The builder cannot write a count that does not fit.
        return
    for index, word in l1_entries.items():
        struct.pack_into(">Q", content, image.places["l1"] + index * 8, word)
    source = BytesSource(bytes(content))
    found = drive(FORMAT, source)
    assert {item.check for item in found.evidence} <= FORMAT.checks.keys()
    for batch in found.batches:
        ends = batch.offset + batch.stored_length
        assert (batch.stored_length > 0).all()
        assert (batch.offset[1:] >= ends[:-1]).all()
        assert ends[-1] <= source.size


@settings(max_examples=50, deadline=None)
@given(
    bits=st.integers(CLUSTER_BITS_MIN, 13),
    order=st.integers(0, 6),
    guests=st.sets(st.integers(0, 400), max_size=30),
    zeros=st.sets(st.integers(0, 400), max_size=5),
    snapshots=st.integers(0, 3),
)
def test_what_is_built_soundly_is_found_sound(bits, order, guests, zeros, snapshots):
    snapshots = min(snapshots, (1 << (1 << order)) - 2)
    image = Image(cluster_bits=bits, refcount_order=order, size=401 << bits)
    offsets = [image.data(guest, b"x") for guest in sorted(guests)]
    for guest in zeros - guests:
        image.maps[0][guest] = (1, 0)
    for number in range(snapshots):
        image.snapshot(b"%d" % number)
    content = image.finish()
    found = drive(FORMAT, BytesSource(content))
    assert not found.bad, summary(found.bad)
    (one,) = found.inspections
    # Snapshots inside may hold more than the active disk: then nothing is weighed.
    assert one.payload_bytes == (None if snapshots and not guests else len(guests) << bits)
    assert one.facts["zero_clusters"] == len(zeros - guests)
    assert len(one.facts["snapshots"]) == snapshots
    stored = {
        place
        for batch in found.batches
        for start, length in zip(batch.offset, batch.stored_length, strict=True)
        for place in range(start, start + length, 1 << bits)
    }
    assert stored == (set() if snapshots else set(offsets))


def test_largest_clusters_are_read():
    image = Image(cluster_bits=CLUSTER_BITS_MAX, size=4 << CLUSTER_BITS_MAX, refcount_order=6)
    image.data(1, b"x")
    found = drive(FORMAT, BytesSource(image.finish()))
    assert not found.bad, summary(found.bad)
