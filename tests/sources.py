"""Sources for tests: files, unpacked samples in little memory, damage laid over, and budgets."""

import errno
import gzip
import lzma
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pyzstd

from formats.core.model import Source
from formats.core.source import BytesSource, require_range

PIECE_BYTES = 1 << 20
HELD_BYTES_MAX = 8 << 20
ZEROS = bytes(PIECE_BYTES)

UNPACKERS: Mapping[str, object] = {
    ".gz": gzip.open,
    ".xz": lzma.open,
    ".zst": pyzstd.open,
}


class FileSource:
    """A file, read where it stands."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.size = path.stat().st_size

    def read_at(self, offset: int, length: int) -> bytes:
        require_range(offset, length, self.size)
        with self._path.open("rb") as file:
            return os.pread(file.fileno(), length, offset)


class PiecedSource:
    """Bytes in memory, of which pieces of zeros take no room: unpacked images are mostly holes."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces: list[bytes] = []
        self.size = 0
        for piece in pieces:
            self._pieces.append(ZEROS if piece == ZEROS else piece)
            self.size += len(piece)

    def read_at(self, offset: int, length: int) -> bytes:
        require_range(offset, length, self.size)
        first, last = offset // PIECE_BYTES, (offset + length + PIECE_BYTES - 1) // PIECE_BYTES
        joined = b"".join(self._pieces[first:last])
        start = offset - first * PIECE_BYTES
        return joined[start : start + length]


class Overlay:
    """Another source with some bytes replaced; the patches must lie inside it."""

    def __init__(self, source: Source, patches: Mapping[int, bytes]) -> None:
        self._source = source
        self._patches = sorted(patches.items())
        self.size = source.size
        for offset, patch in self._patches:
            require_range(offset, len(patch), self.size)

    def __repr__(self) -> str:
        """Say what was changed: a failing example is told by it."""
        changed = ", ".join(f"0x{offset:x}: {patch.hex()}" for offset, patch in self._patches)
        return f"Overlay({changed})"

    def read_at(self, offset: int, length: int) -> bytes:
        content = bytearray(self._source.read_at(offset, length))
        for start, patch in self._patches:
            low, high = max(start, offset), min(start + len(patch), offset + length)
            if low < high:
                content[low - offset : high - offset] = patch[low - start : high - start]
        return bytes(content)


class Extended:
    """Another source with a hole behind it, as long as one likes."""

    def __init__(self, source: Source, size: int) -> None:
        self._source = source
        self.size = size

    def __repr__(self) -> str:
        """Say what is extended."""
        return f"Extended({self._source!r}, {self.size})"

    def read_at(self, offset: int, length: int) -> bytes:
        require_range(offset, length, self.size)
        stored = max(0, min(length, self._source.size - offset))
        head = self._source.read_at(offset, stored) if stored else b""
        return head + bytes(length - stored)


class BudgetSpent(AssertionError):
    """A format read more than it may: the proxy for time, which no test measures."""


class Counting:
    """Another source that counts what is read of it and refuses to go past a budget."""

    def __init__(self, source: Source, *, calls_max: int, bytes_max: int) -> None:
        self._source = source
        self.size = source.size
        self._limits = (calls_max, bytes_max)
        self.calls = 0
        self.bytes = 0

    def read_at(self, offset: int, length: int) -> bytes:
        content = self._source.read_at(offset, length)
        self.calls += 1
        self.bytes += length
        if self.calls > self._limits[0] or self.bytes > self._limits[1]:
            message = f"{self.calls} reads of {self.bytes} bytes; at most {self._limits}"
            raise BudgetSpent(message)
        return content


class Failing:
    """Another source whose storage refuses one read, counted from 1."""

    def __init__(self, source: Source, call: int) -> None:
        self._source = source
        self.size = source.size
        self._call = call
        self.calls = 0

    @property
    def failed(self) -> bool:
        return self.calls >= self._call

    def read_at(self, offset: int, length: int) -> bytes:
        require_range(offset, length, self.size)
        self.calls += 1
        if self.calls == self._call:
            raise OSError(errno.EIO, f"read {self._call} refused at {offset}")
        return self._source.read_at(offset, length)


def flipped(source: Source, offset: int, bit: int) -> Overlay:
    """Flip one bit of ``source``."""
    return Overlay(source, {offset: bytes([source.read_at(offset, 1)[0] ^ (1 << bit)])})


def stored(path: Path) -> Source:
    """Return a file as it is, from memory where it is small."""
    source = FileSource(path)
    return BytesSource(path.read_bytes()) if source.size <= HELD_BYTES_MAX else source


def unpack(path: Path) -> Source:
    """Return what is inside a compressed file, or the file itself where it is none."""
    opener = UNPACKERS.get(path.suffix.lower())
    if opener is None:
        return stored(path)
    with opener(path, "rb") as file:
        return PiecedSource(_pieces(file))


def _pieces(file: object) -> Iterator[bytes]:
    while piece := file.read(PIECE_BYTES):
        # A reader may hand out less than asked for; pieces must be whole but for the last one.
        while len(piece) < PIECE_BYTES and (more := file.read(PIECE_BYTES - len(piece))):
            piece += more
        yield piece
