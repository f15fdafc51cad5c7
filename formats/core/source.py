"""Sources over other sources: bytes in memory, a window, a budget, a small cache."""

from collections.abc import Sequence

from formats.core.errors import FormatError, Truncated
from formats.core.model import Source


class BytesSource:
    """Bytes in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self._content)

    def read_at(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset``, or raise `Truncated`."""
        require_range(offset, length, len(self._content))
        return self._content[offset : offset + length]


class Window:
    """A part of another source, with offsets counted from its start."""

    def __init__(self, source: Source, start: int, length: int) -> None:
        require_range(start, length, source.size)
        self._source = source
        self._start = start
        self._length = length

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self._length

    def read_at(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset``, or raise `Truncated`."""
        require_range(offset, length, self._length)
        return self._source.read_at(self._start + offset, length)


class Bounded:
    """A source that refuses to be read without end, so that a hostile header cannot hang a scan.

    ``read_max`` is the longest single read; ``total_max`` the sum of all reads, both in bytes.
    """

    def __init__(self, source: Source, *, read_max: int, total_max: int, calls_max: int) -> None:
        self._source = source
        self._read_max = read_max
        self._total_left = total_max
        self._calls_left = calls_max

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self._source.size

    def read_at(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset``; raise `FormatError` past the budget."""
        require_range(offset, length, self._source.size)
        self._calls_left -= 1
        self._total_left -= length
        if length > self._read_max or self._total_left < 0 or self._calls_left < 0:
            raise FormatError(
                "source.budget",
                offset=offset,
                length=length,
                expected="a bounded amount of metadata",
                actual="more reads than any real file needs",
            )
        return self._source.read_at(offset, length)


class EdgeCached:
    """A source whose first and last bytes are read once and kept, for probing many formats."""

    def __init__(self, source: Source, edge_bytes: int) -> None:
        self._source = source
        self.size = size = source.size
        self._head = source.read_at(0, min(size, edge_bytes))
        self._head_end = len(self._head)
        tail_bytes = min(size - self._head_end, edge_bytes)
        self._tail_start = size - tail_bytes
        self._tail = source.read_at(self._tail_start, tail_bytes) if tail_bytes else b""

    def read_at(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset``, from memory where they are at an edge."""
        if 0 <= offset <= (end := offset + length) <= self._head_end:
            return self._head[offset:end]
        require_range(offset, length, self.size)
        if offset >= self._tail_start:
            start = offset - self._tail_start
            return self._tail[start : start + length]
        return self._source.read_at(offset, length)


class NoNeighbours:
    """A folder with nothing else in it."""

    def names(self) -> Sequence[str]:
        """Return no names."""
        return ()

    def open(self, name: str) -> Source | None:  # noqa: ARG002 - the protocol's parameter
        """Return None."""
        return None


def require_range(offset: int, length: int, size: int) -> None:
    """Raise `Truncated` unless ``offset + length`` lies inside ``size`` bytes."""
    if offset < 0 or length < 0 or offset + length > size:
        raise Truncated(offset, length, size)


def starts_with(source: Source, magic: bytes, offset: int = 0) -> bool:
    """Whether ``magic`` stands at ``offset``; a negative ``offset`` counts from the end."""
    size = source.size
    at = offset if offset >= 0 else size + offset
    if at < 0 or at + len(magic) > size:
        return False
    return source.read_at(at, len(magic)) == magic
