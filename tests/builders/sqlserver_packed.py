"""Write compressed SQL Server backups: the medium of `tests.builders.sqlserver_bak`, in chunks.

An independent hand, after one real file (SQL Server 2016): header, chunks with their checksums,
padding, index, filemarks that stay as they are. What it writes is no real backup. How a chunk that
does not shrink is stored was not seen; here it is stored as it is, with a length of 0.
"""

import struct
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from tests.builders.sqlserver_bak import Medium, Recipe, pattern_of, rotate, xor16
from tests.builders.xpress import encode
from tests.builders.xpress_pages import PageEncoder

FULL = 65_536
HEADER = 0x1E0


@dataclass
class Packer:
    """Takes plain bytes and writes records.

    ``chunks`` are offset, plain offset and plain length of each. ``spoil`` gives bytes of the plain
    medium that are changed before they are compressed: no checksum of a chunk shows that. ``fast``
    encodes the chunks that are full.
    """

    file: BinaryIO
    spoil: dict[int, int] = field(default_factory=dict)
    fast: PageEncoder | None = None
    position: int = 0
    pending: bytearray = field(default_factory=bytearray)
    chunks: list[tuple[int, int, int]] = field(default_factory=list)
    plain: int = 0

    def raw(self, data: bytes) -> int:
        start = self.position
        self.file.write(data)
        self.position += len(data)
        return start

    def write(self, data: bytes) -> None:
        self.pending += data
        start = 0
        while len(self.pending) - start > FULL:
            self.chunk(self.pending[start : start + FULL])
            start += FULL
        del self.pending[:start]

    def flush(self) -> None:
        """Write what is pending; a short chunk, unless it happens to be a full one."""
        if self.pending:
            self.chunk(self.pending)
            self.pending = bytearray()

    def chunk(self, taken: bytearray) -> None:
        length = len(taken)
        for place, change in self.spoil.items():
            if self.plain <= place < self.plain + length:
                taken[place - self.plain] ^= change
        content = bytes(taken)
        if self.fast is not None and length == FULL:
            stored = self.fast.encode(content)
        else:
            stored = encode(content, end=length < FULL)
        if len(stored) >= FULL:
            stored = content
        size = len(stored) % FULL
        head = struct.pack("<BBH", 0x21, 0x80 if length == FULL else 4, size)
        head += b"\xcd" * 20 + struct.pack("<I", word_sum(stored))
        self.chunks.append((self.raw(head + stored), self.plain, length))
        self.plain += length

    def pad_to(self, boundary: int) -> None:
        """Write a padding record that ends on a boundary."""
        missing = -self.position % boundary
        while missing and missing < 24:
            missing += boundary
        if missing:
            self.raw(struct.pack("<BBH", 0x24, 0, missing - 24).ljust(missing, b"\0"))


def word_sum(stored: bytes) -> int:
    """Fold 32-bit words: turn by one bit, then XOR the next."""
    words = np.frombuffer(stored + bytes(-len(stored) % 4), "<u4")
    turns = np.arange(len(words) - 1, -1, -1)
    return int(np.bitwise_xor.reduce(rotate(words, turns)))


class PackedMedium(Medium):
    """A compressed medium. With ``aligned`` a new chunk begins where a stream's bytes do."""

    def __init__(
        self,
        file: BinaryIO,
        mark_bytes: int = 4096,
        *,
        aligned: bool = True,
        spoil: dict[int, int] | None = None,
        **rest,
    ):
        self.packer = Packer(file, spoil or {})
        self.aligned = aligned
        self.compressed_size = 0
        self.set_place = self.end_place = 0
        self.packer.raw((b"MSSQLBAK" + struct.pack("<II", 2, 3)).ljust(HEADER, b"\xee"))
        super().__init__(self.packer, mark_bytes, **rest)

    def block(self, kind: bytes, body: bytes, **rest) -> int:
        body = bytearray(body)
        here = self.packer.position
        if kind == b"SSET":
            self.set_place = here
            struct.pack_into("<Q", body, 28, here)
        elif kind == b"ESET" and any(body[8:16]):
            struct.pack_into("<Q", body, 8, self.end_place)
        elif kind == b"ESET":
            self.end_place = here
        elif kind == b"MSLS":
            self.compressed_size = here + self.mark_bytes
        return super().block(kind, bytes(body), **rest)

    def stream(self, name: bytes, data: bytes, attributes: int = 0) -> int:
        if name == b"MQCI":
            data = data[:344] + struct.pack("<Q", self.compressed_size) + data[352:]
        return super().stream(name, data, attributes)

    def note(self, name: str, start: int, length: int) -> None:
        super().note(name, start, length)
        if name in ("pages", "log") and self.aligned:
            self.packer.flush()

    def filemark(self) -> None:
        """Write a filemark as it is, with what leads up to it."""
        packer, size = self.packer, self.mark_bytes
        packer.flush()
        if len(self.marks) % 2:
            self._index()
            attributes = 0x80040000
        else:
            packer.pad_to(max(1024, size) if not self.marks else size)
            attributes = 0x80000000
        head = b"SFMB" + struct.pack("<IHBB", attributes, size, 14, 1) + bytes(36) + b"\0\0"
        body = struct.pack("<III", (size - 72) // 8, len(self.marks), 0x48) + bytes(8)
        body += struct.pack(f"<{len(self.marks)}Q", *reversed(self.marks))
        mark = packer.raw((head + struct.pack("<H", xor16(head)) + body).ljust(size, b"\0"))
        self.marks.append(mark)
        packer.plain += size
        self.out.position += size

    def _index(self) -> None:
        """Write the index of the set's chunks: here, of its first and last one."""
        chunks = [item for item in self.packer.chunks if item[1] >= self.set_start]
        rows = [(chunks[0][1] - self.set_start, chunks[0][0])]
        rows.append((chunks[-1][1] - self.set_start, chunks[-1][0]))
        entries = b"".join(struct.pack("<QQ", *row) for row in rows)
        least = 24 + 16 + len(entries) + 16
        total = least + -(self.packer.position + least) % self.mark_bytes
        part = struct.pack("<HHIII", 1, 1, len(rows), total - 24, word_sum(entries))
        record = struct.pack("<B", 0x2C).ljust(24, b"\0") + part + entries
        self.packer.raw(record.ljust(total - 16, b"\0") + part)

    def _map_entry(self, recipe: Recipe, kind: int, number: int, size: int) -> bytes:
        del size
        entry = bytearray(super()._map_entry(recipe, kind, number, self.compressed_size))
        struct.pack_into("<Q", entry, 12, self.set_place)
        return bytes(entry)


def write_packed(
    file: BinaryIO,
    *,
    database_bytes: int,
    mark_bytes: int = 4096,
    aligned: bool = True,
    spoil: dict[int, int] | None = None,
    fast: bool = False,
    **recipe: object,
) -> PackedMedium:
    """Write a compressed medium with one backup set; the rest are fields of `Recipe`.

    With ``fast`` one code serves all chunks, so that a file of gigabytes does not take minutes.
    """
    chosen = Recipe(**{"database_bytes": database_bytes, "byte_values": 16} | recipe)
    medium = PackedMedium(file, mark_bytes, aligned=aligned, spoil=spoil)
    if fast:
        medium.packer.fast = PageEncoder(pattern_of(chosen)[:64].tobytes())
    medium.add_set(chosen)
    return medium
