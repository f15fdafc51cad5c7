"""qcow2 files written from QEMU's docs/interop/qcow2.rst, by another hand than the decoder's.

An `Image` hands out clusters in order and counts what refers to them, so that refcounts come out
right by themselves; a test then breaks what it wants broken.
"""

import struct
from collections import Counter
from dataclasses import dataclass, field

COPIED = 1 << 63
COMPRESSED = 1 << 62
OFFSETS = 0x00FF_FFFF_FFFF_FE00

# Offsets and struct codes of the header's fields.
FIELDS = {
    "version": (4, ">I"),
    "backing_file_offset": (8, ">Q"),
    "backing_file_size": (16, ">I"),
    "cluster_bits": (20, ">I"),
    "size": (24, ">Q"),
    "crypt_method": (32, ">I"),
    "l1_size": (36, ">I"),
    "l1_table_offset": (40, ">Q"),
    "refcount_table_offset": (48, ">Q"),
    "refcount_table_clusters": (56, ">I"),
    "nb_snapshots": (60, ">I"),
    "snapshots_offset": (64, ">Q"),
    "incompatible_features": (72, ">Q"),
    "compatible_features": (80, ">Q"),
    "autoclear_features": (88, ">Q"),
    "refcount_order": (96, ">I"),
    "header_length": (100, ">I"),
    "compression_type": (104, ">B"),
}


def patch(content: bytes, name: str, value: int) -> bytes:
    """Return a copy with one header field changed."""
    offset, code = FIELDS[name]
    changed = bytearray(content)
    struct.pack_into(code, changed, offset, value)
    assert changed != content, name
    return bytes(changed)


def field_of(content: bytes, name: str) -> int:
    """Read one header field."""
    offset, code = FIELDS[name]
    return struct.unpack_from(code, content, offset)[0]


def put(content: bytes, offset: int, value: int, code: str = ">Q") -> bytes:
    """Return a copy with one number written."""
    changed = bytearray(content)
    struct.pack_into(code, changed, offset, value)
    assert changed != content
    return bytes(changed)


def extension(kind: int, content: bytes) -> bytes:
    """One header extension with its padding."""
    return struct.pack(">II", kind, len(content)) + content + bytes(-len(content) % 8)


@dataclass
class Image:
    """An image in the making; cluster 0 is the header's."""

    cluster_bits: int = 9
    version: int = 3
    size: int = 64 * 512
    refcount_order: int = 4
    incompatible: int = 0
    autoclear: int = 0
    extensions: bytes = b""
    backing: bytes = b""
    compression: int = 0
    crypt: int = 0
    l1_entries: int = 0
    clusters: list[bytes] = field(default_factory=lambda: [b""])
    uses: Counter = field(default_factory=lambda: Counter({0: 1}))
    maps: list[dict[int, tuple[int, int]]] = field(default_factory=lambda: [{}])
    vm_state: int = 0
    snapshots: list[tuple[int, bytes]] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)

    @property
    def cluster_size(self) -> int:
        return 1 << self.cluster_bits

    @property
    def entry_bytes(self) -> int:
        return 16 if self.incompatible & 16 else 8

    def take(self, content: bytes, *, uses: int = 1) -> int:
        """Store bytes in new clusters and return their offset."""
        first = len(self.clusters)
        for start in range(0, max(len(content), 1), self.cluster_size):
            self.clusters.append(content[start : start + self.cluster_size])
        for number in range(first, len(self.clusters)):
            self.uses[number] += uses
        return first * self.cluster_size

    def data(self, guest: int, content: bytes, *, flags: int = 0, bitmap: int = 0) -> int:
        """Store a guest cluster of the active disk; its copied flag follows later."""
        offset = self.take(content.ljust(self.cluster_size, b"\xaa"))
        self.maps[0][guest] = (offset | flags, bitmap)
        return offset

    def packed(self, streams: dict[int, bytes]) -> dict[int, int]:
        """Store compressed guest clusters end to end, and return where each one is."""
        start = self.take(b"".join(streams.values()), uses=0)
        bits = 62 - (self.cluster_bits - 8)
        offsets = {}
        for guest, stream in streams.items():
            offsets[guest] = start
            sectors = (start + len(stream) - 1) // 512 - start // 512
            self.maps[0][guest] = (COMPRESSED | sectors << bits | start, 0)
            start += len(stream)
        return offsets

    def tables(self, entries: dict[int, tuple[int, int]], *, uses: int) -> dict[int, int]:
        """Store the L2 tables of a map, and return their offsets by L1 index."""
        per_table = self.cluster_size // self.entry_bytes
        content: dict[int, bytearray] = {}
        for guest, (word, bitmap) in entries.items():
            table = content.setdefault(guest // per_table, bytearray(self.cluster_size))
            packed = struct.pack(">QQ", word, bitmap)[: self.entry_bytes]
            start = guest % per_table * self.entry_bytes
            table[start : start + self.entry_bytes] = packed
        return {index: self.take(bytes(table), uses=uses) for index, table in content.items()}

    def snapshot(self, name: bytes = b"s", extra: int = 16) -> None:
        """Freeze the disk as it is: its L2 tables and clusters are shared from now on."""
        self.snapshots.append((extra, name))

    def flags(self, entry: int) -> int:
        """Return a descriptor with the copied flag that fits its cluster."""
        if entry & COMPRESSED or not entry & OFFSETS:
            return entry
        once = self.uses[(entry & OFFSETS) >> self.cluster_bits] == 1
        return entry | COPIED if once else entry

    def count_guest_clusters(self, trees: int) -> None:
        """Count what `take` could not know: compressed clusters, and what snapshots share."""
        bits = 62 - (self.cluster_bits - 8)
        for entry, _ in self.maps[0].values():
            if entry & COMPRESSED:
                offset = entry & ((1 << bits) - 1)
                sectors = ((entry & (COMPRESSED - 1)) >> bits) + 1
                last = (offset // 512 + sectors) * 512 - 1
                for number in range(offset >> self.cluster_bits, (last >> self.cluster_bits) + 1):
                    self.uses[number] += trees
            elif entry & OFFSETS:
                self.uses[(entry & OFFSETS) >> self.cluster_bits] += trees - 1

    def finish(self) -> bytes:
        """Write map, snapshots, refcounts and header, and return the file."""
        trees = 1 + len(self.snapshots)
        self.count_guest_clusters(trees)
        per_table = self.cluster_size // self.entry_bytes
        flagged = {
            guest: (self.flags(entry), bitmap) for guest, (entry, bitmap) in self.maps[0].items()
        }
        tables = self.tables(flagged, uses=trees)
        mapped = -(-self.size // (self.cluster_size * per_table))
        count = max([self.l1_entries, mapped, *(index + 1 for index in tables)])
        copied = COPIED if trees == 1 else 0
        l1 = b"".join(
            struct.pack(">Q", tables[index] | copied if index in tables else 0)
            for index in range(count)
        )
        self.places |= {"l1": self.take(l1), "l2": min(tables.values(), default=0)}
        table, nb_snapshots = self.snapshot_table(l1, count), len(self.snapshots)
        self.places["snapshots"] = self.take(table) if table else 0
        self.refcounts()
        content = b"".join(item.ljust(self.cluster_size, b"\0") for item in self.clusters)
        return self.header(count, nb_snapshots) + content[self.cluster_size :]

    def snapshot_table(self, l1: bytes, count: int) -> bytes:
        """Store the snapshots' L1 tables and return the table of them."""
        rows = []
        for extra, name in self.snapshots:
            offset = self.take(l1)
            fixed = struct.pack(">QIHHIIQII", offset, count, 1, len(name), 1, 0, 0, 0, extra)
            row = fixed + struct.pack(">QQ", self.vm_state, self.size)[:extra] + b"1" + name
            rows.append(row + bytes(-len(row) % 8))
        return b"".join(rows)

    def refcounts(self) -> None:
        """Store refcount blocks for all clusters, themselves included, and their table."""
        per_block = self.cluster_size * 8 >> self.refcount_order
        first = len(self.clusters)
        blocks = 1
        while blocks * per_block < first + blocks + 1:
            blocks += 1
        assert blocks * 8 <= self.cluster_size, "the table is one cluster"
        offsets = [self.take(b"") for _ in range(blocks)]
        self.places |= {"refcount_block": offsets[0]}
        self.places["refcount_table"] = self.take(
            b"".join(struct.pack(">Q", offset) for offset in offsets)
        )
        for number in range(blocks):
            counts = [self.uses[number * per_block + i] for i in range(per_block)]
            self.clusters[first + number] = pack_counts(counts, self.refcount_order)

    def header(self, l1_size: int, nb_snapshots: int) -> bytes:
        """Return the first cluster."""
        length = 72 if self.version == 2 else 112
        content = bytearray(length)
        content[:4] = b"QFI\xfb"
        tail = self.extensions + bytes(8)
        values = {
            "version": self.version,
            "backing_file_offset": length + len(tail) if self.backing else 0,
            "backing_file_size": len(self.backing),
            "cluster_bits": self.cluster_bits,
            "size": self.size,
            "crypt_method": self.crypt,
            "l1_size": l1_size,
            "l1_table_offset": self.places["l1"],
            "refcount_table_offset": self.places["refcount_table"],
            "refcount_table_clusters": 1,
            "nb_snapshots": nb_snapshots,
            "snapshots_offset": self.places["snapshots"],
            "incompatible_features": self.incompatible,
            "autoclear_features": self.autoclear,
            "refcount_order": self.refcount_order,
            "header_length": length,
            "compression_type": self.compression,
        }
        for name, value in values.items():
            offset, code = FIELDS[name]
            if offset < length:
                struct.pack_into(code, content, offset, value)
        whole = bytes(content) + tail + self.backing
        assert len(whole) <= self.cluster_size
        return whole.ljust(self.cluster_size, b"\0")


def pack_counts(counts: list[int], order: int) -> bytes:
    """Write counts of ``1 << order`` bits each; the first is in the lowest bits of a byte."""
    bits = 1 << order
    if bits >= 8:
        return b"".join(count.to_bytes(bits // 8, "big") for count in counts)
    per_byte = 8 // bits
    packed = bytearray()
    for start in range(0, len(counts), per_byte):
        byte = 0
        for place, count in enumerate(counts[start : start + per_byte]):
            byte |= count << (place * bits)
        packed.append(byte)
    return bytes(packed)
