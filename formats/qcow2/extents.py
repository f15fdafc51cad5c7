"""Which bytes to look at while the file is read: stored source data, and compressed clusters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from formats.core.model import (
    EXTENT_ROWS_MAX,
    Codec,
    Declared,
    ExtentBatch,
    Inspection,
    Payload,
    Source,
)
from formats.qcow2.findings import Findings, Ints
from formats.qcow2.header import CRYPT_NONE, Header
from formats.qcow2.l1 import Tree, gather_tables
from formats.qcow2.l2 import Bools, Entries, MapReader, followable
from formats.qcow2.references import WINDOW_CLUSTERS
from formats.qcow2.survey import find_spans, used_clusters


@dataclass(frozen=True, slots=True)
class MapState:
    """What `inspect` hands over: enough to find the map again."""

    header: Header
    trees: tuple[Tree, ...]
    limit_bytes: int
    compressed_clusters: int


def qcow2_extents(source: Source, inspections: Sequence[Inspection]) -> Iterator[ExtentBatch]:
    """Yield the batches of the one image in the file."""
    for image_index, inspection in enumerate(inspections):
        state = inspection.state
        if isinstance(state, MapState) and not state.header.external_data:
            yield from map_extents(source, state, image_index)


def map_extents(source: Source, state: MapState, image_index: int) -> Iterator[ExtentBatch]:
    """Yield the batches of one map."""
    findings = Findings()
    tables, _ = gather_tables(source, state.trees, state.header, state.limit_bytes, findings)
    reader = MapReader(state.header, tables, state.limit_bytes)
    if len(state.trees) == 1:
        # With snapshots inside, zeros on the active disk say nothing of the rest.
        yield from payload_batches(source, reader, image_index)
    codec = state.header.codec
    # [QEMU] qemu-img does not compress and encrypt in one image; what a reader should do with
    # such clusters is unknown.
    if state.compressed_clusters and codec and state.header.crypt_method == CRYPT_NONE:
        yield from compressed_batches(source, reader, codec, image_index)


def payload_batches(source: Source, reader: MapReader, image_index: int) -> Iterator[ExtentBatch]:
    """Yield all host clusters that hold source data of the active disk, in order of the file.

    Compressed clusters are in it too: the cluster they share is source data in another form.
    """
    bits = reader.header.cluster_bits
    spans = find_spans(source, reader)
    file_clusters = -(-source.size >> bits)
    for number in spans.window_numbers(WINDOW_CLUSTERS):
        first = number * WINDOW_CLUSTERS
        if first >= file_clusters:
            # Pointers behind the end of a file that was cut, or of one without refcounts.
            return
        count = min(WINDOW_CLUSTERS, file_clusters - first)
        rows = spans.touching(first, count) & reader.tables.active
        if not rows.any():
            continue
        starts, ends = stored_runs(source, reader, rows, first, count)
        offset = starts << bits
        length = np.minimum(ends << bits, source.size) - offset
        for low in range(0, len(offset), EXTENT_ROWS_MAX):
            part = slice(low, low + EXTENT_ROWS_MAX)
            yield ExtentBatch(
                Payload(), "qcow2.cluster.payload", image_index, offset[part], length[part]
            )


def stored_runs(
    source: Source, reader: MapReader, rows: Bools, first: int, count: int
) -> tuple[Ints, Ints]:
    """Return first cluster and end of each run of used ones in a window."""
    used = np.zeros(count + 1, np.bool_)
    for entries in reader.chunks(source, rows):
        clusters = used_clusters(entries, reader)
        used[clusters[(clusters >= first) & (clusters < first + count)] - first] = True
    borders = np.flatnonzero(np.diff(used, prepend=False)) + first
    return borders[0::2], borders[1::2]


def compressed_batches(
    source: Source, reader: MapReader, codec: Codec, image_index: int
) -> Iterator[ExtentBatch]:
    """Yield the compressed clusters of all trees, in order of the L2 tables that name them."""
    for entries in reader.chunks(source):
        packed = entries.choose(entries.compressed & followable(entries, reader))
        offset, length = compressed_rows(packed, source.size)
        for low in range(0, len(offset), EXTENT_ROWS_MAX):
            rows = slice(low, low + EXTENT_ROWS_MAX)
            yield ExtentBatch(
                Declared(None, codec, slack=True),
                "qcow2.cluster.decode",
                image_index,
                offset[rows],
                length[rows],
                np.full(len(offset[rows]), reader.header.cluster_size, np.int64),
            )


def compressed_rows(entries: Entries, size: int) -> tuple[Ints, Ints]:
    """Return offset and stored length of compressed clusters, sorted, each once, disjoint."""
    offset, first = np.unique(entries.offset, return_index=True)
    # The last sector may lie partly behind the end of the file, and the next cluster may start
    # in it ([spec] "Compressed Clusters Descriptor"): the stream ends before either.
    end = np.minimum(entries.end[first], size)
    end[:-1] = np.minimum(end[:-1], offset[1:])
    inside = end > offset
    return offset[inside], (end - offset)[inside]
