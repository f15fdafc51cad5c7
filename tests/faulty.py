"""Storage that lies, for a whole `Lane` or `scan` to run on through their ``opener``.

`Faults` says what goes wrong with one file; a `FaultyOpener` opens files with their faults. What is
chosen at random comes from a seed, and every error and `repr` says which.
"""

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from formats.core.errors import Truncated
from formats.core.source import require_range
from scanner.engine.storage import FileStorage, Storage
from scanner.results import Stamps
from tests.strategies import seeded

Range = tuple[int, int]
"""Half-open: start and end."""


class MemoryStorage:
    """A file in memory, with holes where one likes; the undamaged twin of every faulty one."""

    def __init__(
        self, content: bytes, *, stamps: Stamps | None = None, holes: Sequence[Range] = ()
    ) -> None:
        self.size = len(content)
        self._content = content
        self._stamps = stamps or Stamps(len(content), 1_000, 1_000, 7, len(content))
        self._holes = sorted(holes)
        self.closed = 0

    def stamps(self) -> Stamps:
        return self._stamps

    def read_into(self, buffer: memoryview, offset: int) -> int:
        piece = self._content[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    def read_at(self, offset: int, length: int) -> bytes:
        require_range(offset, length, self.size)
        return self._content[offset : offset + length]

    def next_data(self, offset: int) -> int:
        for start, end in self._holes:
            if start <= offset < end:
                offset = end
        return offset

    def uncached(self) -> Storage:
        return self

    def leave(self, offset: int, length: int) -> None:
        pass

    def approach(self, offset: int, length: int) -> None:
        pass

    def close(self) -> None:
        self.closed += 1


@dataclass
class Faults:
    """What goes wrong with one file, and what was asked of it.

    ``refused`` ranges give EIO whenever touched, ``refused_once`` the first time, ``only_cached``
    those that are asked from the disk itself. ``misread`` are masks over bytes as the page cache
    has them: wrong until somebody reads past it, right from then on. After so many reads as
    ``after`` says, the file gets ``later_size`` or ``later_mtime_ns``, or every read fails with
    ``later_errno``.
    """

    seed: int = 0
    open_errno: int = 0
    refused: Sequence[Range] = ()
    refused_once: list[Range] = field(default_factory=list)
    only_cached: Sequence[Range] = ()
    misread: Mapping[int, int] = field(default_factory=dict)
    after: int = 0
    later_size: int | None = None
    later_mtime_ns: int | None = None
    later_errno: int = 0
    later_done: Callable[[], object] | None = None
    cache_is_wrong: bool = True
    reads: list[Range] = field(default_factory=list)

    @property
    def later(self) -> bool:
        """Whether what happens after some reads has happened."""
        return len(self.reads) > self.after

    @property
    def bytes_read(self) -> int:
        return sum(end - start for start, end in self.reads)

    def refuses(self, start: int, end: int, *, cached: bool) -> bool:
        """Whether a read of this range fails now."""
        if not cached and any(touches(item, start, end) for item in self.only_cached):
            return True
        for once in [item for item in self.refused_once if touches(item, start, end)]:
            self.refused_once.remove(once)
            return True
        return any(touches(item, start, end) for item in self.refused)


def touches(item: Range, start: int, end: int) -> bool:
    return item[0] < end and item[1] > start


class FaultyStorage:
    """Another storage with faults. Shares them with its sibling past the cache."""

    def __init__(self, inner: Storage, faults: Faults, *, cached: bool = True) -> None:
        self._inner = inner
        self._faults = faults
        self._cached = cached
        self.size = inner.size

    def __repr__(self) -> str:
        return f"FaultyStorage(seed={self._faults.seed}, {self._faults})"

    def stamps(self) -> Stamps:
        real = self._inner.stamps()
        faults = self._faults
        size = faults.later_size if faults.later and faults.later_size is not None else real.size
        mtime_ns = real.mtime_ns
        if faults.later and faults.later_mtime_ns is not None:
            mtime_ns = faults.later_mtime_ns
        return Stamps(size, mtime_ns, real.ctime_ns, real.inode, real.allocated_bytes)

    def read_into(self, buffer: memoryview, offset: int) -> int:
        self._note(offset, offset + len(buffer))
        count = self._inner.read_into(buffer, offset)
        faults = self._faults
        if faults.later and faults.later_size is not None:
            count = max(0, min(count, faults.later_size - offset))
        self._misread(buffer, offset, count)
        return count

    def read_at(self, offset: int, length: int) -> bytes:
        require_range(offset, length, self.size)
        buffer = bytearray(length)
        count = self.read_into(memoryview(buffer), offset)
        if count < length:
            raise Truncated(offset, length, offset + count)
        return bytes(buffer)

    def next_data(self, offset: int) -> int:
        return self._inner.next_data(offset)

    def uncached(self) -> Storage:
        return FaultyStorage(self._inner.uncached(), self._faults, cached=False)

    def leave(self, offset: int, length: int) -> None:
        self._inner.leave(offset, length)

    def approach(self, offset: int, length: int) -> None:
        self._inner.approach(offset, length)

    def close(self) -> None:
        self._inner.close()

    def _note(self, start: int, end: int) -> None:
        faults = self._faults
        faults.reads.append((start, end))
        if len(faults.reads) == faults.after + 1 and faults.later_done is not None:
            faults.later_done()
        if faults.later and faults.later_errno:
            raise OSError(faults.later_errno, os.strerror(faults.later_errno))
        if faults.refuses(start, end, cached=self._cached):
            raise OSError(errno.EIO, f"refused, seed {faults.seed}")

    def _misread(self, buffer: memoryview, offset: int, count: int) -> None:
        if not self._cached:
            self._faults.cache_is_wrong = False
        if not self._faults.cache_is_wrong:
            return
        for place, mask in self._faults.misread.items():
            if offset <= place < offset + count:
                assert mask, "a mask of 0 damages nothing"
                buffer[place - offset] ^= mask


class FaultyOpener:
    """Opens files, each with the faults filed under its name; those without any are sound."""

    def __init__(self, faults: Mapping[str, Faults], memory: Mapping[str, bytes] | None = None):
        self._faults = faults
        self._memory = memory or {}
        self.opened = 0
        self.closed = 0

    def __call__(self, path: Path) -> Storage:
        faults = self._faults.get(path.name, Faults())
        if faults.open_errno:
            raise OSError(faults.open_errno, os.strerror(faults.open_errno), str(path))
        content = self._memory.get(path.name)
        inner = FileStorage(path) if content is None else MemoryStorage(content)
        self.opened += 1
        return Counted(FaultyStorage(inner, faults), self)


class Counted:
    """A storage whose closing is counted, to find files left open."""

    def __init__(self, inner: FaultyStorage, opener: FaultyOpener) -> None:
        self._inner = inner
        self._opener = opener
        self._open = True

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def close(self) -> None:
        assert self._open, "closed twice"
        self._open = False
        self._opener.closed += 1
        self._inner.close()


def random_faults(seed: int, size: int) -> Faults:
    """Return some faults of every kind that leaves the file's stamps alone."""
    random = seeded(seed)

    def ranges(count: int) -> list[Range]:
        starts = [random.randrange(size) for _ in range(count)]
        return [(start, min(size, start + random.randrange(1, 20_000))) for start in starts]

    return Faults(
        seed,
        refused=ranges(random.randrange(4)),
        refused_once=ranges(random.randrange(3)),
        misread={
            random.randrange(size): 1 << random.randrange(8) for _ in range(random.randrange(4))
        },
    )
